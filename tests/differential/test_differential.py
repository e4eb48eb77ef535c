"""A small differential run with a seed of its own each time; the seed is printed to repeat it."""

from __future__ import annotations

import os
import random
from pathlib import Path

import pytest

CASES = int(os.environ.get("ADAPTLINT_DIFFERENTIAL", "60"))


def test_verdicts_hold_against_real_peft(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("peft")
    from tests.differential.run import failures, run, summary

    seed = int(os.environ.get("SEED") or random.SystemRandom().randrange(1_000_000))
    rows = run(CASES, seed, tmp_path, jobs=2)
    with capsys.disabled():
        print(f"\ndifferential: seed {seed}, {sum(row.outcome for row in rows)} of {CASES} verdicts agree")
    assert failures(rows) == [], "\n".join(summary(rows, seed))
