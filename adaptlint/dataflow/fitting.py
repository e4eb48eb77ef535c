"""Which other weights have to change so that a forward with some weights of other sizes still runs.

A pruned model is a consistent set of sizes: what is cut from the outputs of one projection is cut from the inputs of
the next. The forward itself says which: wherever it stops, the side that nobody has resized yet is resized to fit.
"""

from __future__ import annotations

from collections.abc import Mapping

from adaptlint.dataflow.calls import FlowConflict
from adaptlint.dataflow.changes import Changes
from adaptlint.dataflow.explain import makers_of
from adaptlint.dataflow.flow_graph import FlowGraph, Shape, path_in
from adaptlint.dataflow.propagate import propagate
from adaptlint.dataflow.symbols import probes
from adaptlint.named_tuple import NamedTuple

MAX_STEPS = 64


class Fitted(NamedTuple):
    """`shapes`: further parameters, by name, that have to be of these shapes. `conflict`: what none of them mends.

    `unknown` is a reason why nobody can tell, "" where the answer is certain.
    """

    shapes: dict[str, Shape]
    conflict: FlowConflict | None
    unknown: str


def fitted(graph: FlowGraph, given: Mapping[str, Shape]) -> Fitted:
    """The weights that have to change with those that are given, in (out, in) as nn.Linear holds them."""
    sizes = probes(graph.symbols, graph.constants)[0]
    usual = leaf_shapes(graph)
    shapes: dict[str, Shape] = {}
    for _ in range(MAX_STEPS):
        moved = propagate(graph, sizes, Changes({**given, **shapes}))
        conflict = moved.conflict
        if conflict is None:
            return Fitted(shapes, None, next(iter(moved.unknown.values()), ""))
        step = _resized(graph, conflict, {**usual, **given, **shapes}, usual, {*given, *shapes})
        if not step:
            return Fitted(shapes, conflict, "")
        shapes.update(step)
    return Fitted(shapes, None, f"more than {MAX_STEPS} sizes would have to change")


def leaf_shapes(graph: FlowGraph) -> dict[str, Shape]:
    """Parameters and buffers as they were recorded, by name."""
    found: dict[str, Shape] = {}
    for run in graph.runs:
        for node in graph.templates[run.template].nodes:
            if not node.op and node.args:
                for call in range(run.times):
                    found[path_in(run.layer(call), node.args[0])] = node.shapes[0]
    return found


def _resized(
    graph: FlowGraph,
    conflict: FlowConflict,
    shapes: Mapping[str, Shape],
    usual: Mapping[str, Shape],
    changed: set[str],
) -> dict[str, Shape]:
    """The weight that gives way in the operation that failed, in every layer that is changed alike."""
    makers = makers_of(graph, conflict)
    run = graph.runs[conflict.run]
    if conflict.op == "linear" and len(makers) > 1 and len(conflict.operands) > 1:
        name, wanted = makers[1], conflict.operands[0][-1]
        if name in changed or name not in usual:
            return {}
        step = {name: (usual[name][0], wanted)}
    else:
        weights = [name if name in usual else f"{name}.weight" for name in makers]
        resized = [name for name in weights if name in changed and name in usual]
        fixed = [name for name in weights if name not in changed and len(usual.get(name, ())) == 2]
        if not resized or not fixed:
            return {}
        now, before = shapes[resized[0]][0], usual[resized[0]][0]
        rows = usual[fixed[0]][0] * now
        if rows % before:
            return {}
        step = {fixed[0]: (rows // before, usual[fixed[0]][1])}
    return {
        path_in(run.layer(call), _in_layer(name, run.layer(conflict.call))): shape
        for name, shape in step.items()
        for call in range(conflict.call, conflict.call + conflict.layers)
    }


def _in_layer(name: str, layer: str) -> str:
    return name[len(layer) :] if layer and name.startswith(layer + ".") else name
