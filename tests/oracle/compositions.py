"""`python -m tests.oracle.compositions ROOT [--only REGEX] [--leave-one-out]`: compositions in AdapterHub's library.

ROOT holds cases.jsonl (one recorded run a line: release, composition, mask, outcome, exception, output shapes, and
whether the numbers were right), bases/ and adapters/. Every run had batch 3, 6 tokens (5 for a decoder), in eval mode.
With `--leave-one-out` what was recorded of each model type is out of reach in turn: verdicts are then to be right or
unknown.
It measures and does not judge: the exit status is 0.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import tempfile
from collections import Counter
from collections.abc import Iterable
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple
from unittest.mock import patch

Case = dict[str, Any]
WRONG = ("wrong", "wrong_shape", "ignored_member", "no_effect", "missing_error")
BY_TASK_IDS = ("mt_none", "mt_missing_last")  # a static question does not carry the ids of tasks
GATED = ("gate", "unipelt")
PREFIXED = ("prefix", "prompt", "unipelt", "mam")


class Row(NamedTuple):
    """One case compared; a bool is None where the case does not bear on the question."""

    id: str
    accepted: tuple[str, ...]
    got: str
    outcome: bool = False
    error: bool | None = None
    text: bool | None = None
    shapes: bool | None = None
    detail: str = ""


def accepted(case: Case) -> tuple[str, ...]:
    """The outcomes that a record calls for: two where there was nothing to hold the numbers against.

    Gates average over padding, alone as well as composed; prefixes share faults with the runs they were held against.
    """
    if case["outcome"] == "error":
        return ("fails",)
    either = ("works", "wrong")
    if case["verdict"] in WRONG:
        return either if case.get("library_itself") else ("wrong",)
    padded = case["mask"] == "pad"
    gated = padded and any(word in case["method"] for word in GATED)
    shared = (padded or case["backend"] != "eager") and any(word in case["method"] for word in PREFIXED)
    return either if case.get("library_itself") or case["verdict"] != "right" or gated or shared else ("works",)


def fusions(case: Case) -> list[str]:
    """The fusion layers that the run had: none where its name says so, else those that its blocks ask for."""
    from adaptlint.runtimes.adapters.composition import read_composition

    if case["comp"] == "fuse_nolayer":
        return []
    return [block.fusion for block in read_composition(case["expr"]).blocks() if block.kind == "Fuse"]


def compare(root: Path, case: Case) -> Row:
    """The verdict held against the record; an exception of ours is a row too."""
    wanted = accepted(case)
    try:
        report = verdict_of(root, case)
    except Exception as problem:
        return Row(case["id"], wanted, "crash", detail=f"{type(problem).__name__}: {problem}"[:200])
    verdict = report["verdicts"][0]
    got, error = str(verdict["outcome"]), verdict["error"] or {}
    row = Row(case["id"], wanted, got, got in wanted)
    if wanted == ("fails",) and got == "fails":
        message, match = case["error"]["message"], error.get("match")
        said = match == "" if not message else bool(match) and match in message
        return row._replace(error=error.get("type") == case["error"]["type"], text=said)
    if "fails" not in (*wanted, got):
        outputs = (report.get("shapes") or {}).get("outputs") or {}
        both = outputs.keys() & case["shapes"].keys()
        return row._replace(shapes=bool(both) and all(outputs[name] == case["shapes"][name] for name in both))
    return row


def verdict_of(root: Path, case: Case) -> dict[str, Any]:
    """The report about one case."""
    import adaptlint

    declared = json.loads((root / case["base"] / "case_base.json").read_text())["declared"]
    return adaptlint.check(
        str(root / case["base"]),
        [(name, str(root / path)) for name, path in case["adapters"].items()],
        targets=[f"adapters=={case['version']}"],
        compose=case["expr"],
        attn=case["backend"],
        model_class=declared,
        batch=3,
        seq=6,
        decoder_seq=5,
        mask="padded" if case["mask"] == "pad" else "none",
        fusions=fusions(case),
    ).to_dict()


def cases_of(root: Path, only: str = "") -> list[Case]:
    """The cases of a folder whose id the pattern is found in."""
    found = [json.loads(line) for line in (root / "cases.jsonl").read_text().splitlines()]
    return [case for case in found if case["comp"] not in BY_TASK_IDS and re.search(only, case["id"])]


def measured(root: Path, cases: Iterable[Case], jobs: int, hidden: str = "") -> list[Row]:
    """Every case compared, with one model type hidden where one is named."""
    with ProcessPoolExecutor(jobs, initializer=hide, initargs=(hidden,)) as pool:
        return list(pool.map(partial(compare, root), cases, chunksize=16))


def hide(model_type: str) -> None:
    """Take what was recorded of a model type out of this process's reach: its tables and the cache."""
    if model_type:
        from adaptlint.runtimes.adapters import recorded

        known = recorded.read_table
        without = lambda release, kind: None if kind == model_type else known(release, kind)  # noqa: E731
        patch.object(recorded, "read_table", without).start()
        os.environ["ADAPTLINT_CACHE"] = tempfile.mkdtemp()


