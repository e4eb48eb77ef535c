"""A small run of compositions in PEFT with a seed of its own each time; the seed is printed to repeat it."""

from __future__ import annotations

import os
import random
from pathlib import Path

import pytest

CASES = int(os.environ.get("ADAPTLINT_COMPOSING", "20"))
ROUTED = int(os.environ.get("ADAPTLINT_ROUTED", "8"))
EXPERTS = int(os.environ.get("ADAPTLINT_EXPERTS", "8"))


def test_compositions_hold_against_real_peft(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("peft")
    from tests.differential.composing import false_alarms, run

    seed = int(os.environ.get("SEED") or random.SystemRandom().randrange(1_000_000))
    rows = run(CASES, seed, tmp_path)
    decided = [row for row in rows if row.wanted and row.got != "unknown"]
    with capsys.disabled():
        print("", f"compositions in PEFT: seed {seed}, {sum(row.agrees for row in decided)} of {len(decided)} agree")
    assert false_alarms(rows) == []
    assert sum(row.agrees for row in decided) >= 0.8 * len(decided), [row for row in decided if not row.agrees]
    assert len(decided) >= 0.8 * len(rows)


@pytest.mark.parametrize("word", ["Arrow", "MultiTask"])
def test_words_of_peft_hold_against_real_peft(word: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("peft")
    from tests.differential.composing import run

    seed = int(os.environ.get("SEED") or random.SystemRandom().randrange(1_000_000))
    rows = [row for row in run(ROUTED, seed, tmp_path, word) if row.wanted and row.got != "unknown"]
    with capsys.disabled():
        print("", f"{word}: seed {seed}, {sum(row.agrees for row in rows)} of {len(rows)} agree")
    assert [row for row in rows if not row.agrees] == []
    assert rows


def test_experts_hold_against_real_peft(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("peft")
    from tests.differential.mixing_experts import one

    seed = int(os.environ.get("SEED") or random.SystemRandom().randrange(1_000_000))
    rows = [row for index in range(EXPERTS) if (row := one(tmp_path, seed, index)) is not None]
    decided = [row for row in rows if row.verdict.outcome != "unknown"]
    with capsys.disabled():
        print("", f"X-LoRA: seed {seed}, {sum(row.agrees for row in decided)} of {len(decided)} agree")
    assert [row for row in decided if not row.agrees] == []
    assert decided
