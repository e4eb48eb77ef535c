"""A composition as the JSON report has it: the shapes of one forward, and the tree with what goes along its edges."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from adaptlint.dataflow.flow_graph import FlowGraph, Shape, path_in
from adaptlint.dataflow.propagate import propagate
from adaptlint.dataflow.symbols import decode_shapes, probes
from adaptlint.findings import fold_paths
from adaptlint.runtimes.adapters.composition import Block
from adaptlint.runtimes.adapters.judging import Composed, Outcome
from adaptlint.runtimes.prediction import Request

Dims = list[Any]


def shapes_of(
    graph: FlowGraph, composed: Composed, outcome: Outcome, request: Request, sizes: Mapping[str, int]
) -> dict[str, object]:
    """`shapes` of the report: numbers for sizes that were asked for or are implied, expressions for the others."""
    given = {name: sizes[name] for name in graph.symbols if getattr(request, name, None) or _is_fixed(name, composed)}
    runs: list[tuple[Mapping[str, Shape], Mapping[str, int]]] = [(outcome.outputs, sizes)]
    if outcome.outputs and len(given) < len(graph.symbols):
        (vector, *_) = probes(graph.symbols, graph.constants, given)
        runs.insert(0, (propagate(graph, vector, layers=composed.layers()).outputs, vector))
    outputs = {
        name: _dims([(outputs[name], vector) for outputs, vector in runs])
        for name in outcome.outputs
        if all(name in outputs for outputs, _ in runs)
    }
    inputs = {name: [sizes[axis] if axis in given else axis for axis in axes] for name, axes in graph.inputs.items()}
    return {"inputs": inputs, "outputs": outputs, "sites": _sites(graph, outcome)}


def _is_fixed(name: str, composed: Composed) -> bool:
    kinds = {block.kind for block in composed.setup.blocks()}
    return "BatchSplit" in kinds if name == "batch" else "Split" in kinds


def _dims(seen: list[tuple[Shape, Mapping[str, int]]]) -> Dims:
    if len(seen) == 1:
        return list(seen[0][0])
    found = decode_shapes([([shape], vector) for shape, vector in seen])
    return list(seen[0][0]) if isinstance(found, str) else found[0]


def _sites(graph: FlowGraph, outcome: Outcome) -> list[dict[str, object]]:
    """Every layer of the library with what it gives, equal ones as one path."""
    grouped: dict[tuple[str, tuple[Shape, ...]], list[str]] = {}
    moved = outcome.moved
    for calls in moved.calls if moved is not None else ():
        run = graph.runs[calls.run]
        for node, results in zip(graph.templates[run.template].nodes, calls.results, strict=False):
            if node.op.startswith("hub.") and results and not isinstance(results, str):
                shapes = tuple(value.shape for value in results)
                for call in range(calls.first, calls.first + calls.times):
                    grouped.setdefault((node.op[4:], shapes), []).append(path_in(run.layer(call), node.module))
    return [
        {"module": path, "kind": kind, "out": [list(shape) for shape in shapes]}
        for (kind, shapes), paths in grouped.items()
        for path in fold_paths(dict.fromkeys(paths))
    ]


def composition_of(composed: Composed, outcome: Outcome, sizes: Mapping[str, int]) -> dict[str, object]:
    """`composition` of the report: blocks and adapters as nodes, with the rows that each is given on its edge."""
    nodes: list[dict[str, object]] = []
    edges: list[dict[str, object]] = []
    _draw(composed.setup, "0", sizes.get("batch", 1), nodes, edges)
    conflict = outcome.conflict
    if conflict is not None:
        nodes.append({"id": "site", "kind": "site", "adapter": None, "module": conflict.folded})
        dims = [list(shape) for shape in conflict.operands]
        edges.append({"from": "0", "to": "site", "dims": dims, "conflict": (outcome.error or ("", ""))[1]})
    return {"nodes": nodes, "edges": edges}


def _draw(block: Block, at: str, rows: int, nodes: list[dict[str, object]], edges: list[dict[str, object]]) -> None:
    name = block.name or None
    nodes.append({"id": at, "kind": block.kind or "adapter", "adapter": name, "module": None})
    sizes = block.sizes("batch_sizes") if block.kind == "BatchSplit" else [rows] * len(block.children)
    for number, (child, share) in enumerate(zip(block.children, sizes, strict=False)):
        edges.append({"from": at, "to": f"{at}.{number}", "dims": [share], "conflict": None})
        _draw(child, f"{at}.{number}", share, nodes, edges)
