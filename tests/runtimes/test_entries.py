"""Names that reach nothing: what is told of them, and that a list of any length is told in bounds."""

from __future__ import annotations

import json
from pathlib import Path
from time import perf_counter
from typing import Any

import pytest

import adaptlint
from adaptlint.testing import build, read_recipe
from tests.recipes import QUERIES
from tests.test_rules import BASES, TARGET, TRANSFORMERS


def told(folder: Path, **fields: Any) -> adaptlint.Report:
    """The report on a healthy adapter whose config has these fields instead."""
    built = build(read_recipe(QUERIES), str(folder), str(BASES))
    config = Path(built.adapter) / "adapter_config.json"
    config.write_text(json.dumps(json.loads(config.read_text()) | fields))
    return adaptlint.check(built.model, built.adapter, targets=(TARGET,), transformers=TRANSFORMERS)


@pytest.mark.parametrize(
    ("fields", "codes"),
    [
        ({"target_modules": ["q_proj", *(f"v_porj{n}" for n in range(20_000))]}, {"AL109", "AL118"}),
        ({"rank_pattern": {f"zz{n}": 4 for n in range(10_000)}}, {"AL109"}),
        ({"layers_to_transform": [0, 1, 2, *range(100, 50_000)]}, {"AL109"}),
        ({"exclude_modules": [f"nope{n}" for n in range(10_000)]}, {"AL109"}),
        ({"target_modules": ["q_proj", r"(?=(.*))(\w+\.?)+\d+x$"]}, {"AL118"}),
        ({"target_modules": ["(?=m)(.+)+zz", "(?=m)(.+)+yz"] * 50}, {"AL106"}),
        ({"target_modules": list("abcdefgh") * 5_000}, {"AL120"}),
    ],
)
def test_any_number_of_dead_entries_is_told_in_bounds(tmp_path: Path, fields: dict[str, Any], codes: set[str]) -> None:
    (tmp_path / "healthy").mkdir()
    assert told(tmp_path / "healthy").findings == ()  # the base is in the cache from here on
    started = perf_counter()
    report = told(tmp_path, **fields)
    assert perf_counter() - started < 3
    assert {finding.code for finding in report.findings} == codes
    assert len(report.findings) <= 100


@pytest.mark.parametrize(
    "fields",
    [
        {"layers_to_transform": [0, 1, 2, "x", None, {}]},
        {"base_model_name_or_path": ["x"]},
        {"base_model_name_or_path": "a/" + "-hf" * 100_000},
        {"auto_mapping": "x", "tokenizer_kwargs": [1]},
        {"lora_alpha": float("nan")},
    ],
)
def test_fields_of_any_type_are_borne(tmp_path: Path, fields: dict[str, Any]) -> None:
    report = told(tmp_path, **fields)
    assert not [line for line in report.ledger if line.status == "crashed"]
    assert report.verdicts[0].outcome == "works"


@pytest.mark.parametrize(("entry", "near"), [("Q_PROJ", "q_proj"), ("q_porj", "q_proj"), (" q_proj", "q_proj")])
def test_the_nearest_module_is_named(tmp_path: Path, entry: str, near: str) -> None:
    (finding,) = told(tmp_path, target_modules=[entry]).findings
    assert finding.code == "AL106"
    assert f"Did you mean {near} for {entry}?" in finding.message


def test_names_of_other_architectures_are_no_misspellings(tmp_path: Path) -> None:
    (finding,) = told(tmp_path, target_modules=["query", "value"]).findings
    assert "Did you mean" not in finding.message
    assert "PEFT knows these names from bert" in finding.message
