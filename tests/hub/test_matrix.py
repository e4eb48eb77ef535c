"""A seeded sample of compositions, run by the newest release of AdapterHub's library and held against the verdicts.

Another sample: `SEED=n`; all releases and more cases: `make hub-matrix`.
"""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tests.conftest import ROOT
from tests.environments import HUB
from tests.hub.matrix import alarms, told, tried

INSTALLED = ROOT / ".venv-hub" / ".installed"
CASES = 14


@pytest.mark.skipif(not INSTALLED.exists(), reason="make .venv-hub/.installed (needs a package index)")
def test_a_sample_holds_against_the_real_library(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("ADAPTLINT_CACHE", str(tmp_path / "cache"))
    seed = int(os.environ.get("SEED") or 1)
    rows, unmade = tried(HUB[-1], CASES, seed, tmp_path, python=str(INSTALLED.parent / "bin" / "python"))
    lines = told(rows)
    with capsys.disabled():
        print("", f"adapters {HUB[-1]}: seed {seed}, {lines[0]}")
    assert not alarms(rows), lines
    assert all(row.agree for row in rows), lines
    assert {row.real for row in rows} >= {"works", "wrong", "fails"}
    assert unmade <= CASES // 4
