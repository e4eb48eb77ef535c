"""Whole cases with their expected reports; `make pages` accepts what a report has become."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

import adaptlint
from adaptlint.testing.demo import story_recipe, tell
from tests.conftest import ROOT
from tests.test_rules import TARGET, TRANSFORMERS

STORIES = sorted(path.parent for path in (ROOT / "fixtures" / "stories").glob("*/recipe.toml"))


def report_of(story: Path, folder: Path) -> dict[str, object]:
    """The report without times, the places of the folders, and the ledger, which grows with every rule."""
    built = tell(str(story), str(folder))
    options = story_recipe(str(story)).check
    report = adaptlint.check(built.model, built.adapter, targets=(TARGET,), transformers=TRANSFORMERS, **options)
    facts = {key: value for key, value in report.to_dict().items() if key not in ("timing", "tool", "ledger")}
    text = json.dumps(facts).replace(str(folder), "<folder>").replace(str(story), "<story>")
    told: dict[str, object] = json.loads(text)
    return told


@pytest.mark.parametrize("story", STORIES, ids=lambda path: path.name)
def test_story_has_its_expected_report(story: Path, tmp_path: Path, request: pytest.FixtureRequest) -> None:
    if not isinstance(story_recipe(str(story)).base, str):
        pytest.importorskip("transformers")
    told = report_of(story, tmp_path)
    expected = story / "report.json"
    if request.config.getoption("--write-pages"):
        expected.write_text(json.dumps(told, indent=1) + "\n")
    assert told == json.loads(expected.read_text()), "run `make pages` if that is what it should say"


@pytest.mark.parametrize("story", STORIES, ids=lambda path: path.name)
def test_story_ends_as_its_recipe_says(story: Path) -> None:
    verdict = json.loads((story / "report.json").read_text())["verdicts"][0]
    assert verdict["outcome"] == story_recipe(str(story)).expect["outcome"]
