"""The calls of a recorded graph as repeats, whose number is all that depth changes (runtimes/adapters/recorded.py)."""

from __future__ import annotations

from typing import Any

from adaptlint.dataflow.flow_graph import FlowGraph, Run
from adaptlint.dataflow.fold import joined
from tests.dataflow.unfolding import apart

COLLECTED = 2
"""So many values from outside of its own operations make what a module returns a collection."""
LONGEST = 16
"""Calls in a cycle: six layers of two calls each are the most that an architecture takes turns with."""


def with_repeats(graph: FlowGraph) -> dict[str, Any]:
    """The graph as a table keeps it, before sizes become expressions."""
    calls, outputs = apart(graph.runs, graph.outputs)
    regions = _regions(calls)
    ends = [begin + length for begin, length, _ in regions]

    def named(place: int, own: int) -> list[int]:
        number = next(k for k, end in enumerate(ends) if place < end)
        return [1 + number, ends[number] - place] if number != own else []

    repeats = []
    for number, (begin, length, period) in enumerate(regions):

        def taken(at: int, own: int = number) -> list[list[int]]:
            return [[*(named(ref[0], own) or [0, at - ref[0]]), ref[1], ref[2]] for ref in calls[at].given]

        cycle: list[list[Any]] = []
        for at in range(begin, begin + period):
            later = at + period if at + period < begin + length else None
            step = 0 if later is None else calls[later].first - calls[at].first
            then = [] if later is None else taken(later)
            cycle.append([calls[at].template, calls[at].prefix, calls[at].first, step, taken(at), then])
        repeats.append({"calls": length, "cycle": cycle})
    told = {name: [*named(ref[0], -1), ref[1], ref[2]] for name, ref in outputs.items()}
    rest = {n: v for n, v in graph.to_json().items() if n not in ("runs", "outputs", "constants", "assumed", "format")}
    return {**rest, "outputs": told, "repeats": repeats}


def without_collected(graph: FlowGraph) -> FlowGraph:
    """The graph without what a module only collects from all layers (DeBERTa's encoder returns every hidden state).

    Such a list is as long as the model is deep; its members are outputs of other modules, and nothing else reads them.
    """
    calls, outputs = apart(graph.runs, graph.outputs)
    templates = [*graph.templates]
    for number, template in enumerate(templates):
        modules = [(path, _own(refs) if path[:1] != "." else refs) for path, refs in template.modules]
        if modules == [*map(tuple, template.modules)]:
            continue
        rest = template._replace(modules=modules)
        used = sorted(_outside([rest.nodes, rest.guards, modules]), reverse=True)
        renamed = {old: -1 - at for at, old in enumerate(used)}
        nodes = [
            node._replace(args=_renamed(node.args, renamed), kwargs=_renamed(node.kwargs, renamed))
            for node in rest.nodes
        ]
        guards = [g._replace(left=_renamed(g.left, renamed), right=_renamed(g.right, renamed)) for g in rest.guards]
        told = [(path, [(renamed.get(n, n), o) for n, o in refs]) for path, refs in modules]
        templates[number] = rest._replace(nodes=nodes, guards=guards, modules=told)
        calls = [
            call._replace(given=[call.given[-1 - old] for old in used]) if call.template == number else call
            for call in calls
        ]
    runs, outputs = joined(calls, outputs)
    return graph._replace(templates=templates, runs=runs, outputs=outputs)


def _own(refs: list[tuple[int, int]]) -> list[tuple[int, int]]:
    """What a module between layers returns, without a collection from outside of its own operations."""
    return [(n, o) for n, o in refs if n >= 0] if sum(n < 0 for n, _ in refs) >= COLLECTED else refs


def _outside(value: Any) -> set[int]:
    """The values from outside that these operations take."""
    if isinstance(value, dict) and "n" in value:
        return {value["n"][0]} if value["n"][0] < 0 else set()
    if isinstance(value, dict):
        return set().union(*map(_outside, value.values())) if value else set()
    if isinstance(value, list | tuple):
        own = {value[1]} if len(value) == 4 and value[0] == "size" and value[1] < 0 else set()
        if len(value) == 2 and isinstance(value[0], str) and isinstance(value[1], list):  # a module and its values
            return {n for n, _ in value[1] if n < 0} if all(_is_ref(ref) for ref in value[1]) else set()
        return own.union(*map(_outside, value)) if value else own
    return set()


def _is_ref(value: Any) -> bool:
    return isinstance(value, list | tuple) and len(value) == 2 and all(type(part) is int for part in value)


def _renamed(value: Any, names: dict[int, int]) -> Any:
    if isinstance(value, dict) and "n" in value:
        return {"n": [names.get(value["n"][0], value["n"][0]), value["n"][1]]}
    if isinstance(value, dict):
        return {name: _renamed(part, names) for name, part in value.items()}
    if isinstance(value, list) and len(value) == 4 and value[0] == "size":
        return ["size", names.get(value[1], value[1]), value[2], value[3]]
    return [_renamed(part, names) for part in value] if isinstance(value, list) else value


def _regions(calls: list[Run]) -> list[tuple[int, int, int]]:
    """(first call, number of calls, calls in a cycle) of each repeat, in order."""
    found: list[tuple[int, int, int]] = []
    at = 0
    while at < len(calls):
        lengths = [(_length(calls, at, period), -period) for period in range(1, LONGEST + 1)]
        length, period = max((length, p) for length, p in lengths if length >= -2 * p or p == -1)
        if length < -2 * period:
            length, period = 1, -1
        found.append((at, length, -period))
        at += length
    return found


def _length(calls: list[Run], begin: int, period: int) -> int:
    """How many calls from `begin` on are a repeat of so long a cycle."""
    end = begin + period
    while end < len(calls) and _again(calls, begin, end, period):
        end += 1
    return min(end, len(calls)) - begin


def _again(calls: list[Run], begin: int, at: int, period: int) -> bool:
    """Whether a call is that of one cycle before, once more."""
    call, before = calls[at], calls[at - period]
    step = call.first - before.first
    if (call.template, call.prefix) != (before.template, before.prefix) or step < 0:
        return False
    if at < begin + 2 * period:
        return True
    shifted = [(ref[0] + period if ref[0] >= begin else ref[0], ref[1], ref[2]) for ref in before.given]
    return step == before.first - calls[at - 2 * period].first and shifted == [*map(tuple, call.given)]
