"""A replay's runs in this process, which has torch loaded already: the worker's own code, without its child process."""

from __future__ import annotations

from typing import Any

from adaptlint.bases import Base, BaseProblem
from adaptlint.findings import Report
from adaptlint.replay import records
from adaptlint.replay.conduct import base_of, decided, job_of, marked
from adaptlint.replay.plan import Run, Settings, plan
from adaptlint.replay.worker.telling import Channel


class Kept(Channel):
    """A channel whose observations go into an entry."""

    def __init__(self, entry: records.Entry, hidden: dict[str, str]) -> None:
        self.entry, self._hidden = entry, sorted(hidden.items(), key=lambda pair: -len(pair[0]))

    def say(self, event: str, **facts: Any) -> None:
        records.note(self.entry, {"event": event, **self._clean(facts)})


def ran(report: Report, run: Run, base: Base | BaseProblem, settings: Settings) -> records.Entry:
    """The entry of one run."""
    from adaptlint.replay.worker.running import conduct, versions_of

    entry = records.entry_of(records.subject_of(report, base), run, settings)
    job = job_of(report, run, settings)
    channel = Kept(entry, {each["folder"]: f"<{each['name']}>" for each in job["adapters"]})
    entry["versions"] = versions_of(job)
    try:
        conduct(job, channel)
        entry.update(status="done", detail="")
    except Exception as problem:
        entry.update(status="failed", detail=f"{type(problem).__name__}: {problem}")
    return entry


def replayed(report: Report, settings: Settings) -> tuple[Report, list[records.Entry]]:
    """The marked report, and the entries."""
    base = base_of(report)
    entries: list[records.Entry] = []
    for run in plan(report, base, settings):
        if isinstance(run, Run) and not decided(report, run.verdict, entries):
            entries.append(ran(report, run, base, settings))
    return marked(report, entries, records.subject_of(report, base)), entries
