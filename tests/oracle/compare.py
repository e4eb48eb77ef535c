"""`python -m tests.oracle.compare ROOT [--only REGEX]`: measure verdicts against recorded truth.

ROOT holds bases/<name>/config.json and cases/<id>/ with case.json, truth.json and the adapter folders.
It measures and does not judge: the exit status is 0.
"""

from __future__ import annotations

import argparse
import json
import re
import shutil
import tempfile
import time
from collections import Counter
from collections.abc import Iterable
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

from tests.oracle import cases
from tests.oracle.wanted import Wanted, wanted, without_base_keys

NEWEST = "truth.json"


class Row(NamedTuple):
    """One case compared; a bool is None where the case does not bear on the question."""

    id: str
    want: Wanted
    got: str
    outcome: bool = False
    error: bool | None = None
    text: bool | None = None
    mismatched: bool | None = None
    keys: bool | None = None
    warned: bool | None = None
    detail: str = ""
    seconds: float = 0.0

    @property
    def kind(self) -> str:
        """The last part of the id says what was done to the adapter."""
        return self.id.rsplit(".", 1)[-1]

    @property
    def healthy(self) -> bool:
        """True where only "works" is right."""
        return self.want.accepted == ("works",)

    @property
    def false_alarm(self) -> bool:
        """A healthy case told as failing or wrong."""
        return self.healthy and self.got in ("fails", "wrong")


def compare_case(root: Path, name: str, truth: str = NEWEST) -> Row:
    """Check one case and hold the verdict against its record; an exception of ours is a row too."""
    folder = root.resolve() / "cases" / name
    case = json.loads((folder / "case.json").read_text())
    record = json.loads((folder / truth).read_text())
    if truth != NEWEST:
        record = without_base_keys(record)
    want = wanted(record, fresh=name.endswith(".valid"))
    if truth != NEWEST and len(cases.adapters(case)) > 1 and want.outcome == "works":
        want = want._replace(accepted=("works", "wrong"))  # several adapters: their numbers were not compared there
    started = time.perf_counter()
    with tempfile.TemporaryDirectory() as scratch:
        if record.get("config_keys_dropped"):
            folder = without_fields(folder, record["config_keys_dropped"], Path(scratch))
        try:
            verdict = check(root / "bases" / case["base"], folder, case, record["versions"])
        except Exception as problem:
            return Row(name, want, "crash", detail=f"{type(problem).__name__}: {problem}"[:300])
    return judged(name, want, verdict, truth == NEWEST)._replace(seconds=time.perf_counter() - started)


def check(base: Path, folder: Path, case: cases.Case, versions: dict[str, str]) -> dict[str, Any]:
    """The first verdict of the report on one case."""
    import adaptlint

    target = cases.target(case)
    report: dict[str, Any] = adaptlint.check(
        str(base),
        [(name, str(folder / path)) for name, path in cases.adapters(case)],
        targets=[f"{target}=={versions[target]}"],
        transformers=versions["transformers"],
        model_class=case["auto"],
        values="full",
        plan=cases.plan(case),
    ).to_dict()
    verdict: dict[str, Any] = report["verdicts"][0]
    codes = sorted({finding["code"] for finding in report["findings"]})
    return {**verdict, "codes": codes}


def without_fields(folder: Path, dropped: list[str], scratch: Path) -> Path:
    """A copy of the case without the config fields that the older release did not know."""
    copy = scratch / folder.name
    shutil.copytree(folder, copy)
    for path in copy.glob("*/adapter_config.json"):
        config = json.loads(path.read_text())
        path.write_text(json.dumps({key: value for key, value in config.items() if key not in dropped}, indent=2))
    return copy


def judged(name: str, want: Wanted, verdict: dict[str, Any], newest: bool) -> Row:
    """A verdict beside what was wanted."""
    got = verdict["outcome"]
    error = verdict.get("error") or {}
    row = Row(name, want, got, got in want.accepted, detail=f"{verdict.get('codes')} {error or ''}".strip())
    if want.outcome == "fails":
        if got != "fails":
            return row
        row = row._replace(error=same_class(error.get("type"), want.type), text=says(error.get("match"), want.message))
        if want.mismatched:
            told = sorted(mismatch["key"] for mismatch in verdict.get("mismatched_keys") or ())
            row = row._replace(mismatched=told == list(want.mismatched))
        return row
    if newest:
        lists = tuple(tuple(sorted(verdict.get(field) or ())) for field in ("missing_keys", "unexpected_keys"))
        row = row._replace(keys=lists == (want.missing, want.unexpected))
        if want.warned is not None and row.outcome:
            row = row._replace(warned=bool(verdict.get("warned")) == want.warned)
    return row


