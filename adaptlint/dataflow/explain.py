"""Why a changed forward does not fit: where it raises, who made both sides, and where it first went wrong.

A forward that is given more rows by an adapter often fails late. The cause is the first operation that lets the factor
out of the batch axis, such as a view whose -1 takes it into the heads.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from adaptlint.dataflow.calls import FlowConflict
from adaptlint.dataflow.changes import Changes
from adaptlint.dataflow.flow_graph import FlowGraph, path_in
from adaptlint.dataflow.propagate import Moved, propagate
from adaptlint.dataflow.symbols import Dim, Shape, decode_shapes, probes
from adaptlint.dataflow.value import Value
from adaptlint.hints import Any
from adaptlint.named_tuple import NamedTuple

MAKERS = ("linear", "addmm", "conv1d", "conv2d", "conv3d", "embedding")
BATCH = "batch"


class Leak(NamedTuple):
    """The first operation that lets a factor out of the batch axis: what it took and what it gave, in symbols."""

    op: str
    module: str
    source: str
    taken: list[Dim] | None
    given: list[Dim] | None


class Explained(NamedTuple):
    """What the changed forward does.

    `conflict` is None where it runs; `unknown` then says whether something was left untold. `operands` are the
    conflict's sides in symbols, None where these are no simple expressions; `makers` the modules they come from.
    `at_one`: a batch of one hides the conflict, since a size of one stretches.
    """

    conflict: FlowConflict | None
    unknown: str
    operands: list[list[Dim]] | None
    makers: list[str]
    leak: Leak | None
    at_one: bool

    def text(self) -> str:
        """The conflict in words: operation, layers, source line, both sides with their makers, and the cause."""
        conflict = self.conflict
        if conflict is None:
            return ""
        sides = [conflict.text]
        if self.operands is not None and len(self.operands) <= len(self.makers):
            pairs = zip(self.operands, self.makers, strict=False)
            sides = [f"{_shape(dims)}{f' from {maker}' if maker else ''}" for dims, maker in pairs]
        parts = [f"{conflict.op} in {conflict.folded} ({conflict.source}) cannot take {' and '.join(sides)}"]
        leak = self.leak
        if leak is not None and leak.taken and leak.given:
            before = f"{leak.op} ({leak.source}) makes {_shape(leak.given)} of {_shape(leak.taken)}"
            parts.append(f"the rows leave the batch axis before, where {before}")
        if self.at_one:
            parts.append("a batch of one hides it, since a size of one stretches")
        return "; ".join(parts)


def explain(graph: FlowGraph, changes: Changes) -> Explained:
    """Run the forward with these changes under a few sizes, and say what becomes of it."""
    extra = _symbols(changes)
    vectors = probes([*graph.symbols, *extra], graph.constants)[:2]
    moves = [propagate(graph, vector, changes) for vector in vectors]
    conflict = moves[0].conflict
    unknown = next((reason for moved in moves for reason in moved.unknown.values()), "")
    leak = _leak(graph, changes, vectors, moves) if extra else None
    if conflict is None:
        return Explained(None, unknown, None, [], leak, False)
    other = moves[1].conflict
    same = other is not None and (other.run, other.node, len(other.operands)) == (
        conflict.run,
        conflict.node,
        len(conflict.operands),
    )
    shapes = decode_shapes([(conflict.operands, vectors[0]), (other.operands, vectors[1])]) if same and other else ""
    alone = propagate(graph, {**vectors[0], BATCH: 1}, changes)
    at_one = alone.conflict is None and not alone.unknown
    operands = None if isinstance(shapes, str) else shapes
    return Explained(conflict, "", operands, makers_of(graph, conflict), leak, at_one)


def _shape(dims: list[Dim]) -> str:
    return f"({', '.join(map(str, dims))})"


def _symbols(changes: Changes) -> list[str]:
    """The names that changes multiply or add."""
    resizes = [*changes.modules.values(), *changes.inputs.values()]
    return [*dict.fromkeys(each for one in resizes for each in (one.times, one.plus) if isinstance(each, str))]


def makers_of(graph: FlowGraph, conflict: FlowConflict) -> list[str]:
    """The module or parameter behind each tensor that the operation takes: the last that multiplied by a weight."""
    run = graph.runs[conflict.run]
    node = graph.templates[run.template].nodes[conflict.node]
    taken = _flat([*node.args, *node.kwargs.values()])
    return [_maker(graph, conflict.run, conflict.call, part["n"][0]) for part in taken]


def _maker(graph: FlowGraph, number: int, call: int, index: int) -> str:
    """The path of a module or parameter; "" for the model's own code."""
    while True:
        run = graph.runs[number]
        if index < 0:
            before, index, _ = (run.then if call else run.given)[-1 - index]
            call = call - 1 if before == number else graph.runs[before].times - 1
            number = before
            continue
        node = graph.templates[run.template].nodes[index]
        first = next((part["n"][0] for part in _flat([*node.args, *node.kwargs.values()])), None)
        if not node.op and node.args:
            return path_in(run.layer(call), node.args[0])
        if node.op in MAKERS or first is None:
            return path_in(run.layer(call), node.module)
        index = first


