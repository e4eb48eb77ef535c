"""Compositions in PEFT, replayed: the real library decides what is said of them."""

from __future__ import annotations

import json
from pathlib import Path

import jsonschema
import pytest

import adaptlint
from adaptlint.replay import records
from adaptlint.replay.conduct import base_of, marked
from adaptlint.replay.plan import Run, Settings, plan
from adaptlint.testing import Recipe, build, page_examples, read_recipe
from tests.conftest import ROOT
from tests.replay.composing import rows_of
from tests.replay.inside import replayed

pytest.importorskip("peft")
BASES = ROOT / "fixtures" / "bases"
SEED = 77


def example(code: str, heading: str, number: int) -> Recipe:
    (page,) = (ROOT / "rules" / "compose").glob(f"{code}-*.md")
    return read_recipe(page_examples(page.read_text(encoding="utf-8"))[heading][number - 1])


def report_on(recipe: Recipe, place: Path) -> adaptlint.Report:
    built = build(recipe, str(place), str(BASES))
    return adaptlint.check(built.model, built.adapters, **recipe.check)


@pytest.mark.parametrize(
    ("code", "number", "said"),
    [
        ("AL570", 1, "module 'peft' has no attribute 'Parallel'"),
        ("AL572", 1, "row 1 is not what b gives"),
        ("AL575", 1, "c is to be active, and is no adapter"),
        ("AL576", 1, "Only one adapter can be set at a time"),
        ("AL577", 1, "the output is not that of the base with a + b added"),
        ("AL579", 1, "the output is not that of the base with 0.5 * a + 0.5 * b added"),
        ("AL582", 1, "selected index k out of range"),
        ("AL582", 3, "stack expects a non-empty TensorList"),
        ("AL585", 1, "Only 3 tasks available. Found task id = 3"),
        ("AL585", 2, "must match the size of tensor b (2)"),
        ("AL586", 1, "a has no tasks"),
        ("AL586", 2, "row 1 is not what task -1 gives"),
        ("AL583", 1, "what a makes of lm_head.weight has no part in it"),
        ("AL583", 2, "what b makes of model.layers.0.self_attn.o_proj.weight has no part in it"),
    ],
)
def test_the_fault_of_a_page_is_seen(code: str, number: int, said: str, tmp_path: Path) -> None:
    report, (entry,) = replayed(report_on(example(code, "bad", number), tmp_path), Settings())
    (verdict,) = report.verdicts
    assert (verdict.replay.status, said in (verdict.replay.observed or "")) == ("confirmed", True), verdict.replay
    deciding = [finding for finding in report.findings if finding.fingerprint in verdict.why]
    assert {finding.replay.status for finding in deciding} == {"confirmed"}, deciding
    with open(records.schema_path(), encoding="utf-8") as stream:
        jsonschema.validate(json.loads(records.as_text([entry])), json.load(stream))


@pytest.mark.parametrize("code", ["AL576", "AL579", "AL582", "AL583", "AL585"])
def test_what_is_right_is_confirmed_and_a_fault_told_of_it_refuted(code: str, tmp_path: Path) -> None:
    report = report_on(example(code, "good", 1), tmp_path)
    told, entries = replayed(report, Settings(all=True))
    (verdict,) = told.verdicts
    assert (verdict.outcome, verdict.replay.status) == ("works", "confirmed"), verdict.replay
    subject = records.subject_of(report, base_of(report))
    wrong = report._replace(verdicts=(report.verdicts[0]._replace(outcome="wrong", stage="forward"),))
    assert marked(wrong, entries, subject).verdicts[0].replay.status == "refuted"


@pytest.mark.parametrize(("code", "said"), [("AL570", "PEFT takes names of adapters"), ("AL581", "made by the plan")])
def test_what_nothing_decides_stays_open_and_says_why(code: str, said: str, tmp_path: Path) -> None:
    recipe = example(code, "bad", 2) if code == "AL570" else example(code, "good", 1)
    (verdict,) = replayed(report_on(recipe, tmp_path), Settings(all=True))[0].verdicts
    assert (verdict.replay.status, said in (verdict.replay.observed or "")) == ("inconclusive", True), verdict.replay


def test_pairs_drawn_by_chance_are_what_their_verdicts_say() -> None:
    rows = rows_of(2, SEED)
    assert [row.id for row in rows if row.verdict not in ("confirmed", "")] == []
    assert {status for row in rows for _, status, _ in row.true} == {"confirmed"}
    assert "confirmed" not in {status for row in rows for _, status, _ in row.planted}


LARGE = """
base = "llama-3-8b"
check = { compose = "Average(default, other)" }
[config]
r = 8
target_modules = ["q_proj"]
task_type = "CAUSAL_LM"
[[tensors]]
modules = "model.layers.{0-31}.self_attn.q_proj"
rank = 8
in = 4096
out = 4096
[others.other.config]
r = 8
target_modules = ["q_proj"]
task_type = "CAUSAL_LM"
[[others.other.tensors]]
modules = "model.layers.{0-31}.self_attn.q_proj"
rank = 8
in = 4096
out = 4096
"""


def test_a_large_base_is_composed_on_one_layer_and_then_on_a_tiny_one(tmp_path: Path) -> None:
    report = report_on(read_recipe(LARGE), tmp_path)
    assert report.verdicts[0].outcome == "wrong"
    planned = [each for each in plan(report, base_of(report), Settings()) if isinstance(each, Run)]
    assert [each.scale for each in planned] == ["layer", "tiny"]
    assert all(each.cost.memory < 4_000_000_000 for each in planned)
