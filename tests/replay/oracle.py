"""`python -m tests.replay.oracle ROOT [--n 200] [--seed 1]`: recorded cases that are flagged, replayed.

Of every true finding (one that the outcome rests on, where the record calls for that outcome) it is told whether the
real library, run again, confirms it; and for every case a finding that is not true is planted, which is to be refuted.
"""

from __future__ import annotations

import argparse
import json
import random
import sys
import tempfile
from collections import Counter
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from multiprocessing import get_context
from pathlib import Path
from typing import Any, NamedTuple

import adaptlint
from adaptlint.findings import Finding, Report
from adaptlint.replay import shrink
from adaptlint.replay.conduct import base_of
from adaptlint.replay.plan import SCALES, Passed, Settings, plan
from tests.differential.run import prepare
from tests.oracle import cases
from tests.oracle.wanted import wanted

FALSE = ("AL202", "AL201", "AL401", "AL301")
"""Rules whose findings are planted where they are not true."""


USUAL = Settings()


class Row(NamedTuple):
    """One case: marks of the true findings, of the planted ones, and of the verdict; what was seen for each."""

    id: str
    true: list[tuple[str, str, str]]
    planted: list[tuple[str, str, str]]
    verdict: str
    observed: str
    scales: tuple[str, ...] = ()
    passed: tuple[str, ...] = ()


def report_of(root: Path, name: str) -> Report:
    """The report on a recorded case."""
    folder = root.resolve() / "cases" / name
    case = json.loads((folder / "case.json").read_text())
    versions = json.loads((folder / "truth.json").read_text())["versions"]
    target = cases.target(case)
    return adaptlint.check(
        str(root / "bases" / case["base"]),
        [(each, str(folder / path)) for each, path in cases.adapters(case)],
        targets=[f"{target}=={versions[target]}"],
        transformers=versions["transformers"],
        model_class=case["auto"],
        values="full",
        plan=cases.plan(case),
    )


def planted(report: Report, codes: Sequence[str] = FALSE) -> Iterator[Finding]:
    """Findings that are not true, made after true ones: of a tensor and a module that nobody has."""
    verdict = report.verdicts[0]
    held = {finding.code for finding in report.findings}
    module = "planted.layers.0.nowhere"
    for code in codes:
        if code in held or (code == "AL301" and verdict.outcome == "fails"):
            continue
        yield Finding(
            code=code,
            name="planted",
            severity="error",
            consequence="load-fails" if code == "AL301" else "silently-wrong",
            message="",
            help="",
            adapter=report.subject.adapters[0].name,
            module=module,
            targets=(verdict.target,),
            where=None,
            place=None,
            because=(),
            facts={"error_type": "RuntimeError", "error_message": "size mismatch for planted"}
            if code == "AL301"
            else {},
            excerpt="",
            fingerprint=f"planted-{code}",
        )


def with_planted(report: Report, codes: Sequence[str] = FALSE) -> Report:
    """The report with false findings among the true ones, the verdict resting on all of them."""
    false = tuple(planted(report, codes))
    verdict = report.verdicts[0]
    why = (*verdict.why, *(finding.fingerprint for finding in false))
    return report._replace(findings=(*report.findings, *false), verdicts=(verdict._replace(why=why),))


def compare(root: Path, name: str, settings: Settings = USUAL) -> Row:
    """One case replayed."""
    from tests.replay.inside import replayed

    folder = root / "cases" / name
    want = wanted(json.loads((folder / "truth.json").read_text()), fresh=name.endswith(".valid"))
    report = report_of(root, name)
    verdict = report.verdicts[0]
    right = verdict.outcome in want.accepted and verdict.outcome != "works"
    given = with_planted(report)
    marked, entries = replayed(given, settings)
    passed = [each.reason for each in plan(report, base_of(report), settings) if isinstance(each, Passed)]
    rows = [(f.code, f.replay.status, f.replay.observed or "") for f in marked.findings if f.name != "planted"]
    false = [(f.code, f.replay.status, f.replay.observed or "") for f in marked.findings if f.name == "planted"]
    decided = {finding.fingerprint for finding in report.findings} & set(verdict.why)
    true = [row for row, finding in zip(rows, marked.findings, strict=False) if finding.fingerprint in decided]
    if not right:
        true = []
    ran = tuple(entry["scale"] for entry in entries)
    replay = marked.verdicts[0].replay
    return Row(name, true, false, replay.status, replay.observed or "", ran, tuple(passed))


