"""The committed sample of recorded truth: LoRA adapters that tests.differential made."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.oracle.compare import Row, compare_all, disagreements, names_of

SAMPLE = Path(__file__).with_name("sample")


@pytest.fixture(scope="module")
def rows() -> list[Row]:
    pytest.importorskip("torch")
    return compare_all(SAMPLE, names_of(SAMPLE, ""), jobs=1)


def test_no_false_alarm_on_healthy_adapters(rows: list[Row]) -> None:
    assert [row.id for row in rows if row.false_alarm] == []


def test_nothing_of_ours_crashes(rows: list[Row]) -> None:
    assert [(row.id, row.detail) for row in rows if row.got == "crash"] == []


def test_verdicts_agree_with_real_peft(rows: list[Row]) -> None:
    assert sum(row.outcome for row in rows) >= 0.95 * len(rows), "\n".join(disagreements(rows))
