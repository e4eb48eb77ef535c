"""`python -m tests.differential.run --n 500 --seed 7`: hold verdicts against real PEFT on adapters never seen before.

Exit status 1 on a false alarm on a healthy case, or on a crash of ours.
"""

from __future__ import annotations

import argparse
import os
import random
import shutil
import sys
import tempfile
import time
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from multiprocessing import get_context
from pathlib import Path

from tests.oracle.compare import Row, compare_case, disagreements, figures, inexact


def prepare() -> None:
    """One thread per process, nothing fetched from the network, and the libraries' log lines off."""
    import torch
    import transformers

    torch.set_num_threads(1)
    transformers.logging.set_verbosity_error()


def record(root: Path, seed: int, index: int) -> str:
    """Make one case with its record and return its id; empty if PEFT makes no adapter of the method."""
    from tests.differential.making import Unmade, make
    from tests.differential.making import record as load

    try:
        made = make(seed, index, root)
        load(made)
        return made.name
    except Unmade as problem:
        print(f"not made: {problem}", file=sys.stderr)
        return ""


def one(root: Path, seed: int, index: int) -> Row | None:
    """Make one case and compare it."""
    name = record(root, seed, index)
    return compare_case(root, name) if name else None


def run(count: int, seed: int, root: Path, jobs: int) -> list[Row]:
    """Cases 0 to count - 1 of the seed, in order."""
    work = partial(one, root, seed)
    with ProcessPoolExecutor(jobs, mp_context=get_context("spawn"), initializer=prepare) as pool:
        return [row for row in pool.map(work, range(count), chunksize=4) if row is not None]


def failures(rows: list[Row]) -> list[Row]:
    """Rows that break the promise: false alarms on healthy cases, and crashes."""
    return [row for row in rows if row.false_alarm or row.got == "crash"]


def summary(rows: list[Row], seed: int) -> list[str]:
    """The figures, then every row that disagrees with how to see it again."""
    lines = [f"seed {seed}", *figures(rows), *agreement(rows, "method", 1), *agreement(rows, "architecture", 0)]
    lines += [*inexact(rows), *disagreements(rows)]
    for row in rows:
        if not row.outcome:
            index = row.id.split(".")[2].rpartition("-")[2]
            lines.append(f"  {row.id}: wanted {row.want.outcome}, got {row.got} {row.detail[:120]}")
            lines.append(f"      python -m tests.differential.run --case {seed}:{index} --keep .differential")
    return lines


def agreement(rows: list[Row], what: str, place: int) -> list[str]:
    """How many verdicts agree for each method or architecture, which is that part of a case's id; misses first."""
    groups: dict[str, list[bool]] = {}
    for row in rows:
        groups.setdefault(row.id.split(".")[place], []).append(row.outcome)
    told = sorted(groups.items(), key=lambda group: (sum(group[1]) - len(group[1]), group[0]))
    cells = [f"{name} {sum(seen)}/{len(seen)}" for name, seen in told]
    return [f"by {what}, {len(cells)}: {', '.join(cells)}"]


def notes() -> list[str]:
    """What a reader of the figures should know."""
    from tests.differential.methods import without_entry

    names = without_entry()
    return [f"no entry in methods.toml, so drawn with their defaults: {', '.join(names)}"] if names else []


def main() -> int:
    """Read the arguments, run, print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--n", type=int, default=500)
    parser.add_argument("--seed", type=int, default=None)
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--case", help="seed:index of one case")
    parser.add_argument("--keep", type=Path, help="leave the cases in this folder")
    parser.add_argument("--record", action="store_true", help="make and record the cases, compare nothing")
    options = parser.parse_args()
    os.environ["HF_HUB_OFFLINE"] = "1"
    seed = random.SystemRandom().randrange(1_000_000) if options.seed is None else options.seed
    root = options.keep or Path(tempfile.mkdtemp(prefix="adaptlint-"))
    os.environ["ADAPTLINT_CACHE"] = str(root / "cache")
    started = time.monotonic()
    try:
        if options.record:
            prepare()
            for index in range(options.n):
                record(root, seed, index)
            return 0
        if options.case:
            seed, index = map(int, options.case.split(":"))
            prepare()
            rows = [row for row in [one(root, seed, index)] if row is not None]
        else:
            rows = run(options.n, seed, root, options.jobs)
    finally:
        if not options.keep:
            shutil.rmtree(root, ignore_errors=True)
    print(*summary(rows, seed), *notes(), sep="\n")
    print(f"{time.monotonic() - started:.0f} s")
    return 1 if failures(rows) else 0


if __name__ == "__main__":
    sys.exit(main())
