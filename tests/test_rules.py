"""Every rule page is a test: its Bad examples fire exactly its code, its Good examples do not, and PEFT agrees."""

from __future__ import annotations

import functools
import json
import re
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest

import adaptlint
from adaptlint.catalogue import load_catalogue
from adaptlint.findings import SEVERITIES
from adaptlint.reporters import Style, render
from adaptlint.testing import Recipe, build, page_examples, read_recipe
from tests.conftest import ROOT
from tests.generated import PAGES, is_proved, needs_a_kernel
from tests.hub.prove import RECORDS as HUB_RECORDS
from tests.hub.recorded import keep_graphs
from tests.releases.prove import RECORDS, by_record, mark, target_of

BASES = ROOT / "fixtures" / "bases"
BY_HAND = ROOT / "tests" / "test_rules_by_hand.py"
TARGET = "peft==0.21.2"
TRANSFORMERS = "5.23.0"


class Told(NamedTuple):
    """What a check said of a recipe: the first verdict's outcome, and a message of each code."""

    outcome: str
    found: dict[str, str]
    report: adaptlint.Report


def code_of(page: Path) -> str:
    """AL301 of AL301-rank-disagrees-with-config.md."""
    return page.name.partition("-")[0]


def examples(heading: str) -> Iterator[Any]:
    """(page, recipe text) for every example below that heading, with a readable id."""
    for page in PAGES:
        for number, text in enumerate(page_examples(page.read_text(encoding="utf-8")).get(heading, [])):
            yield pytest.param(page, text, id=f"{code_of(page)}-{heading}-{number + 1}")


EXAMPLES = [*examples("bad"), *examples("good")]
PROVED = [row for row in EXAMPLES if is_proved(read_recipe(row.values[1]))]
RECORDED: dict[str, Any] = {**json.loads(RECORDS.read_text()), **json.loads(HUB_RECORDS.read_text())}


@functools.cache
def model_class(task: str) -> str:
    """The Auto class of a PEFT task type, where real PEFT is asked too."""
    from tests.differential.configs import TASKS

    return {name: auto for auto, name in TASKS.items()}.get(task, "AutoModelForCausalLM")


@pytest.fixture
def told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[Recipe], Told]:
    """Check a recipe: its outcome, and the messages of its findings by code."""

    def check(recipe: Recipe) -> Told:
        built = build(recipe, str(tmp_path), str(BASES))
        if recipe.without:
            monkeypatch.setenv("ADAPTLINT_CACHE", str(tmp_path / "cache"))
        for name in recipe.without:
            monkeypatch.setitem(sys.modules, name, None)
        if recipe.hub:
            keep_graphs()
        options = {"targets": (TARGET,), "transformers": TRANSFORMERS, **recipe.check}
        report = adaptlint.check(built.model, built.adapters, **options)
        verdicts = [verdict.outcome for verdict in report.verdicts]
        return Told(verdicts[0] if verdicts else "unknown", {f.code: f.message for f in report.findings}, report)

    return check


@pytest.mark.parametrize(("page", "text"), list(examples("bad")))
def test_bad_example_fires_its_code(page: Path, text: str, told: Callable[[Recipe], Told]) -> None:
    recipe = read_recipe(text)
    outcome, found, _ = told(recipe)
    assert set(found) == set(recipe.expect.get("codes", [code_of(page)])), found
    assert code_of(page) in found
    assert outcome == recipe.expect["outcome"]
    assert recipe.expect.get("says", "") in found[code_of(page)]


@pytest.mark.parametrize(("page", "text"), list(examples("good")))
def test_good_example_does_not_fire_its_code(page: Path, text: str, told: Callable[[Recipe], Told]) -> None:
    recipe = read_recipe(text)
    outcome, found, _ = told(recipe)
    assert code_of(page) not in found, found
    assert set(found) == set(recipe.expect.get("codes", found))
    assert outcome == recipe.expect.get("outcome", "works")


@pytest.mark.parametrize(("page", "text"), PROVED)
def test_real_peft_does_what_the_example_says(
    page: Path, text: str, tmp_path: Path, request: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("peft")
    from tests.differential.folders import integrated, recorded
    from tests.oracle.wanted import wanted

    recipe = read_recipe(text)
    outcome = recipe.expect.get("outcome", "works")
    if by_record(recipe):
        record = RECORDED[request.node.callspec.id]
        assert record["recipe"] == mark(recipe), "the example has changed: run `make prove-releases prove-hub`"
        assert outcome == record["outcome"]
        return
    built = build(recipe, str(tmp_path), str(BASES))
    auto = recipe.check.get("model_class") or model_class(
        recipe.check.get("task") or recipe.config.get("task_type", "")
    )
    model = Path(built.model).resolve()
    if recipe.beside:
        monkeypatch.chdir(built.adapter)  # paths in a config are relative to where the program runs
    if target_of(recipe).startswith("transformers"):
        record = integrated(model, auto, Path(built.adapter))
    else:
        record = recorded(model, auto, Path(built.adapter), recipe.check)
    said = wanted(record, fresh=False)
    assert outcome in said.accepted, record
    if {"attn", "seq", "batch"} & set(recipe.check) and outcome == "fails":
        options = {"targets": (TARGET,), "transformers": TRANSFORMERS, **recipe.check}
        (verdict,) = adaptlint.check(built.model, built.adapters, **options).verdicts
        assert verdict.error is not None
        assert verdict.error.type == said.type
        assert verdict.error.match in said.message


@pytest.mark.parametrize(("page", "text"), [row for row in EXAMPLES if row not in PROVED])
def test_what_is_not_proved_gives_no_verdict_or_degrades(page: Path, text: str) -> None:
    rule = next(rule for rule in load_catalogue() if rule.code == code_of(page))
    recipe = read_recipe(text)
    unknown = recipe.expect.get("outcome") == "unknown"
    assert unknown or rule.consequence == "degraded" or needs_a_kernel(recipe)


@pytest.mark.parametrize("page", PAGES, ids=code_of)
def test_page_has_both_examples(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    shown = page_examples(text)
    by_hand = re.findall(r"tests/test_rules_by_hand\.py::(\w+)", text)
    assert shown.get("bad") or by_hand, "no `toml recipe` below ## Bad"
    for name in by_hand:
        assert f"def {name}(" in BY_HAND.read_text(encoding="utf-8")
    assert shown.get("good"), "no `toml recipe` below ## Good"


@pytest.mark.parametrize(("page", "text"), list(examples("bad")))
def test_findings_take_six_lines_and_the_cause_comes_first(
    page: Path, text: str, told: Callable[[Recipe], Told]
) -> None:
    report = told(read_recipe(text)).report
    blocks = [block for block in render(report, "text", Style(width=10**6)).split("\n\n") if " effect:" in block]
    assert len(blocks) == len(report.findings)
    assert all(len(block.strip().splitlines()) <= 6 for block in blocks), blocks
    causes = [any(f" {finding.code} " in block for finding in report.findings if finding.decides) for block in blocks]
    severities = [SEVERITIES.index(block.partition(" ")[0]) for block in blocks]
    ranks = list(zip(severities, [not cause for cause in causes], strict=True))
    assert ranks == sorted(ranks)
