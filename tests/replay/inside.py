"""A replay's runs without a child process each: in this one, which has torch loaded already, or many in another."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from adaptlint.bases import Base, BaseProblem
from adaptlint.findings import Report
from adaptlint.replay import records
from adaptlint.replay.conduct import base_of, decided, job_of, marked
from adaptlint.replay.plan import Run, Settings, plan
from tests.replay.batch import events_of


def entry_with(
    report: Report, run: Run, base: Base | BaseProblem, settings: Settings, events: Iterable[dict[str, Any]]
) -> records.Entry:
    """The entry of a run of which this was seen."""
    entry = records.entry_of(records.subject_of(report, base), run, settings)
    for event in events:
        records.note(entry, event)
        if event["event"] == "ended":
            entry.update(status=event["status"], detail=event["detail"])
    return entry


def replayed(report: Report, settings: Settings) -> tuple[Report, list[records.Entry]]:
    """The marked report, and the entries."""
    base = base_of(report)
    entries: list[records.Entry] = []
    for run in plan(report, base, settings):
        if isinstance(run, Run) and not decided(report, run.verdict, entries):
            entries.append(entry_with(report, run, base, settings, events_of(job_of(report, run, settings))))
    return marked(report, entries, records.subject_of(report, base)), entries
