"""`python -m tests.differential.releases --n 100 --seed 7 [RELEASE ...]`: verdicts for older releases of PEFT.

Each release runs in an environment of its own, made the first time. Half of its cases are adapters that it saved
itself, half are adapters that the newest release saved: those are also played by the newest, and where the older one
computes something else with the same weights, "wrong" is what should be told. Exit status 1 on a false alarm or a crash
of ours.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import subprocess
import sys
import tempfile
from operator import sub
from pathlib import Path
from typing import Any

from tests.differential.run import agreement, failures, prepare
from tests.oracle.compare import Row, compare_all, figures
from tests.releases.prove import NEAR, NEWEST, ROOT, interpreter, outcome, play

RELEASES = ("0.6.0", "0.11.1", "0.14.0", "0.17.1", NEWEST)
FOREIGN = 500_000  # added to the seed of the cases that the newest release saves
PLAYED = ("text", "seq2seq", "image")  # inputs that tests.releases.play has


def of_release(root: Path, release: str, seed: int, count: int, only: str) -> None:
    """The cases that the release makes, loads and records by itself."""
    python = interpreter(release)
    command = [python, "-W", "ignore", "-m", "tests.differential.released"]
    arguments = [str(root), release, str(seed), str(count), only]
    subprocess.run([*command, *arguments], check=True, cwd=ROOT, env={**os.environ, "PYTHONPATH": str(ROOT)})


def of_newest(root: Path, release: str, seed: int, count: int) -> None:
    """The cases that the newest release makes and this one loads."""
    import torch

    from tests.differential.architectures import TABLE, pristine
    from tests.differential.making import Unmade, make
    from tests.differential.methods import Known

    known = Known(**json.loads((root / "known.json").read_text()))
    fitting = [name for name in known.bases if TABLE["models"][name].get("inputs", "text") in PLAYED]
    source, rows = random.Random(f"{seed} fields"), []
    for index in range(count):
        try:
            made = make(seed + FOREIGN, index, root, known._replace(bases=fitting))
        except Unmade:
            continue
        if source.random() < 0.5:
            without_younger_fields(made.folder / "adapter" / "adapter_config.json", known)
        weights = root / f"{made.base.folder}.{made.base.auto}.pt"
        if not weights.exists():
            torch.save(pristine(made.base).state_dict(), weights)
        rows.append(
            {
                "key": made.name,
                "base": str(root / "bases" / made.base.folder),
                "auto": made.base.auto,
                "weights": str(weights),
                "adapters": [["default", str(made.folder / "adapter")]],
                "plan": None,
            }
        )
    meant = play(sys.executable, rows, root)
    python = interpreter(release)
    for name, record in play(python, rows, root).items():
        folder = root / "cases" / name
        if outcome(json.loads(json.dumps(record)), meant[name]) == "wrong":
            record["steps"][0]["computes_otherwise"] = computes_otherwise(record, meant[name])
        (folder / f"truth_{release}.json").write_text(json.dumps(record) + "\n")


def computes_otherwise(record: dict[str, Any], meant: dict[str, Any]) -> bool:
    """True if both give numbers, and these differ."""
    return (
        "output" in record and "output" in meant and max(map(abs, map(sub, record["output"], meant["output"]))) > NEAR
    )


def without_younger_fields(path: Path, known: Any) -> None:
    """Take out of a config what the release does not know, as users do who are told of an unexpected keyword."""
    try:
        config = json.loads(path.read_text())
        fields = known.methods[config["peft_type"]]
    except (OSError, ValueError, KeyError, TypeError):
        return  # a mutation was here
    path.write_text(json.dumps({key: value for key, value in config.items() if key in fields}, indent=2))


def compared(root: Path, release: str, seed: int, count: int, only: str) -> list[Row]:
    """Make, record and compare."""
    place = root / release
    place.mkdir(parents=True, exist_ok=True)
    of_release(place, release, seed, count - count // 2, only)
    of_newest(place, release, seed, count // 2)
    truth = f"truth_{release}.json"
    names = [folder.name for folder in sorted((place / "cases").iterdir()) if (folder / truth).exists()]
    return compare_all(place, names, truth)


def summary(rows: list[Row], release: str) -> list[str]:
    """The figures of one release; verdicts of "unknown" are counted apart from those that are not right."""
    told = [row for row in rows if row.got != "unknown"]
    lines = [f"PEFT {release}: {len(rows)} cases, {len(rows) - len(told)} unknown"]
    lines += [f"  {line}" for line in (*figures(told)[3:6], *figures(told)[-3:], *agreement(told, "method", 1))]
    for row in told:
        if not row.outcome:
            wanted = row.want.message or ", ".join(row.want.reasons)
            lines.append(
                f"    {row.id}: wanted {row.want.outcome}, got {row.got}: {wanted[:160]!r} / {row.detail[:160]}"
            )
    return lines


def main() -> int:
    """Read the arguments, run, print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("releases", nargs="*", default=RELEASES)
    parser.add_argument("--n", type=int, default=100, help="cases of each release")
    parser.add_argument("--seed", type=int, default=None)
    parser.add_argument("--methods", default="", help="only these, such as 'LORA IA3'")
    parser.add_argument("--keep", type=Path, help="leave the cases in this folder")
    options = parser.parse_args()
    seed = random.SystemRandom().randrange(FOREIGN) if options.seed is None else options.seed
    os.environ["HF_HUB_OFFLINE"] = "1"
    prepare()
    print(f"seed {seed}")
    failed = False
    with tempfile.TemporaryDirectory(prefix="adaptlint-") as scratch:
        root = (options.keep or Path(scratch)).resolve()
        os.environ["ADAPTLINT_CACHE"] = str(root / "cache")
        for release in options.releases:
            rows = compared(root, release, seed, options.n, options.methods)
            print(*summary(rows, release), sep="\n", flush=True)
            failed |= bool(failures(rows))
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
