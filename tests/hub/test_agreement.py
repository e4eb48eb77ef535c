"""Verdicts on broken AdapterHub adapters against what its releases did with them (a sample; breaking.py makes more)."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.hub.agreement import rows

RECORDS = sorted(Path(__file__).parent.glob("loads-*.json"))
PARTS = sorted(Path(__file__).parent.glob("parts-*.json"))
UNLIKE = 0.03  # the share that may differ


@pytest.mark.parametrize("path", RECORDS, ids=lambda path: path.stem)
def test_verdicts_are_what_the_release_did(path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ADAPTLINT_CACHE", str(tmp_path))  # graphs of a record are places alone, and no forward
    found = list(rows(json.loads(path.read_text())))
    assert len(found) > 100
    off = [f"{row.key} {row.edits} {row.differs}" for row in found if row.differs]
    assert len(off) <= UNLIKE * len(found), "\n".join(off)
    healthy = [row for row in found if row.wanted["outcome"] == "works"]
    alarms = [f"{row.key} {row.edits}" for row in healthy if row.verdict["outcome"] in ("fails", "wrong")]
    assert not alarms
    assert len(healthy) > 40


@pytest.mark.parametrize("path", PARTS, ids=lambda path: path.stem)
def test_what_a_model_of_models_keeps_once_arrives_in_each_of_its_parts(path: Path) -> None:
    """Couplings and shared matrices of EncoderDecoderModel, healthy and broken; prompts, which it does not take."""
    found = list(rows(json.loads(path.read_text())))
    assert not [f"{row.key} {row.edits} {row.differs}" for row in found if row.differs]
    assert {row.verdict["outcome"] for row in found} == {"works", "wrong", "fails"}
    assert {row.key.partition("|")[2] for row in found} == {"seq_bn_inv", "compacter", "vera", "prompt"}
