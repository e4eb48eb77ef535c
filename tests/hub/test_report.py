"""The JSON report of a composition: what the contract fixes about it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import jsonschema
import pytest

import adaptlint
from adaptlint.reporters.json import schema_path
from adaptlint.testing.demo import tell
from tests.conftest import ROOT

STORY = ROOT / "fixtures" / "stories" / "t5-parallel"


def report_of(folder: Path, **asked: Any) -> dict[str, Any]:
    built = tell(str(STORY), str(folder))
    options = {"model_class": "T5Model", "compose": "Parallel(a, b)", "attn": "eager", **asked}
    return adaptlint.check(built.model, built.adapters, targets=["adapters==1.3.0"], **options).to_dict()


def test_sizes_that_nobody_named_stay_symbols(tmp_path: Path) -> None:
    report = report_of(tmp_path)
    assert report["shapes"]["outputs"]["last_hidden_state"] == ["2*batch", "decoder_seq", 768]
    assert report["shapes"]["inputs"]["input_ids"] == ["batch", "seq"]


def test_sizes_that_were_named_are_numbers(tmp_path: Path) -> None:
    report = report_of(tmp_path, batch=3, seq=7, decoder_seq=5)
    assert report["shapes"]["outputs"]["last_hidden_state"] == [6, 5, 768]
    (site,) = [s for s in report["shapes"]["sites"] if s["module"].endswith("{0-11}.layer.1.EncDecAttention.q")]
    assert site["out"] == [[6, 5, 768]]


def test_the_report_is_valid_and_draws_the_tree(tmp_path: Path) -> None:
    report = report_of(tmp_path, batch=2, seq=6, decoder_seq=5)
    jsonschema.validate(report, json.loads(Path(schema_path()).read_text()))
    kinds = [(node["kind"], node["adapter"]) for node in report["composition"]["nodes"]]
    assert kinds == [("Parallel", None), ("adapter", "a"), ("adapter", "b")]
    assert report["subject"]["compose"] == "Parallel(a, b)"


@pytest.mark.parametrize("compose", ["Parallel(a, x)", "Parallel(a, Parallel(b, c))"])
def test_what_is_refused_is_refused_before_any_forward(compose: str, tmp_path: Path) -> None:
    (verdict,) = report_of(tmp_path, compose=compose)["verdicts"]
    assert (verdict["outcome"], verdict["stage"], verdict["error"]["type"]) == ("fails", "compose", "ValueError")


@pytest.mark.parametrize("compose", ["Parallel(a, b)", "Parallel(a, Parallel(b, c))"])
def test_a_class_that_refuses_the_backend_is_never_given_a_composition(compose: str, tmp_path: Path) -> None:
    (verdict,) = report_of(tmp_path, compose=compose, attn="sdpa")["verdicts"]
    assert (verdict["outcome"], verdict["error"]["type"]) == ("fails", "ValueError")
    assert "T5Model does not support an attention implementation" in verdict["error"]["match"]
