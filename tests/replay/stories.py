"""`python -m tests.replay.stories [--only REGEX]`: the founding stories replayed; writes the records of fixtures/runs.

Each is one command line of `adaptlint check ... --replay --env RELEASE --record FILE`, which is printed.
"""

from __future__ import annotations

import argparse
import os
import re
import shlex
import subprocess
import sys
import tempfile
import tomllib
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import adaptlint
from adaptlint.findings import Report
from adaptlint.replay.conduct import base_of, marked
from adaptlint.replay.records import read_record, subject_of
from adaptlint.replay.worker.running import is_there
from adaptlint.testing import Built, Recipe, build, read_recipe
from adaptlint.testing.demo import story_recipe
from tests.conftest import ROOT
from tests.replay.adapters import LARGE

STORIES, BASES, RUNS = ROOT / "fixtures" / "stories", ROOT / "fixtures" / "bases", ROOT / "fixtures" / "runs"
TABLE = Path(__file__).with_name("stories.toml")
HEALTHY = "healthy"
NEWEST = "peft==0.21.2"
CPU, HALF = "cpu", "bfloat16"  # the flash kernels of a GPU take no float32
BACKENDS = 3  # the number of their invariant
ARGUMENTS = {"model_class": "--model-class", "compose": "--compose", "attn": "--attn", "batch": "--batch"}
ARGUMENTS |= {"seq": "--seq", "decoder_seq": "--decoder-seq", "mask": "--mask", "plan": "--plan", "task": "--task"}


class Chapter(NamedTuple):
    """One story with one release; fields as in stories.toml."""

    story: str
    target: str
    options: Sequence[str]
    verdict: str
    says: str
    saved_by: str = ""  # the release of PEFT whose fields the adapter's config has, where it is not the recipe's own

    @property
    def name(self) -> str:
        """Story and release: llama-parallel-1.0.0."""
        return f"{self.story}-{self.target.partition('==')[2]}"

    @property
    def record(self) -> Path:
        """Where its record is kept."""
        return RUNS / f"{self.name}.json"

    def record_on(self, device: str) -> Path:
        """Where the record from another device than a CPU is kept."""
        return self.record if device == CPU else RUNS / device / self.record.name

    def recipe(self) -> Recipe:
        """What it is made of."""
        recipe = read_recipe(LARGE) if self.story == HEALTHY else story_recipe(str(STORIES / self.story))
        return recipe._replace(saved_by=self.saved_by) if self.saved_by else recipe

    def built(self, folder: str) -> Built:
        """Its files, written below `folder`."""
        return build(self.recipe(), folder, str(BASES if self.story == HEALTHY else STORIES / self.story))

    def report(self, folder: str) -> Report:
        """What is said of it without a run."""
        built = self.built(folder)
        return adaptlint.check(built.model, built.adapters, targets=(self.target,), **self.recipe().check)

    def command(self, folder: str) -> list[str]:
        """The command line that replays it."""
        built = self.built(folder)
        given = built.adapters if isinstance(built.adapters, list) else [(built.name, built.adapter)]
        named = [f"{name}={path}" for name, path in given]
        asked = [word for name, value in self.recipe().check.items() for word in (ARGUMENTS[name], str(value))]
        newest = [] if self.target == NEWEST else ["--env", self.target]
        return ["check", built.model, *named, "--target", self.target, *asked, "--replay", *newest, *self.options]


def chapters() -> list[Chapter]:
    """Every run of the table."""
    return [Chapter(**row) for row in tomllib.loads(TABLE.read_text())["run"]]


def present(device: str) -> bool:
    """Whether torch can use the device here."""
    import torch

    return device == CPU or is_there(torch, device)


def placed_on(device: str, options: Sequence[str]) -> list[str]:
    """What a run on another device than a CPU is asked for beside: the device, its type, every backend's invariants."""
    if device == CPU:
        return []
    return ["--device", device, "--dtype", HALF, *([] if "--invariants" in options else ["--invariants"])]


def run(chapter: Chapter, device: str) -> Path:
    """Replay one story; its record."""
    record = chapter.record_on(device)
    record.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as folder:
        placed = placed_on(device, chapter.options)
        command = [*chapter.command(folder), *placed, "--record", str(record), "--quiet"]
        shown = shlex.join(["adaptlint", *command]).replace(str(ROOT) + os.sep, "").replace(folder, "FOLDER")
        print(f"$ {shown}", flush=True)
        settings = {**os.environ, "PYTHONPATH": str(ROOT)}
        subprocess.run([sys.executable, "-m", "adaptlint", *command], cwd=ROOT, env=settings, check=False)
    return record


def judged(chapter: Chapter, record: Path) -> tuple[bool, str]:
    """Whether a record decides its story as stories.toml says, and a line about it: marks, devices, backends."""
    if not record.exists():
        return False, f"{chapter.name}: no record"
    entries = read_record(str(record))
    with tempfile.TemporaryDirectory() as folder:
        report = chapter.report(folder)
        (verdict,) = marked(report, entries, subject_of(report, base_of(report))).verdicts
    ended = [f"{entry['scale']} on {entry['gpu'].get('name', entry['device'])} {entry['status']}" for entry in entries]
    backends = [row["detail"] for entry in entries for row in entry["invariants"] if row["number"] == BACKENDS]
    broken = [row["detail"] for entry in entries for row in entry["invariants"] if row["status"] == "broken"]
    fine = verdict.replay.status == chapter.verdict and all(entry["status"] == "done" for entry in entries)
    line = f"{chapter.name}: {verdict.replay.status}, {verdict.replay.observed}; {', '.join(ended)}"
    told = [f"backends: {'; '.join(backends)}"] if backends else []
    return fine, "\n    ".join([line, *told, *(f"broken: {detail}" for detail in broken)])


def main() -> int:
    """Replay what is asked for and judge the records; 1 where one does not decide its story, or without the device."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", default="")
    parser.add_argument("--device", default=CPU)
    options = parser.parse_args()
    if not present(options.device):
        print(f"torch of {sys.executable} has no device {options.device} here; no record is written", file=sys.stderr)
        return 1
    chosen = [chapter for chapter in chapters() if re.search(options.only, chapter.name)]
    seen = [judged(chapter, run(chapter, options.device)) for chapter in chosen]
    print(*("  ".join(("ok " if fine else "NOT", line)) for fine, line in seen), sep="\n")
    return int(not all(fine for fine, _ in seen))


if __name__ == "__main__":
    sys.exit(main())
