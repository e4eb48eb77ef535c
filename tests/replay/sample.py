"""`python -m tests.replay.sample ROOT [--n 200] [--seed 1]`: one seeded sample of flagged cases over both libraries.

ROOT holds `peft/` and `composition/`. Printed are the figures of the whole sample, then those of each kind.
"""

from __future__ import annotations

import random
import sys

from tests.replay import compositions, oracle


def main() -> int:
    """Read the arguments, replay, print; 1 if a true finding was refuted or a planted one confirmed."""
    options = oracle.asking(__doc__).parse_args()
    root = options.root.resolve()
    names = oracle.chosen(root / "peft", sys.maxsize, options.seed)
    cases = compositions.chosen(root / "composition", sys.maxsize, options.seed)
    both = [("peft", number) for number in range(len(names))] + [
        ("composition", number) for number in range(len(cases))
    ]
    random.Random(options.seed).shuffle(both)
    picked = both[: options.n]
    oracle.ready()
    of_peft = [oracle.compare(root / "peft", names[number]) for kind, number in picked if kind == "peft"]
    composed = [cases[number] for kind, number in picked if kind == "composition"]
    of_hub = compositions.rows_of(root / "composition", composed)
    rows = [*of_peft, *of_hub]
    print(
        f"flagged cases: {len(names)} of PEFT, {len(cases)} compositions; a sample of {len(rows)}, seed {options.seed}"
    )
    for title, some in (("both", rows), ("PEFT", of_peft), ("compositions", of_hub)):
        print(title, *("  " + line for line in oracle.figures(some)), sep="\n")
    print(*oracle.open_rows(rows), sep="\n")
    refuted = any(status == "refuted" for row in rows for _, status, _ in row.true)
    return int(refuted or any(status == "confirmed" for row in rows for _, status, _ in row.planted))


if __name__ == "__main__":
    sys.exit(main())