def _flat(arguments: list[Any]) -> Iterator[dict[str, Any]]:
    for argument in arguments:
        if isinstance(argument, list):
            yield from _flat(argument)
        elif isinstance(argument, dict) and "n" in argument:
            yield argument
        elif isinstance(argument, dict) and "a" in argument:
            yield {"n": [argument["a"], 0]}


def _leak(graph: FlowGraph, changes: Changes, vectors: list[dict[str, int]], moves: list[Moved]) -> Leak | None:
    """The first operation whose result has a factor on another axis than the batch's; `moves` are the changed runs."""
    factors = [one.times for one in [*changes.modules.values(), *changes.inputs.values()] if isinstance(one.times, str)]
    if not factors or BATCH not in vectors[0]:
        return None
    before, changed = _by_node(propagate(graph, vectors[0])), [_by_node(moved) for moved in moves]
    factor, batch = vectors[0][factors[0]], vectors[0][BATCH]
    for place, outputs in changed[0].items():
        usual = before.get(place)
        if isinstance(outputs, str) or usual is None or isinstance(usual, str):
            continue
        for value, was in zip(outputs, usual, strict=False):
            if _leaves_batch(value.shape, was.shape, factor, batch):
                return _told(graph, place, changed, vectors)
    return None


def _leaves_batch(shape: Shape, usual: Shape, factor: int, batch: int) -> bool:
    """Whether some axis that holds no batch has the factor."""
    sizes = zip(shape, usual, strict=False)
    return len(shape) == len(usual) and any(now == was * factor and was % batch for now, was in sizes)


def _by_node(moved: Moved) -> dict[tuple[int, int, int], Any]:
    """(run, call, node) -> what it gave; of equal calls only the first is there."""
    return {
        (calls.run, calls.first, index): results for calls in moved.calls for index, results in enumerate(calls.results)
    }


def _told(
    graph: FlowGraph, place: tuple[int, int, int], runs: Sequence[Mapping[Any, Any]], vectors: list[dict[str, int]]
) -> Leak:
    number, call, index = place
    run = graph.runs[number]
    node = graph.templates[run.template].nodes[index]
    taken = next((part["n"] for part in _flat([*node.args, *node.kwargs.values()])), None)
    given = _symbolic([_value(results[place], 0) for results in runs], vectors)
    before = None
    if taken is not None and taken[0] >= 0:
        before = _symbolic([_value(results[number, call, taken[0]], taken[1]) for results in runs], vectors)
    return Leak(node.op, path_in(run.layer(call), node.module), node.source, before, given)


def _value(outputs: Any, output: int) -> Value | None:
    return None if isinstance(outputs, str) or len(outputs) <= output else outputs[output]


def _symbolic(values: list[Value | None], vectors: list[dict[str, int]]) -> list[Dim] | None:
    shapes = [([value.shape], vector) for value, vector in zip(values, vectors, strict=True) if value is not None]
    found = decode_shapes(shapes) if len(shapes) == len(vectors) else ""
    return None if isinstance(found, str) else found[0]
