"""Recorded runs of AdapterHub's library against our verdicts, with what ships alone."""

from __future__ import annotations

import pytest

from tests.conftest import ROOT
from tests.oracle.compositions import Row, cases_of, leave_one_out, measured

SAMPLE = ROOT / "tests" / "oracle" / "compositions_sample"
HIDDEN = "^1.3.0.(llama|t5)"


@pytest.fixture(scope="module")
def rows() -> list[Row]:
    return measured(SAMPLE, cases_of(SAMPLE), 2)


def test_outcomes_are_those_of_the_library(rows: list[Row]) -> None:
    assert [row for row in rows if row.got in ("crash", "unknown")] == []
    assert sum(row.outcome for row in rows) >= 0.97 * len(rows)


def test_no_healthy_composition_is_told_as_broken(rows: list[Row]) -> None:
    assert [row for row in rows if row.accepted == ("works",) and row.got != "works"] == []


def test_errors_have_their_class_and_their_text(rows: list[Row]) -> None:
    failing = [row for row in rows if row.accepted == ("fails",)]
    assert sum(bool(row.error) for row in failing) >= 0.97 * len(failing)
    assert sum(bool(row.text) for row in failing) >= 0.93 * len(failing)


def test_outputs_have_their_shapes(rows: list[Row]) -> None:
    shaped = [row for row in rows if row.shapes is not None]
    assert sum(bool(row.shapes) for row in shaped) >= 0.98 * len(shaped) > 0


def test_silent_failures_are_found(rows: list[Row]) -> None:
    silent = [row for row in rows if row.accepted == ("wrong",)]
    assert sum(row.got == "wrong" for row in silent) >= 0.9 * len(silent) > 0


def test_a_model_type_whose_recordings_are_hidden_is_never_told_wrong() -> None:
    told = leave_one_out(SAMPLE, cases_of(SAMPLE, HIDDEN), 1)
    assert told.endswith("wrong 0.00 %"), told
