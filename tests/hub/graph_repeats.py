"""The calls of a recorded graph as repeats, whose number is all that depth changes (runtimes/adapters/recorded.py)."""

from __future__ import annotations

from typing import Any

from adaptlint.dataflow.flow_graph import FlowGraph, Ref, Run

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


def apart(runs: list[Run], outputs: dict[str, Ref]) -> tuple[list[Run], dict[str, Ref]]:
    """The inverse of `fold.joined`: a run for every call."""
    calls: list[Run] = []
    last: list[int] = []
    for number, run in enumerate(runs):
        for call in range(run.times):
            refs = run.then if call else run.given
            given = [(len(calls) - 1 if ref[0] == number else last[ref[0]], ref[1], ref[2]) for ref in refs]
            calls.append(run._replace(first=run.first + call * run.step, times=1, step=1, given=given, then=[]))
        last.append(len(calls) - 1)
    return calls, {name: (last[ref[0]], ref[1], ref[2]) for name, ref in outputs.items()}


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
