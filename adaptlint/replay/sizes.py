"""How large a run of a base is: parameters, memory, seconds."""

from __future__ import annotations

import re
from math import prod

from adaptlint.bases import Base
from adaptlint.findings import range_numbers
from adaptlint.graph.module_graph import knots
from adaptlint.named_tuple import NamedTuple
from adaptlint.replay.shrink import FEW_WORDS

REPEATED = re.compile(r"\{([0-9,-]+)\}")
ITEM = {"float64": 8, "float32": 4, "bfloat16": 2, "float16": 2}
LIBRARIES_MEMORY = 700_000_000  # bytes that torch, transformers and a library hold before any tensor
START = 10.0  # seconds until they are imported, on two cores
PER_PARAMETER = 2.5e-8  # seconds to initialise one and to go through it once, on two cores


class Cost(NamedTuple):
    """What a run is expected to take: bytes and seconds."""

    memory: int
    seconds: float


def parameters(base: Base) -> int:
    """All parameters of the base."""
    return sum(knot.total * prod(shape) for knot in knots(base.tree) for shape in knot.params.values())


def layer_parameters(base: Base) -> int:
    """Those of one layer and of what is no layer, the vocabulary cut."""
    words = base.resolved_config.get("vocab_size")
    count = 0
    for knot in knots(base.tree):
        ranges = REPEATED.findall(knot.path)
        once = knot.total // max(1, len(range_numbers(ranges[0])) if ranges else 1)
        for shape in knot.params.values():
            kept = [min(size, FEW_WORDS) if size == words else size for size in shape]
            count += once * prod(kept)
    return count


def cost(count: int, dtype: str, models: int, adapters: int, meta: bool) -> Cost:
    """Of a run that holds `models` models of so many parameters at once, and adapters of so many bytes."""
    if meta:
        return Cost(LIBRARIES_MEMORY + 3 * adapters, START + 5.0)
    held = count * ITEM.get(dtype, 4) * models
    return Cost(LIBRARIES_MEMORY + held + 3 * adapters, START + count * models * PER_PARAMETER)
