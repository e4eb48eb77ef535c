"""`python -m tests.replay.compositions ROOT [--n 200] [--seed 1]`: recorded compositions that are flagged, replayed.

Each release plays its cases in an environment of its own (tests/environments.py).
"""

from __future__ import annotations

import json
import random
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from adaptlint.findings import Report
from adaptlint.findings.reading import report_from
from adaptlint.replay.conduct import base_of, job_of, marked
from adaptlint.replay.plan import Run, Settings, plan
from adaptlint.replay.records import subject_of
from adaptlint.replay.worker.reference_kernels import FLASH
from tests.hub.prove import run
from tests.oracle.compositions import Case, accepted, cases_of, verdict_of
from tests.replay.inside import entry_with
from tests.replay.oracle import Row, asking, figures, open_rows, with_planted

FALSE = ("AL540",)
"""Planted where it is not told, and not where the record itself says that wrapping changes the model."""
OF_CACHES = "AL541"
"""Planted as well where a model keeps a cache of what it has read."""
DECODERS = (
    "bart",
    "encoder-decoder",
    "gpt2",
    "gptj",
    "llama",
    "mbart",
    "mistral",
    "mt5",
    "plbart",
    "t5",
    "whisper",
    "xmod",
)


def chosen(root: Path, count: int, seed: int) -> list[Case]:
    """A seeded sample of the cases that are recorded as failing or wrong."""
    flagged = [case for case in cases_of(root) if accepted(case) in (("fails",), ("wrong",))]
    random.Random(seed).shuffle(flagged)
    return flagged[:count]


def played(reports: Sequence[Report], release: str, settings: Settings) -> list[Report]:
    """The reports marked by one process in the release's environment."""
    bases = [base_of(report) for report in reports]
    runs: list[tuple[int, Run]] = []
    for number, (report, base) in enumerate(zip(reports, bases, strict=True)):
        runs += [(number, each) for each in plan(report, base, settings) if isinstance(each, Run)]
    found = list(reports)
    for flash in (False, True):  # where a reference stands in for flash-attn, it does for the whole process
        mine = [(number, each) for number, each in runs if (reports[number].subject.attn == FLASH) is flash]
        told = events_in(release, [job_of(reports[number], each, settings) for number, each in mine])
        for (number, each), seen in zip(mine, told, strict=True):
            entry = entry_with(reports[number], each, bases[number], settings, seen)
            found[number] = marked(found[number], [entry], subject_of(reports[number], bases[number]))
    return found


def events_in(release: str, jobs: list[dict[str, Any]]) -> list[Any]:
    """What is seen of each job by one process in the release's environment."""
    if not jobs:
        return []
    with tempfile.TemporaryDirectory() as place:
        given, events = Path(place) / "jobs.json", Path(place) / "events.json"
        given.write_text(json.dumps(jobs))
        run(release, "tests.replay.batch", str(given), str(events))
        told: list[Any] = json.loads(events.read_text())
        return told


def plantable(case: Case) -> list[str]:
    """Rules whose findings are certainly not true of a case."""
    caches = [OF_CACHES] if case["arch"] in DECODERS else []
    return caches + list(() if case.get("library_itself") else FALSE)


def rows_of(root: Path, cases: Sequence[Case]) -> list[Row]:
    """Every case replayed by its release."""
    rows: list[Row] = []
    for release in sorted({case["version"] for case in cases}):
        mine = [case for case in cases if case["version"] == release]
        reports = [with_planted(report_from(verdict_of(root, case)), plantable(case)) for case in mine]
        for case, report in zip(mine, played(reports, release, Settings()), strict=True):
            (verdict,) = report.verdicts
            marks = [(f.code, f.replay.status, f.replay.observed or "") for f in report.findings]
            names = [(f.name, f.fingerprint in verdict.why) for f in report.findings]
            right = verdict.outcome in accepted(case)
            true = [mark for mark, (name, why) in zip(marks, names, strict=True) if name != "planted" and why and right]
            false = [mark for mark, (name, _) in zip(marks, names, strict=True) if name == "planted"]
            rows.append(Row(case["id"], true, false, verdict.replay.status, verdict.replay.observed or ""))
    return rows


def main() -> int:
    """Read the arguments, replay, print; 1 if a true finding was refuted."""
    options = asking(__doc__).parse_args()
    root = options.root.resolve()
    rows = rows_of(root, chosen(root, options.n, options.seed))
    print(*figures(rows), *open_rows(rows), sep="\n")
    return 1 if any(status == "refuted" for row in rows for _, status, _ in row.true) else 0


if __name__ == "__main__":
    sys.exit(main())
