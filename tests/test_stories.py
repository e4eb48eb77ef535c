"""Whole cases with their expected reports; `make pages` accepts what a report has become."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest

import adaptlint
from adaptlint.findings import Where
from adaptlint.reporters import Style, render
from adaptlint.testing.demo import story_recipe, tell
from tests.conftest import ROOT
from tests.hub.prove import STORY_RECORDS, story_cases
from tests.releases.prove import RECORDS, mark
from tests.test_rules import TARGET, TRANSFORMERS

STORIES = sorted(path.parent for path in (ROOT / "fixtures" / "stories").glob("*/recipe.toml"))
NEWEST = TARGET.partition("==")[2]


def outcomes(story: Path) -> dict[str, str]:
    """What the recipe expects, by release or by RELEASE-CHAPTER: a story may go through several."""
    expected = story_recipe(str(story)).expect["outcome"]
    return {NEWEST: expected} if isinstance(expected, str) else expected


def told_in(story: Path, release: str, suffix: str) -> Path:
    """The file of the expected report: report.json, or report-0.14.0.json in a story of several releases."""
    several = len(outcomes(story)) > 1
    return story / f"report{'-' + release if several else ''}.{suffix}"


CHAPTERS = [
    pytest.param(story, release, id=f"{story.name}-{release}") for story in STORIES for release in outcomes(story)
]


def report_of(story: Path, folder: Path, release: str) -> adaptlint.Report:
    """The report without times and the ledger, which grows with every rule."""
    if not str(story_recipe(str(story)).base).endswith(".lock.json"):
        pytest.importorskip("transformers")
    built = tell(str(story), str(folder))
    recipe = story_recipe(str(story))
    version, _, chapter = release.partition("-")
    transformers = TRANSFORMERS if version == NEWEST else None
    target = f"{'adapters' if recipe.hub else 'peft'}=={version}"
    asked = {**recipe.check, **recipe.chapters.get(chapter, {})}
    report = adaptlint.check(built.model, built.adapters, targets=(target,), transformers=transformers, **asked)
    return report._replace(phases=(), ledger=())


def as_json(report: adaptlint.Report, story: Path, folder: Path) -> dict[str, object]:
    """The report's object without the version and the places of the folders."""
    facts = {key: value for key, value in report.to_dict().items() if key not in ("timing", "tool", "ledger")}
    text = json.dumps(facts).replace(str(folder), "<folder>").replace(str(story), "<story>")
    text = text.replace(str(ROOT), "<checkout>")
    for source in ("meta", "shipped"):  # whichever test comes first builds the base, where no table has it
        text = text.replace(f'"source": "{source}"', '"source": "cache"')
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


@pytest.mark.parametrize(("story", "release"), CHAPTERS)
def test_story_has_its_expected_report(
    story: Path, release: str, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    report = report_of(story, tmp_path, release)
    told, said = as_json(report, story, tmp_path), as_text(report, tmp_path)
    expected, text = told_in(story, release, "json"), told_in(story, release, "txt")
    if request.config.getoption("--write-pages"):
        expected.write_text(json.dumps(told, indent=1) + "\n")
        text.write_text(said)
    assert said == text.read_text(), "run `make pages` if that is what it should say"
    assert told == json.loads(expected.read_text()), "run `make pages` if that is what it should say"


@pytest.mark.parametrize(("story", "release"), CHAPTERS)
def test_story_ends_as_its_recipe_says(story: Path, release: str) -> None:
    verdict = json.loads(told_in(story, release, "json").read_text())["verdicts"][0]
    assert verdict["outcome"] == outcomes(story)[release]


LIBRARY: dict[str, Any] = json.loads(STORY_RECORDS.read_text())


@pytest.mark.parametrize(("story", "release"), [row for row in CHAPTERS if row.id in LIBRARY])
def test_adapterhub_s_library_did_what_the_report_says(story: Path, release: str) -> None:
    """At the story's own widths, one layer deep: the error is the same word for word."""
    key = f"{story.name}-{release}"
    record = LIBRARY[key]
    assert record["recipe"] == mark(dict(story_cases())[key]), "the story has changed: run `make prove-hub`"
    verdict = json.loads(told_in(story, release, "json").read_text())["verdicts"][0]
    assert verdict["outcome"] == record["outcome"]
    assert (verdict["error"] or {}).get("type") == record.get("error", {}).get("type")
    if verdict["error"]:
        assert verdict["error"]["match"] in record["error"]["message"]


def test_every_chapter_that_a_cpu_can_run_was_played() -> None:
    assert {key for key, _ in story_cases()} == LIBRARY.keys()
    assert LIBRARY["llama-attention-0.2.2-sdpa"]["why"] == [
        "after adapters.init every token sees those after it",
        "the model is another one after adapters.init",
    ]


PLAYED = [row for row in CHAPTERS if len(outcomes(row.values[0])) > 1 and not story_recipe(str(row.values[0])).hub]


@pytest.mark.parametrize(("story", "release"), PLAYED)
def test_release_did_what_the_report_says(story: Path, release: str, tmp_path: Path) -> None:
    record = json.loads(RECORDS.read_text())[f"{story.name}-{release}"]
    assert record["recipe"] == mark(story_recipe(str(story))), "the story has changed: run `make prove-releases`"
    (verdict,) = report_of(story, tmp_path, release).verdicts
    assert verdict.outcome == record["outcome"]
    told = [(step.op, step.outcome) for step in verdict.steps]
    assert told[: len(record["steps"])] == [(step["op"], step["outcome"]) for step in record["steps"]]