def told(rows: list[Row]) -> str:
    """The figures."""
    failing = [row for row in rows if row.accepted == ("fails",)]
    healthy = [row for row in rows if row.accepted == ("works",)]
    silent = [row for row in rows if row.accepted == ("wrong",)]
    shaped = [row for row in rows if row.shapes is not None]
    lines = [
        f"cases {len(rows)}: {dict(Counter(row.got for row in rows))}",
        f"outcome {_share(row.outcome for row in rows)}",
        f"error class {_share(bool(row.error) for row in failing)}",
        f"error text {_share(bool(row.text) for row in failing)}",
        f"output shapes {_share(bool(row.shapes) for row in shaped)}",
        f"silent failures found {_share(row.got == 'wrong' for row in silent)}",
        f"false alarms {sum(row.got in ('fails', 'wrong') for row in healthy)} of {len(healthy)}",
        f"crashes {sum(row.got == 'crash' for row in rows)}",
    ]
    return "\n".join(lines)


def _share(held: Iterable[bool]) -> str:
    marks = list(held)
    return f"{100 * sum(marks) / (len(marks) or 1):.2f} % of {len(marks)}"


def leave_one_out(root: Path, cases: list[Case], jobs: int) -> str:
    """The verdicts about each model type with what was recorded of it hidden: right, unknown and wrong."""
    counts: Counter[str] = Counter()
    types = {case["base"]: _type_of(root, case) for case in cases}
    for hidden in sorted(set(types.values())):
        chosen = [case for case in cases if types[case["base"]] == hidden]
        for row in measured(root, chosen, jobs, hidden):
            counts["right" if row.outcome else "unknown" if row.got == "unknown" else "wrong"] += 1
    total = sum(counts.values()) or 1
    return ", ".join(f"{name} {100 * counts[name] / total:.2f} %" for name in ("right", "unknown", "wrong"))


def _type_of(root: Path, case: Case) -> str:
    return str(json.loads((root / case["base"] / "config.json").read_text())["model_type"])


def main() -> None:
    """Print the figures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("root", type=Path)
    parser.add_argument("--only", default="")
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--limit", type=int, default=0)
    parser.add_argument("--list", action="store_true")
    parser.add_argument("--leave-one-out", action="store_true")
    options = parser.parse_args()
    cases = cases_of(options.root, options.only)
    cases = cases[:: max(1, len(cases) // options.limit)] if options.limit else cases
    if options.leave_one_out:
        print(leave_one_out(options.root, cases, options.jobs))
        return
    rows = measured(options.root, cases, options.jobs)
    print(told(rows))
    for row in rows if options.list else ():
        if not row.outcome or row.error is False or row.text is False or row.shapes is False:
            print(f"  {row.id}: {row.got}, wanted {' or '.join(row.accepted)} {row.detail}")


if __name__ == "__main__":
    main()
