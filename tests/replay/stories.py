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
from adaptlint.testing import Built, Recipe, build, read_recipe
from adaptlint.testing.demo import story_recipe
from tests.conftest import ROOT
from tests.replay.adapters import LARGE

STORIES, BASES, RUNS = ROOT / "fixtures" / "stories", ROOT / "fixtures" / "bases", ROOT / "fixtures" / "runs"
TABLE = Path(__file__).with_name("stories.toml")
HEALTHY = "healthy"
NEWEST = "peft==0.21.2"
CPU, HALF = "cpu", "bfloat16"  # the flash kernels of a GPU take no float32
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

    return device == CPU or bool(getattr(torch, device).is_available())


def main() -> int:
    """Replay what is asked for; 1 without a record where the device is not there."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", default="")
    parser.add_argument("--device", default=CPU)
    options = parser.parse_args()
    if not present(options.device):
        print(f"torch of {sys.executable} has no device {options.device} here; no record is written", file=sys.stderr)
        return 1
    settings = {**os.environ, "PYTHONPATH": str(ROOT)}
    for chapter in chapters():
        if not re.search(options.only, chapter.name):
            continue
        with tempfile.TemporaryDirectory() as folder:
            record = chapter.record_on(options.device)
            record.parent.mkdir(parents=True, exist_ok=True)
            placed = [] if options.device == CPU else ["--device", options.device, "--dtype", HALF]
            command = [*chapter.command(folder), *placed, "--record", str(record), "--quiet"]
            shown = shlex.join(["adaptlint", *command]).replace(str(ROOT) + os.sep, "").replace(folder, "FOLDER")
            print(f"$ {shown}", flush=True)
            subprocess.run([sys.executable, "-m", "adaptlint", *command], cwd=ROOT, env=settings, check=False)
    return 0


if __name__ == "__main__":
    sys.exit(main())
