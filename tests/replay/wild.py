"""`python -m tests.replay.wild [ROWS ...]`: the sweep, docs/found-in-the-wild.md and the records behind it.

What is known about a cause stands in wild.toml. With --library, --only or --kinds it sweeps a part and prints that.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import tomllib
from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from tests.conftest import ROOT
from tests.environments import HUB, environment

RECORDS = ROOT / "fixtures" / "runs" / "wild"
DOC = ROOT / "docs" / "found-in-the-wild.md"
CAUSES = Path(__file__).with_name("wild.toml")
SWEPT = RECORDS / "swept.json"
LEFT_OUT = RECORDS / "left-out.json"
REASON = 160  # characters of why a class was not measured
SAID = 110  # characters of what a library said
Row = dict[str, Any]


def faults(row: Row) -> list[Row]:
    """The invariants of a row that do not hold."""
    return [each for each in row.get("invariants", ()) if each["status"] in ("broken", "raised")]


def name_of(row: Row) -> str:
    """The name of a row's record."""
    return f"{row['library']}-{row['class']}-{row['method']}"


def keep(rows: Iterable[Row], part: str = "") -> None:
    """Write the record of every fault, and the counts of what was swept, in place of those of the same methods.

    A `part` is a sweep of its own over some classes: its counts and reasons stand beside those of the methods.
    """
    RECORDS.mkdir(parents=True, exist_ok=True)
    latest: dict[str, Row] = {}
    for row in rows:  # a class under two model types: where it could be made counts
        if "not_made" not in row or name_of(row) not in latest:
            latest[name_of(row)] = row
    reasons: dict[str, dict[str, str]] = json.loads(LEFT_OUT.read_text()) if LEFT_OUT.exists() else {}
    behind = f" {part}" if part else ""
    counts: dict[str, dict[str, int]] = json.loads(SWEPT.read_text()) if SWEPT.exists() else {}
    fresh: dict[str, Counter[str]] = {}
    for row in latest.values():
        fresh.setdefault(f"{row['library']} {row['method']}{behind}", Counter())
    reasons |= {key: {} for key in fresh}
    for old in RECORDS.glob("*.json"):
        if old not in (SWEPT, LEFT_OUT) and "{library} {method}".format(**json.loads(old.read_text())) in fresh:
            old.unlink()
    for name, row in sorted(latest.items()):
        key = f"{row['library']} {row['method']}{behind}"
        count = fresh[key]
        if "not_made" in row:
            reasons[key][row["class"]] = " ".join(row["not_made"].split())[:REASON]
        count["not made" if "not_made" in row else "faulty" if faults(row) else "sound"] += 1
        count["classes measured"] += "not_made" not in row
        for each in row.get("invariants", ()):
            count[f"{each['number']}: {each['status']}"] += 1
        if faults(row):
            (RECORDS / f"{name}.json").write_text(json.dumps(row, indent=1) + "\n")
        if "versions" in row:
            count["version " + row["versions"][row["library"]]] = 1
    counts |= {key: dict(sorted(count.items())) for key, count in fresh.items()}
    LEFT_OUT.write_text(json.dumps(dict(sorted(reasons.items())), indent=1) + "\n")
    SWEPT.write_text(json.dumps(dict(sorted(counts.items())), indent=1) + "\n")


def rows() -> list[Row]:
    """The records that are kept."""
    return [json.loads(path.read_text()) for path in sorted(RECORDS.glob("*.json")) if path not in (SWEPT, LEFT_OUT)]


def wild_page() -> str:
    """docs/found-in-the-wild.md."""
    lines = [HEAD, *widths(), "", "## What was found", "", TITLES, "| --- " * TITLES.count(" |") + "|"]
    for row in rows():
        release = row["versions"][row["library"]]
        seen = "; ".join(dict.fromkeys(said(each) for each in faults(row)))
        numbers = ", ".join(str(each["number"]) for each in faults(row))
        record = f"[{name_of(row)}](../fixtures/runs/wild/{name_of(row)}.json)"
        kind = f"{row['model_type']}, {row['class']}"
        lines.append(f"| {row['library']} {release} | {kind} | {row['method']} | {numbers} | {seen} | {record} |")
    lines += ["", "## Why", ""]
    for key, cause in tomllib.loads(CAUSES.read_text()).items():
        lines += [f"**{key}.** {' '.join(cause['why'].split())}", ""]
    return "\n".join(lines)


