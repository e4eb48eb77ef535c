"""Calls of a graph's templates joined into runs, in a recording that is folded and in a table that is filled."""

from __future__ import annotations

from adaptlint.dataflow.flow_graph import Ref, Run


def joined(calls: list[Run], outputs: dict[str, Ref]) -> tuple[list[Run], dict[str, Ref]]:
    """Runs of one call each, joined where they are the same once more; refs count the calls, then the runs."""
    asked_later = {ref[0] for ref in outputs.values()}  # a run has to end with each of these
    for number, call in enumerate(calls):
        asked_later |= {ref[0] for ref in call.given if ref[0] < number - 1}
    runs: list[Run] = []
    run_of: list[int] = []
    for number, call in enumerate(calls):
        alone = call._replace(given=[(run_of[ref[0]], ref[1], ref[2]) for ref in call.given])
        longer = _longer(runs[-1], alone) if runs and number - 1 not in asked_later else None
        if longer is None:
            runs.append(alone)
        else:
            runs[-1] = longer
        run_of.append(len(runs) - 1)
    return runs, {name: (run_of[ref[0]], ref[1], ref[2]) for name, ref in outputs.items()}


def _longer(run: Run, call: Run) -> Run | None:
    """The run with one more call, None if that is not the same once more."""
    if (run.template, run.prefix) != (call.template, call.prefix) or not run.prefix:
        return None
    step = call.first - (run.first + (run.times - 1) * run.step)
    if run.times == 1:
        return run._replace(times=2, step=step, then=call.given) if step in (0, 1) else None
    return run._replace(times=run.times + 1) if (step, call.given) == (run.step, run.then) else None