def same_class(told: str | None, real: str) -> bool:
    """NoMatchingPeftModuleError is a ValueError, and older releases raise that."""
    return told == real or (real, told) == ("NoMatchingPeftModuleError", "ValueError")


def says(match: str | None, message: str) -> bool:
    """The predicted text is part of the real message; an empty one counts for an empty message only."""
    return bool(match) and str(match) in message if message else match == ""


def share(answers: Iterable[bool | None]) -> str:
    """Percentage of yes among the answers."""
    rows = list(answers)
    return f"{100 * sum(map(bool, rows)) / (len(rows) or 1):.2f} % of {len(rows)}"


def figures(rows: list[Row]) -> list[str]:
    """The lines that `make oracle` prints."""
    failing = [row for row in rows if row.want.outcome == "fails"]
    healthy = [row for row in rows if row.healthy]
    silent = [row for row in rows if row.want.outcome == "wrong"]
    return [
        f"cases {len(rows)}",
        f"wanted   {dict(Counter(row.want.outcome for row in rows))}",
        f"got      {dict(Counter(row.got for row in rows))}",
        f"outcome agreement {share(row.outcome for row in rows)}",
        f"error class (failing cases) {share(row.error for row in failing)}",
        f"error text (failing cases) {share(row.text for row in failing)}",
        f"mismatched keys equal (size mismatches told) {share(r.mismatched for r in rows if r.mismatched is not None)}",
        f"key sets equal (loading cases) {share(row.keys for row in rows if row.keys is not None)}",
        f"warned or silent told right {share(row.warned for row in rows if row.warned is not None)}",
        f"false alarms on healthy cases {sum(row.false_alarm for row in rows)} of {len(healthy)}",
        f"silent failures found {sum(row.got == 'wrong' for row in silent)} of {len(silent)}",
        f"crashes {sum(row.got == 'crash' for row in rows)}",
    ]


def disagreements(rows: list[Row]) -> list[str]:
    """Kinds of disagreement by frequency, each with an example."""
    groups = Counter((row.kind, row.want.outcome, row.got) for row in rows if not row.outcome)
    lines = []
    for (kind, want, got), count in groups.most_common():
        first = next(
            row for row in rows if not row.outcome and (row.kind, row.want.outcome, row.got) == (kind, want, got)
        )
        told = first.want.message or ", ".join(first.want.reasons)
        lines.append(f"  {count:5d}  {kind:24s} wanted {want:6s} got {got}")
        lines.append(f"         {first.id}: {told[:160]!r} / {first.detail[:160]}")
    return lines


def inexact(rows: list[Row]) -> list[str]:
    """Cases whose outcome is told right, but not the error's class or text, a key list, or whether PEFT warns."""
    lines = []
    for row in rows:
        off = [field for field in ("error", "text", "mismatched", "keys", "warned") if getattr(row, field) is False]
        if off:
            lines.append(f"  {row.id}: {', '.join(off)} differ: {row.want.message[:200]!r} / {row.detail[:200]}")
    return lines


def names_of(root: Path, only: str, truth: str = NEWEST) -> list[str]:
    """The ids below ROOT that match, have that record, and can be compared."""
    return [
        folder.name
        for folder in sorted((root / "cases").iterdir())
        if re.search(only, folder.name)
        and (folder / truth).exists()
        and cases.comparable(json.loads((folder / "case.json").read_text()))
    ]


def compare_all(root: Path, names: list[str], truth: str = NEWEST, jobs: int = 2) -> list[Row]:
    """Every case compared, in the order of the names, in `jobs` processes (1: in this one)."""
    work = partial(compare_case, root, truth=truth)
    if jobs == 1:
        return [work(name) for name in names]
    with ProcessPoolExecutor(jobs) as pool:
        return list(pool.map(work, names, chunksize=16))


def main() -> None:
    """Read the arguments, compare, print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("root", type=Path)
    parser.add_argument("--only", default="")
    parser.add_argument("--truth", default=NEWEST, help="another record's file name, such as truth_0.11.1.json")
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--list", action="store_true", help="print the kinds of disagreement too")
    parser.add_argument("--folds", action="store_true", help="print three folds by architecture and by kind of case")
    options = parser.parse_args()
    rows = compare_all(options.root, names_of(options.root, options.only, options.truth), options.truth, options.jobs)
    print(*figures(rows), sep="\n")
    if options.folds:
        from tests.oracle.folds import folds

        print(*folds(rows), sep="\n")
    if options.list:
        print(*disagreements(rows), sep="\n")
        print(*inexact(rows), sep="\n")


if __name__ == "__main__":
    main()
