"""Every compared case falls into one fold by architecture and into one by kind."""

from __future__ import annotations

from tests.oracle.compare import Row
from tests.oracle.folds import FOLDS, architecture, fold, folds, kind
from tests.oracle.wanted import Wanted


def row(name: str, got: str) -> Row:
    want = Wanted("works", ("works",), "", "", (), (), (), None, ())
    return Row(name, want, got, got == "works")


def test_folds_cover_all_cases_once() -> None:
    rows = [
        row(f"{base}.lora.{what}", "works") for base in ("llama", "gpt2", "bert", "t5") for what in ("valid", "x", "y")
    ]
    rows.append(row("opt.lora.valid", "fails"))
    for name_of in (architecture, kind):
        assert {fold(name_of, each) for each in rows} <= set(range(FOLDS))
        assert fold(name_of, rows[0]) == fold(name_of, rows[0])
    lines = folds(rows)
    assert len(lines) == 2 * FOLDS
    assert sum("false alarms 1" in line for line in lines) == 2
