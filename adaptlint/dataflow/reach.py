"""Whether a model's forward stands given sizes, and which is the largest that it stands."""

from __future__ import annotations

from collections.abc import Mapping

from adaptlint.dataflow.calls import FlowConflict
from adaptlint.dataflow.flow_graph import FlowGraph
from adaptlint.dataflow.load import FlowProblem, load_flow
from adaptlint.dataflow.propagate import propagate
from adaptlint.dataflow.symbols import probes
from adaptlint.named_tuple import NamedTuple


class Reached(NamedTuple):
    """The first operation that cannot be at these sizes, None if all can; `longest`: the largest size that can be."""

    conflict: FlowConflict | None
    longest: int | None = None


def reach(model: str, model_class: str | None, sizes: Mapping[str, int], symbol: str, *, cache: bool = True) -> Reached:
    """Run the recorded forward with these numbers put in; `symbol` is the size whose largest value is looked for.

    Sizes that the forward does not have are left out. Raises FlowProblem where there is no graph, or none that holds.
    """
    graph, _ = load_flow(model, model_class, "eager", cache=cache)
    known = {name: size for name, size in sizes.items() if name in graph.symbols}
    if _conflict(graph, {}) is not None:
        raise FlowProblem("The recorded forward does not stand its own sizes.")
    conflict = _conflict(graph, known)
    if conflict is None or symbol not in known:
        return Reached(conflict)
    low, high = 0, known[symbol]  # the largest size that stands is in between
    while high - low > 1:
        middle = (low + high) // 2
        stands = _conflict(graph, {**known, symbol: middle}) is None
        low, high = (middle, high) if stands else (low, middle)
    return Reached(conflict, low)


def _conflict(graph: FlowGraph, sizes: Mapping[str, int]) -> FlowConflict | None:
    vector = probes(graph.symbols, graph.constants, sizes)[0]
    return propagate(graph, vector).conflict
