"""Channels that leave the batch axis: where a forward folds replicated rows into its positions or its heads."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

from adaptlint.dataflow.flow_graph import FlowGraph, Shape, path_in
from adaptlint.dataflow.propagate import Moved


class Leak(NamedTuple):
    """The first operation whose result has the channels on another axis than the first."""

    op: str
    module: str
    source: str
    shape: Shape
    usual: Shape


def first_leak(graph: FlowGraph, moved: Moved, usual: Moved, channels: int, longer: frozenset[int]) -> Leak | None:
    """`usual` is the run without any adapter; `longer` says by how much prefixes and prompts may lengthen an axis."""
    before = {(number, index): outputs for number, _, index, outputs in _nodes(usual, graph, {})}
    for number, call, index, outputs in _nodes(moved, graph, before):
        known = before.get((number, index), "")
        if isinstance(outputs, str) or isinstance(known, str):
            continue
        for value, was in zip(outputs, known, strict=False):
            if _is_leak(value.shape, was.shape, channels, longer):
                run = graph.runs[number]
                node = graph.templates[run.template].nodes[index]
                module = path_in(run.layer(call), node.module)
                return Leak(node.op, module, node.source, value.shape, was.shape)
    return None


def _nodes(moved: Moved, graph: FlowGraph, usual: Mapping[tuple[int, int], Any]) -> Iterator[tuple[int, int, int, Any]]:
    """(run, call, node, what it gave); of calls that gave the very same, against the very same, the first alone."""
    seen: set[tuple[object, ...]] = set()
    for calls in moved.calls:
        template = graph.runs[calls.run].template
        last = len(calls.results) - 1
        key = (template, id(calls.results[-1]), id(usual.get((calls.run, last)))) if calls.results else (template,)
        if usual and key in seen:
            continue
        seen.add(key)
        for index, outputs in enumerate(calls.results):
            yield calls.run, calls.first, index, outputs


def _is_leak(shape: Shape, usual: Shape, channels: int, longer: frozenset[int]) -> bool:
    sizes = zip(shape[1:], usual[1:], strict=False)
    return len(shape) == len(usual) and any(
        now == was * channels and was > 1 and now - was not in longer for now, was in sizes
    )
