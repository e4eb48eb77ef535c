"""`python -m tests.dataflow.edits --n 40`: drawn changes of small models, each told and each run.

Weights cut or widened, the projections of one layer cut, rows that modules replicate, and keys, values and masks of a
prefix that do not fit. Right is the same shape, or an exception in the module that was named.
"""

from __future__ import annotations

import argparse
import random
import sys
import warnings
from collections import Counter
from collections.abc import Callable, Iterator
from typing import Any

from adaptlint.dataflow.changes import Changes, Resize
from adaptlint.dataflow.propagate import propagate
from tests.dataflow import test_edits, test_prefix, test_replication, test_widths

SIZES = {"batch": 2, "seq": 7, "decoder_seq": 5}
RIGHT, UNKNOWN = "right", "unknown"
OUTCOMES = (RIGHT, UNKNOWN, "false conflict", "missed", "another module", "another shape")

Drawn = Iterator[str]


def outcome(moved: Any, real: tuple[str, Any]) -> str:
    """What a prediction is worth: `real` is the module that raised, or "" and the first output's shape (or None)."""
    module, seen = real
    if moved.conflict is not None:
        if not module:
            return "false conflict"
        return RIGHT if module == moved.conflict.module else "another module"
    if moved.unknown:
        return UNKNOWN
    if module:
        return "missed"
    return RIGHT if seen is None or seen == next(iter(moved.outputs.values())) else "another shape"


def widths(draw: random.Random, n: int) -> Drawn:
    """Weights of any module, cut or widened."""
    for name, backend in test_replication.PAIRS:
        graph, model = test_replication.graph_of(name, backend), test_replication.model_of(name, backend)
        sizes = {symbol: SIZES[symbol] for symbol in graph.symbols}
        for _ in range(n):
            shapes = test_widths.resized(draw, model)
            real = test_replication.really(test_widths.with_weights(model, shapes), sizes, {})
            yield outcome(propagate(graph, sizes, Changes(shapes)), real)


def layers(draw: random.Random, n: int) -> Drawn:
    """Projections of one layer of a Llama, together or each on its own."""
    graph = test_replication.graph_of("tiny-llama", "eager")
    for _ in range(n * 4):
        shapes = test_edits.drawn(draw.randrange(1 << 30))
        _, module = test_edits.really(shapes)
        yield outcome(propagate(graph, test_edits.SIZES, test_edits.leaves(shapes)), (module, None))


def rows(draw: random.Random, n: int) -> Drawn:
    """Batches that some modules repeat."""
    for name, backend in test_replication.PAIRS:
        graph, model = test_replication.graph_of(name, backend), test_replication.model_of(name, backend)
        for _ in range(n):
            factors = test_replication.drawn(draw, model)
            sizes = {symbol: SIZES[symbol] for symbol in graph.symbols} | {"batch": draw.choice((1, 2))}
            changes = Changes(modules={path: Resize(times=factor) for path, factor in factors.items()})
            yield outcome(propagate(graph, sizes, changes), test_replication.really(model, sizes, factors))


def prefixes(draw: random.Random, n: int) -> Drawn:
    """Keys and values that are handed in, of one layer or of all, and the mask that comes with them."""
    for name, backend in test_prefix.PAIRS:
        graph = test_prefix.graph_of(name, backend)
        model = test_replication.model_of(name, backend)
        for _ in range(n):
            changed = resized_prefix(draw, graph)
            raised, _ = test_prefix.really(model, graph, changed)
            yield outcome(propagate(graph, test_prefix.SIZES, Changes(inputs=changed)), (raised, None))


def resized_prefix(draw: random.Random, graph: Any) -> dict[str, Resize]:
    """One axis of the same kind in some of the tensors that are handed in; the axis of the prefix in a mask."""
    past = [name for name in graph.inputs if name.startswith("past.")]
    pairs = [past[at : at + 2] for at in range(0, len(past), 2)]
    chosen = draw.choice([draw.choice(pairs), past, past[::2], [draw.choice(past)], ["attention_mask"]])
    axis = draw.randrange(2 if chosen == ["attention_mask"] else 4)
    resize = draw.choice((Resize(axis=axis, plus=1), Resize(axis=axis, plus=-1), Resize(axis=axis, times=2)))
    return {name: resize for name in chosen if name in graph.inputs}


KINDS: dict[str, Callable[[random.Random, int], Drawn]] = {
    "widths": widths,
    "layers": layers,
    "rows": rows,
    "prefixes": prefixes,
}


def main(arguments: list[str]) -> int:
    """Draw, run, count; 1 where less than 99 of 100 told ones are right, or a conflict is a false one."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--n", type=int, default=40, help="changes of each kind for each model and backend")
    parser.add_argument("--seed", type=int, default=random.randrange(1 << 30))
    options = parser.parse_args(arguments)
    warnings.simplefilter("ignore")
    print(f"seed {options.seed}")
    whole: Counter[str] = Counter()
    for name, kind in KINDS.items():
        found = Counter(kind(random.Random(f"{name} {options.seed}"), options.n))
        print(f"{name}: {', '.join(f'{found[key]} {key}' for key in OUTCOMES)}", flush=True)
        whole += found
    told = whole.total() - whole[UNKNOWN]
    print(f"in all {whole.total()}: {whole[RIGHT]} of {told} told are right ({100 * whole[RIGHT] / told:.2f} %)")
    return int(whole[RIGHT] < 0.99 * told or whole["false conflict"] > 0)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