TITLES = "| library | model type, class | method | invariants | what is seen | record |"
HEAD = """# Found in the wild

What the ten invariants of [replay](replay.md) find in the newest releases when nobody looks for anything: a tiny
model of every model type, an adapter with random numbers on it, saved and loaded again. This page is generated
(`make sweep-invariants`); one class is run again with

    make sweep-invariants LIBRARY=peft ONLY='^laguna$' METHODS=lora

Backend: transformers' choice for the class (sdpa where it has it), and eager beside it for invariant 3. CPU, float32.

## How wide

The classes of the Auto tables: with LoRA all of PEFT's 432 and of AdapterHub's 48, with the other methods a sample
that a seed draws (`--sample`, `--seed` and `--minutes` of `python -m tests.replay.sweep`, which goes on where it was
ended). A class is made small in the first of several ways that gives a model that runs: few narrow layers, more and
wider ones, fewer experts, two layers of their own width, or what small_bases.toml says
(`tests/replay/small_bases.py`). Why a class is not measured stands in
[left-out.json](../fixtures/runs/wild/left-out.json).
"""


def widths() -> list[str]:
    """What was swept."""
    lines = []
    for key, count in json.loads(SWEPT.read_text()).items():
        library, method = key.split(" ", 1)
        release = ", ".join(name.removeprefix("version ") for name in count if name.startswith("version "))
        held = sum(value for name, value in count.items() if name.endswith(": held"))
        skipped = sum(value for name, value in count.items() if name.endswith(": skipped"))
        measured, faulty, without = count["classes measured"], count.get("faulty", 0), count.get("not made", 0)
        lines.append(
            f"- {library} {release}, {method}: {measured} classes measured, {faulty} of them with a fault; {without}"
            " more could not be made tiny or do not run without an adapter either; "
            f"{held} measurements held, {skipped} were passed over"
        )
    return lines


def said(each: Row) -> str:
    """What an invariant came to, in a cell of the table."""
    error = each.get("error")
    text = f"{error['type']}: {error['message']}" if error else each["detail"]
    text = " ".join(text.split()).replace("|", "\\|")
    where = f" ({each['where']})" if each.get("where") else ""
    return (text if len(text) <= SAID else text[:SAID] + "...") + where


def swept(library: str, options: argparse.Namespace, out: Path) -> None:
    """The sweep in an environment of the library."""
    python = sys.executable
    if library == "adapters":
        python = environment("adapters", HUB[-1])
    words = [str(out), "--only", options.only, "--kinds", options.kinds, "--methods", options.methods]
    command = [python, "-W", "ignore", "-m", "tests.replay.sweep", library, *words]
    settings = {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    subprocess.run(command, check=True, cwd=ROOT, env=settings)


def main() -> None:
    """Sweep what is asked for; everything, and the page is written anew."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "rows", type=Path, nargs="*", help="lines of an earlier sweep: nothing is run, the page is written"
    )
    parser.add_argument("--library", default="")
    parser.add_argument("--only", default="")
    parser.add_argument("--kinds", default="")
    parser.add_argument("--methods", default="lora")
    parser.add_argument("--part", default="", help="what a sweep of some classes alone is called on the page")
    options = parser.parse_args()
    files = options.rows
    with tempfile.TemporaryDirectory() as place:
        for library in () if files else ("peft", "adapters"):
            if options.library in ("", library):
                swept(library, options, Path(place) / f"{library}.jsonl")
        files = files or sorted(Path(place).glob("*.jsonl"))
        told = [json.loads(line) for path in files for line in path.read_text().splitlines()]
    if options.rows or not (options.library or options.only or options.kinds):
        keep(told, options.part)
        DOC.write_text(wild_page())
        return
    for row in told:
        print(name_of(row), *(f"  {each['number']}: {said(each)}" for each in faults(row)), sep="\n")


if __name__ == "__main__":
    main()
