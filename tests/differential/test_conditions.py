"""Verdicts about forwards under a backend, sizes and a mask, held against real PEFT; the seed is printed."""

from __future__ import annotations

import os
import random

import pytest

CASES = int(os.environ.get("ADAPTLINT_CONDITIONS", "40"))


def test_verdicts_under_conditions_hold_against_real_peft(capsys: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("peft")
    from tests.differential.conditions import run, summary

    seed = int(os.environ.get("SEED") or random.SystemRandom().randrange(1_000_000))
    rows = run(CASES, seed)
    told = summary(rows, seed)
    with capsys.disabled():
        print("", f"conditions: {told[0]}", sep="\n")
    assert [row for row in rows if row.false_alarm] == [], "\n".join(told)
    judged = [row for row in rows if row.agrees is not None]
    assert 10 * sum(bool(row.agrees) for row in judged) >= 9 * len(judged), "\n".join(told)
    assert 5 * sum(row.told == "unknown" for row in rows) <= len(rows), "\n".join(told)
