"""Steps of a plan beyond one forward, in AdapterHub's library: what is asked for decides, the rest stands beside it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

import adaptlint
from adaptlint.runtimes.peft.plan import PlanError
from adaptlint.testing import build, page_examples, read_recipe
from tests.conftest import ROOT

PAGE = ROOT / "rules" / "compose" / "AL511-plan-step-raises.md"
BASES = ROOT / "fixtures" / "bases"


def checked(folder: Path, **asked: Any) -> Any:
    recipe = read_recipe(page_examples(PAGE.read_text(encoding="utf-8"))["bad"][0])
    built = build(recipe, str(folder), str(BASES))
    return adaptlint.check(built.model, built.adapters, **{**recipe.check, **asked})


@pytest.mark.parametrize(
    ("plan", "outcome", "stage"),
    [
        ("generate", "works", None),
        ("generate num_beams=3", "fails", "generate"),
        ("generate num_return_sequences=2", "fails", "generate"),
        ("backward; generate num_beams=2", "fails", "generate"),
        ("backward checkpointing=true", "works", None),
        ("merge", "unknown", None),
    ],
)
def test_a_step_that_is_asked_for_decides(plan: str, outcome: str, stage: str | None, tmp_path: Path) -> None:
    report = checked(tmp_path, plan=plan)
    (verdict,) = report.verdicts
    assert (verdict.outcome, verdict.stage) == (outcome, stage)
    if stage:
        assert [step.op for step in verdict.steps][-1] == stage
        assert {finding.code for finding in report.findings if finding.fingerprint in verdict.why} == {"AL511"}


@pytest.mark.parametrize(
    ("composition", "batch", "mask", "says"),
    [
        ("Parallel(a, b)", 2, "none", "different metadata"),
        ("Parallel(a, b)", 3, "none", "must be divisible"),
        ("Parallel(a, b)", 2, "padded", "inplace operation"),
        ("Stack(a, b)", 2, "padded", ""),
    ],
)
def test_a_checkpoint_finds_its_channels_made(
    composition: str, batch: int, mask: str, says: str, tmp_path: Path
) -> None:
    """As `make hub-plans` sees bottlenecks of BERT in 1.3.0: no mask at all under sdpa where nothing is padded."""
    page = ROOT / "rules" / "compose" / "AL504-split-sizes-disagree.md"
    recipe = read_recipe(page_examples(page.read_text(encoding="utf-8"))["bad"][0])
    tensors = tuple({**tensor, "name": f"bert.{tensor['name']}"} for tensor in recipe.tensors)
    built = build(recipe._replace(tensors=tensors), str(tmp_path), str(BASES))
    asked = {"compose": composition, "batch": batch, "mask": mask, "model_class": "BertForMaskedLM"}
    plan = "backward labels=false checkpointing=true"
    (verdict,) = adaptlint.check(built.model, built.adapters, **{**recipe.check, **asked}, plan=plan).verdicts
    assert verdict.outcome == ("fails" if says else "works")
    assert says in (verdict.error.match if verdict.error else "")


def test_a_step_that_nobody_asked_for_is_told_beside(tmp_path: Path) -> None:
    report = checked(tmp_path, plan=None)
    assert report.verdicts[0].outcome == "works"
    assert [finding.severity for finding in report.findings if finding.code == "AL550"] == ["note"]
    assert all(finding.code != "AL511" for finding in report.findings)


def test_peft_says_that_it_does_not_follow_such_a_step(tmp_path: Path) -> None:
    recipe = read_recipe(page_examples((ROOT / "rules/values/AL402-update-is-zero.md").read_text())["good"][0])
    built = build(recipe, str(tmp_path), str(BASES))
    (verdict,) = adaptlint.check(built.model, built.adapter, plan="load default; generate").verdicts
    assert verdict.outcome == "unknown"


@pytest.mark.parametrize("plan", ["generate beams=2", "generate num_beams=none", "backward labels=1 rank=2"])
def test_options_that_a_step_does_not_have_are_refused(plan: str, tmp_path: Path) -> None:
    with pytest.raises(PlanError):
        checked(tmp_path, plan=plan)
