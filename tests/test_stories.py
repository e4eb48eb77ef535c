"""Whole cases with their expected reports; `make pages` accepts what a report has become."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

import adaptlint
from adaptlint.findings import Where
from adaptlint.reporters import Style, render
from adaptlint.testing.demo import story_recipe, tell
from tests.conftest import ROOT
from tests.test_rules import TARGET, TRANSFORMERS

STORIES = sorted(path.parent for path in (ROOT / "fixtures" / "stories").glob("*/recipe.toml"))


def report_of(story: Path, folder: Path) -> adaptlint.Report:
    """The report without times and the ledger, which grows with every rule."""
    if not isinstance(story_recipe(str(story)).base, str):
        pytest.importorskip("transformers")
    built = tell(str(story), str(folder))
    options = story_recipe(str(story)).check
    report = adaptlint.check(built.model, built.adapter, targets=(TARGET,), transformers=TRANSFORMERS, **options)
    return report._replace(phases=(), ledger=())


def as_json(report: adaptlint.Report, story: Path, folder: Path) -> dict[str, object]:
    """The report's object without the version and the places of the folders."""
    facts = {key: value for key, value in report.to_dict().items() if key not in ("timing", "tool", "ledger")}
    text = json.dumps(facts).replace(str(folder), "<folder>").replace(str(story), "<story>")
    told: dict[str, object] = json.loads(text)
    return told


def as_text(report: adaptlint.Report, folder: Path) -> str:
    """The report for people without its summary; the base, which lies elsewhere, is named by its file alone."""

    def nearby(where: Where) -> Where:
        return where if where.file.startswith(str(folder)) else where._replace(file=os.path.basename(where.file))

    findings = tuple(
        finding._replace(because=tuple((nearby(where), place, note) for where, place, note in finding.because))
        for finding in report.findings
    )
    text = render(report._replace(findings=findings), "text", Style(here=str(folder)))
    return text.rpartition("\n\n")[0] + "\n"


@pytest.mark.parametrize("story", STORIES, ids=lambda path: path.name)
def test_story_has_its_expected_report(story: Path, tmp_path: Path, request: pytest.FixtureRequest) -> None:
    report = report_of(story, tmp_path)
    told, said = as_json(report, story, tmp_path), as_text(report, tmp_path)
    expected, text = story / "report.json", story / "report.txt"
    if request.config.getoption("--write-pages"):
        expected.write_text(json.dumps(told, indent=1) + "\n")
        text.write_text(said)
    assert said == text.read_text(), "run `make pages` if that is what it should say"
    assert told == json.loads(expected.read_text()), "run `make pages` if that is what it should say"


@pytest.mark.parametrize("story", STORIES, ids=lambda path: path.name)
def test_story_ends_as_its_recipe_says(story: Path) -> None:
    verdict = json.loads((story / "report.json").read_text())["verdicts"][0]
    assert verdict["outcome"] == story_recipe(str(story)).expect["outcome"]
