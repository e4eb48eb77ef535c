"""Cases in the environment of one release: `python -m tests.differential.released ROOT RELEASE SEED COUNT METHODS`.

Writes what the release knows to known.json, makes adapters with it, and records what it does with them. It runs where
there is nothing but PEFT and transformers, so nothing of adaptlint is imported.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

from tests.differential.making import make, record
from tests.differential.methods import known
from tests.differential.run import prepare


def main(root: Path, release: str, seed: int, count: int, only: list[str]) -> None:
    """Cases 0 to count - 1, of these methods or all; one that this release cannot make is passed over."""
    prepare()
    all_known = known()
    chosen = {name: fields for name, fields in all_known.methods.items() if not only or name in only}
    among = all_known._replace(methods=chosen)
    (root / "known.json").write_text(json.dumps(among._asdict()))
    for index in range(count):
        try:
            record(make(seed, index, root, among), f"truth_{release}.json")
        except Exception as problem:
            print(f"{release} {seed}:{index} {type(problem).__name__}: {str(problem)[:150]}", file=sys.stderr)


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2], int(sys.argv[3]), int(sys.argv[4]), sys.argv[5].split())
