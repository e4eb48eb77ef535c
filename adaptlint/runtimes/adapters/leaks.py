"""Channels that leave the batch axis: where a forward folds replicated rows into its positions or its heads."""

from __future__ import annotations

from adaptlint.dataflow.flow_graph import FlowGraph, Shape, path_in
from adaptlint.dataflow.propagate import Moved
from adaptlint.named_tuple import NamedTuple


class Leak(NamedTuple):
    """The first operation whose result has the channels on another axis than the first."""

    op: str
    module: str
    source: str
    shape: Shape
    usual: Shape


def first_leak(graph: FlowGraph, moved: Moved, usual: Moved, channels: int, longer: frozenset[int]) -> Leak | None:
    """`usual` is the run without any adapter; `longer` says by how much prefixes and prompts may lengthen an axis."""
    before = {calls.run: calls.results for calls in usual.calls}
    seen: set[tuple[object, ...]] = set()
    for calls in moved.calls:
        known, template = before.get(calls.run, []), graph.runs[calls.run].template
        key = (template, *(id(results[-1]) for results in (calls.results, known) if results))
        if key in seen:  # the very same against the very same
            continue
        seen.add(key)
        for node, outputs, were in zip(graph.templates[template].nodes, calls.results, known, strict=False):
            if isinstance(outputs, str) or isinstance(were, str):
                continue
            for value, was in zip(outputs, were, strict=False):
                if value.shape != was.shape and _is_leak(value.shape, was.shape, channels, longer):
                    module = path_in(graph.runs[calls.run].layer(calls.first), node.module)
                    return Leak(node.op, module, node.source, value.shape, was.shape)
    return None


def _is_leak(shape: Shape, usual: Shape, channels: int, longer: frozenset[int]) -> bool:
    sizes = zip(shape[1:], usual[1:], strict=False)
    return len(shape) == len(usual) and any(
        now == was * channels and was > 1 and now - was not in longer for now, was in sizes
    )
