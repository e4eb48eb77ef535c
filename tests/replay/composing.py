"""`python -m tests.replay.composing [--n 60] [--seed 1]`: compositions in PEFT, drawn by chance, replayed.

Two or three adapters of one method are made on the spot (tests/differential/composing.py) and checked. Where the
verdict is what real PEFT does, the replay has to confirm it, and to refute a finding that is planted.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from pathlib import Path

import adaptlint
from adaptlint.replay.plan import Settings
from tests.differential.composing import given, make, play
from tests.differential.run import prepare
from tests.replay.inside import replayed
from tests.replay.oracle import Row, figures, open_rows, with_planted

PLANTED = ("AL202", "AL201", "AL401")


def row_of(place: Path, seed: int, index: int) -> Row:
    """One case: marks of its findings where its verdict is right, and of the planted ones."""
    from tests.differential.architectures import write_config

    folder = place / f"{seed}-{index}"
    folder.mkdir(parents=True)
    method, base, expression = make(seed, index, folder)
    write_config(base, place / "bases")
    wanted, _, _ = play(base, folder, expression)
    report = adaptlint.check(place / "bases" / base.folder, given(folder), model_class=base.auto, compose=expression)
    marked, entries = replayed(with_planted(report, PLANTED), Settings(all=True))
    (verdict,) = marked.verdicts
    marks = [(f.code, f.replay.status, f.replay.observed or "") for f in marked.findings]
    kinds = [(f.name == "planted", f.fingerprint in verdict.why) for f in marked.findings]
    true = [mark for mark, (false, why) in zip(marks, kinds, strict=True) if why and not false]
    false = [mark for mark, (false, _) in zip(marks, kinds, strict=True) if false]
    right = wanted == report.verdicts[0].outcome
    name = f"{seed}-{index}.{base.name}.{method}.{expression}"
    scales = tuple(entry["scale"] for entry in entries)
    mine = verdict.replay
    return Row(name, true if right else [], false, mine.status if right else "", mine.observed or "", scales)


def rows_of(count: int, seed: int) -> list[Row]:
    """Cases 0 to count - 1 of the seed."""
    with tempfile.TemporaryDirectory(prefix="adaptlint-") as place:
        return [row_of(Path(place), seed, index) for index in range(count)]


def main() -> int:
    """Read the arguments, replay, print; 1 if a verdict that is right was refuted, or a planted finding confirmed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--n", type=int, default=60)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    prepare()
    rows = rows_of(options.n, options.seed)
    print(*figures(rows), *open_rows(rows), sep="\n")
    refuted = any(row.verdict == "refuted" or any(s == "refuted" for _, s, _ in row.true) for row in rows)
    return int(refuted or any(s == "confirmed" for row in rows for _, s, _ in row.planted))


if __name__ == "__main__":
    sys.exit(main())
