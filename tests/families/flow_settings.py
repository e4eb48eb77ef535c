"""What is tried of a class's settings, and what its forward cannot do without."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from tests.families.flow_limits import ALIGNED
from tests.families.flow_trials import Raw
from tests.families.live import resolved
from tests.families.space import LAYER_TYPES, Space

MOST_OPTIONS = 3
LONG = 4096
"""More than a recorded forward has positions: a window of so many leaves its mask as it is."""
ROPES: tuple[Raw, ...] = (
    {"rope_type": "linear", "factor": 2.0},
    {"rope_type": "yarn", "factor": 4.0, "original_max_position_embeddings": 512},
    {
        "rope_type": "llama3",
        "factor": 8.0,
        "low_freq_factor": 1.0,
        "high_freq_factor": 4.0,
        "original_max_position_embeddings": 8192,
    },
)


def options(space: Space, name: str, value: Any) -> Iterator[Any]:
    """Values to put in a field that has this one."""
    field = space.fields[name]
    if value is not None and "null" in field.kinds:
        yield None
    if type(value) is bool:
        yield not value
    elif type(value) is float:
        yield from (value * 0.5, value + 0.25, 0.0)
    elif isinstance(value, str):
        yield from [option for option in field.options if option != value][:MOST_OPTIONS]
    elif isinstance(value, list) and value and isinstance(value[0], str):
        yield from ([kind] * len(value) for kind in LAYER_TYPES)
        yield [LAYER_TYPES[at % 2] for at in range(len(value))]
        whole = resolved(space.config_class, {"model_type": space.model_type}) or {}
        usual = sorted(set(map(str, whole.get(name) or [])))
        if len(usual) > 1:
            yield [usual[at % len(usual)] for at in range(len(value))]
    elif value is None:
        if "bool" in field.kinds:
            yield True
        if "float" in field.kinds:
            yield 0.5
        if "int" in field.kinds:
            yield from (8, 64, LONG)


def needed_of(space: Space) -> Raw:
    """How many experts are asked, where that is null by default, and widths that grouped products take."""
    fields = space.fields.items()
    nulls = [name for name, field in fields if field.default is None and "int" in field.kinds]
    widths = {name: field.default for name, field in fields if "intermediate_size" in name}
    return {name: 1 for name in nulls if any(word in name for word in ("expert", "topk", "group"))} | {
        name: width - width % ALIGNED for name, width in widths.items() if type(width) is int and width % ALIGNED
    }


def with_all_experts(space: Space) -> Raw:
    """The config to start from, but for its few experts: groups of them may be too small to choose from."""
    return {name: value for name, value in space.start.items() if "expert" not in name}
