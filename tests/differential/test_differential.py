"""A small differential run with a seed of its own each time; the seed is printed to repeat it."""

from __future__ import annotations

import os
import random
from pathlib import Path

import pytest

CASES = int(os.environ.get("ADAPTLINT_DIFFERENTIAL", "164"))
BASES = 25


def test_verdicts_hold_against_real_peft(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("peft")
    from tests.differential.methods import methods
    from tests.differential.run import failures, notes, run, summary

    seed = int(os.environ.get("SEED") or random.SystemRandom().randrange(1_000_000))
    rows = run(CASES, seed, tmp_path, jobs=2)
    with capsys.disabled():
        told = f"differential: seed {seed}, {sum(row.outcome for row in rows)} of {CASES} verdicts agree"
        print("", told, *notes(), sep="\n")
    assert failures(rows) == [], "\n".join(summary(rows, seed))
    tried = {name for name in methods() if any(row.id.split(".")[1] == name.lower() for row in rows)}
    assert 2 * len(methods()) > CASES or set(methods()) - tried <= {"LORA"}  # LoRA's ids may say dora or rslora


def test_every_method_meets_many_architectures_each_once() -> None:
    pytest.importorskip("peft")
    from tests.differential.methods import TABLE, bases_of, methods, turn

    names = methods()
    pairs = [(method, bases[0].name) for method, bases in (turn(1, index) for index in range(BASES * len(names)))]
    for name in names:
        met = [base for method, base in pairs if method == name]
        wide = len({base.name for base in bases_of(name)})
        assert len(met) == BASES
        assert len(set(met)) == min(BASES, wide)
        assert wide >= BASES or {"models", "kinds"} & TABLE[name].keys()