def chosen(root: Path, count: int, seed: int) -> list[str]:
    """A seeded sample of the cases that are recorded as failing or wrong and that a plan can say."""
    names = []
    for folder in sorted((root / "cases").iterdir()):
        truth = json.loads((folder / "truth.json").read_text())
        if not cases.comparable(json.loads((folder / "case.json").read_text())):
            continue
        if wanted(truth, fresh=folder.name.endswith(".valid")).outcome in ("fails", "wrong"):
            names.append(folder.name)
    random.Random(seed).shuffle(names)
    return sorted(names[:count])


def figures(rows: list[Row]) -> list[str]:
    """How many true findings were confirmed, refuted and left open, and what became of the planted ones."""
    true = Counter(status for row in rows for _, status, _ in row.true)
    false = Counter(status for row in rows for _, status, _ in row.planted)
    verdicts = Counter(row.verdict for row in rows if row.true)
    return [
        f"cases {len(rows)}, with {sum(true.values())} true findings: {told(true)}",
        f"their verdicts: {told(verdicts)}",
        f"planted false findings: {told(false)}",
    ]


def told(counts: Counter[str]) -> str:
    """Counts with the share of each."""
    total = sum(counts.values()) or 1
    return ", ".join(f"{name} {count} ({100 * count / total:.1f} %)" for name, count in counts.most_common())


def open_rows(rows: list[Row]) -> Iterator[str]:
    """What was not as it should be; a planted finding about a load that raised before it came to that stays open."""
    for row in rows:
        if row.true and row.verdict != "confirmed":
            yield f"  {row.id}: its verdict {row.verdict}: {row.observed[:160]}"
        for code, status, seen in row.true:
            if status != "confirmed":
                yield f"  {row.id}: {code} {status}: {seen[:160]}"
        for code, status, seen in row.planted:
            if status != "refuted" and not seen.startswith("it raised before"):
                yield f"  {row.id}: planted {code} {status}: {seen[:160]}"


def ready() -> None:
    """A process of the pool: the recorded bases are so small that the usual tiny one would be no smaller."""
    prepare()
    shrink.TINY_HEAD = 2


def by_scale(rows: list[Row]) -> Iterator[str]:
    """On which scales the runs were, and what was planned and could not be."""
    yield "scales: " + told(Counter(" then ".join(row.scales) for row in rows))
    for row in rows:
        yield from (f"  {row.id}: {reason}" for reason in row.passed)


def asking(about: str | None) -> argparse.ArgumentParser:
    """The arguments of every seeded sample of a recorded set."""
    parser = argparse.ArgumentParser(description=about)
    parser.add_argument("root", type=Path)
    parser.add_argument("--n", type=int, default=200)
    parser.add_argument("--seed", type=int, default=1)
    return parser


def main() -> int:
    """Read the arguments, replay, print; 1 if a planted finding was confirmed or a true one refuted."""
    parser = asking(__doc__)
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--scale", choices=SCALES, default="")
    options = parser.parse_args()
    names = chosen(options.root, options.n, options.seed)
    work: Any = partial(compare, options.root, settings=Settings(scale=options.scale))
    with (
        tempfile.TemporaryDirectory(),
        ProcessPoolExecutor(options.jobs, mp_context=get_context("spawn"), initializer=ready) as pool,
    ):
        rows = list(pool.map(work, names, chunksize=4))
    print(*figures(rows), *by_scale(rows), *open_rows(rows), sep="\n")
    bad = any(s == "refuted" for row in rows for _, s, _ in row.true)
    return 1 if bad or any(s == "confirmed" for row in rows for _, s, _ in row.planted) else 0


if __name__ == "__main__":
    sys.exit(main())
