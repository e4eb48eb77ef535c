"""A recorded graph with a run for every call, as both makers of shipped tables compare and fold it."""

from __future__ import annotations

from adaptlint.dataflow.flow_graph import Ref, Run


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
