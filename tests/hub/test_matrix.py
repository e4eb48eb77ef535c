"""A seeded sample of compositions, run by the newest release of AdapterHub's library and held against the verdicts.

Another sample: `SEED=n`; all releases and more cases: `make hub-matrix`.
"""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tests.conftest import ROOT
from tests.environments import HUB
from tests.hub import matrix_plans
from tests.hub.matrix import alarms, told, tried

INSTALLED = ROOT / ".venv-hub" / ".installed"
PYTHON = str(INSTALLED.parent / "bin" / "python")
CASES, PLANNED = 14, 8

pytestmark = pytest.mark.skipif(not INSTALLED.exists(), reason="make .venv-hub/.installed (needs a package index)")


@pytest.fixture
def seed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> int:
    monkeypatch.setenv("ADAPTLINT_CACHE", str(tmp_path / "cache"))
    return int(os.environ.get("SEED") or 1)


def test_a_sample_holds_against_the_real_library(seed: int, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    rows, unmade = tried(HUB[-1], CASES, seed, tmp_path, python=PYTHON)
    lines = told(rows)
    with capsys.disabled():
        print("", f"adapters {HUB[-1]}: seed {seed}, {lines[0]}")
    assert not alarms(rows), lines
    assert all(row.agree for row in rows), lines
    assert {row.real for row in rows} >= {"works", "wrong", "fails"}
    assert unmade <= CASES // 4


def test_steps_of_plans_hold_against_the_real_library(
    seed: int, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    pairs, lines = matrix_plans.tried(HUB[-1], PLANNED, seed, tmp_path, python=PYTHON)
    with capsys.disabled():
        print("", f"plans, adapters {HUB[-1]}: seed {seed}, {dict(pairs)}")
    assert not lines
    assert {real for real, told in pairs if told != "unknown"} == {"works", "fails"}
