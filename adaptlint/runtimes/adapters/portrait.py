"""A composition as the JSON report has it: the shapes of one forward, and the tree with what goes along its edges.

Sizes that were asked for or are implied are numbers in it, the others stand in expressions such as "2*batch".
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence

from adaptlint.dataflow.flow_graph import FlowGraph, Node, Shape, path_in
from adaptlint.dataflow.propagate import Moved, Outputs, Results, propagate
from adaptlint.dataflow.symbols import Dim, decode_shapes, probes
from adaptlint.findings import fold_paths
from adaptlint.hints import Any
from adaptlint.named_tuple import NamedTuple
from adaptlint.runtimes.adapters.composition import Block, drawn
from adaptlint.runtimes.adapters.judging import Composed, Outcome
from adaptlint.runtimes.adapters.walk import KINDS, HubLayers
from adaptlint.runtimes.prediction import Request

Dims = list[Dim]
Sizes = Mapping[str, int]


class Portrait(NamedTuple):
    """`shapes` and `composition` of the report."""

    shapes: dict[str, object]
    composition: dict[str, object]


class Seen(NamedTuple):
    """One walk and its sizes; `also` is a second one with primes for the sizes that stay symbols, None without such."""

    graph: FlowGraph
    moved: Moved
    sizes: Sizes
    also: tuple[Moved, Sizes] | None

    def dims(self, here: Iterable[Shape], there: Iterable[Shape] | None) -> list[Dims]:
        """Shapes of the walk, as the same ones in the second let them be read; as they are where it has none."""
        shapes = list(here)
        if self.also is None or there is None:
            return [list(shape) for shape in shapes]
        found = decode_shapes([(list(there), self.also[1]), (shapes, self.sizes)])
        return [list(shape) for shape in shapes] if isinstance(found, str) else found


def portrait_of(
    graph: FlowGraph, composed: Composed, outcome: Outcome, request: Request, sizes: Sizes
) -> Portrait | None:
    """Both parts; None of a forward that was never walked."""
    if outcome.moved is None or outcome.layers is None:
        return None
    given = {name: sizes[name] for name in graph.symbols if getattr(request, name, None) or _is_fixed(name, composed)}
    also = None
    if len(given) < len(graph.symbols):
        (vector, *_) = probes(graph.symbols, graph.constants, given)
        also = (propagate(graph, vector, layers=composed.layers()), vector)
    seen = Seen(graph, outcome.moved, sizes, also)
    inputs = {name: [sizes[axis] if axis in given else axis for axis in axes] for name, axes in graph.inputs.items()}
    shapes: dict[str, object] = {
        "inputs": inputs,
        "outputs": _outputs(seen, outcome),
        "sites": _sites(seen, outcome.layers),
    }
    return Portrait(shapes, _composition(composed.setup, outcome, seen, given.get("batch", "batch")))


def _is_fixed(name: str, composed: Composed) -> bool:
    kinds = {block.kind for block in composed.setup.blocks()}
    return "BatchSplit" in kinds if name == "batch" else "Split" in kinds


def _outputs(seen: Seen, outcome: Outcome) -> dict[str, Dims]:
    """The model's outputs: those that it has at any sizes."""
    there = seen.also[0].outputs if seen.also is not None else outcome.outputs
    return {name: seen.dims([shape], [there[name]])[0] for name, shape in outcome.outputs.items() if name in there}


def _sites(seen: Seen, layers: HubLayers) -> list[dict[str, object]]:
    """Every layer of the library with who stands there and what it gives, equal ones as one path."""
    grouped: dict[tuple[Any, ...], list[str]] = {}
    known: dict[tuple[object, ...], tuple[Any, ...]] = {}
    there: dict[tuple[int, int], Results] = {}
    if seen.also is not None:
        there = {(c.run, call): c.results for c in seen.also[0].calls for call in range(c.first, c.first + c.times)}
    for calls in seen.moved.calls:
        run = seen.graph.runs[calls.run]
        for call in range(calls.first, calls.first + calls.times):
            layer, others = run.layer(call), there.get((calls.run, call), [])
            left = layers.left_in(layer)
            for at, node in _given(seen.graph.templates[run.template].nodes, calls.results):
                here, other = _shapes(calls.results[at]), _shapes(others[at]) if at < len(others) else None
                key = (run.template, at, left, here, other)
                told = known.get(key)
                if told is None:
                    told = known[key] = _site(seen, layers, node, path_in(layer, node.module), here, other)
                grouped.setdefault(told, []).append(path_in(layer, node.module))
    return [
        {"module": path, "kind": kind, "adapters": [*names], "out": [list(shape) for shape in shapes]}
        for (kind, names, shapes), paths in grouped.items()
        for path in fold_paths(dict.fromkeys(paths))
    ]


def _given(nodes: Sequence[Node], results: Results) -> Iterator[tuple[int, Node]]:
    """The library's layers among the nodes that gave something."""
    for at, (node, outputs) in enumerate(zip(nodes, results, strict=False)):
        if node.op.startswith("hub.") and outputs and not isinstance(outputs, str):
            yield at, node


def _shapes(outputs: Outputs | str) -> tuple[Shape, ...] | None:
    return None if isinstance(outputs, str) else tuple(value.shape for value in outputs)


def _site(
    seen: Seen,
    layers: HubLayers,
    node: Node,
    module: str,
    here: tuple[Shape, ...] | None,
    other: tuple[Shape, ...] | None,
) -> tuple[Any, ...]:
    """What the report says of one layer, but for its path."""
    kind = KINDS.get(node.op)
    names = tuple(layers.standing_at(kind, module, node.kwargs)) if kind else ()
    return node.op[4:], names, tuple(tuple(shape) for shape in seen.dims(here or (), other))


def _composition(setup: Block, outcome: Outcome, seen: Seen, batch: Dim) -> dict[str, object]:
    """Blocks and adapters as nodes, with the rows that each is given on its edge; what breaks with both its sides."""
    told = drawn(setup, batch)
    nodes, edges = told["nodes"], told["edges"]
    conflict = outcome.conflict
    if conflict is not None:
        other = seen.also[0].conflict if seen.also is not None else None
        same = other is not None and other[5:8] == conflict[5:8]  # node, run and call
        dims = seen.dims(conflict.operands, other.operands if other is not None and same else None)
        nodes.append({"id": "site", "kind": "site", "adapter": None, "module": conflict.folded})
        edges.append({"from": "0", "to": "site", "dims": dims, "conflict": (outcome.error or ("", ""))[1]})
    return {**told}
