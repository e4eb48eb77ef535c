"""`python -m tests.hub.matrix [RELEASE ...] --n 60 --seed 7`: compositions drawn by chance, run by the real library.

Architectures x methods x compositions x backends x masks, each release in an environment of its own. The exit status is
1 for a false alarm on what works, or a crash of ours.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import re
import sys
import tempfile
import tomllib
from argparse import Namespace
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from adaptlint.runtimes.adapters.composition import read_composition
from tests.environments import HUB
from tests.hub.graph_heads import HEADS
from tests.hub.method_configs import METHODS
from tests.hub.prove import run

Case = dict[str, Any]
BASES: dict[str, Any] = tomllib.loads(Path(__file__).with_name("matrix_bases.toml").read_text(encoding="utf-8"))
NEW = {
    "loreft": "1.0.0",
    "noreft": "1.0.0",
    "vera": "1.1.0",
    "mtl_lora": "1.1.0",
    "dora": "1.1.0",
}  # the release that brought a method
COMPOSITIONS = """
a | Stack(a, b) | Stack(a, b, c) | Parallel(a, b) | Parallel(a, b, c) | Parallel(a, Stack(b, c))
Stack(a, Parallel(b, c)) | Stack(Parallel(a, b), c) | Parallel(a, a)
Fuse(a, b) | Stack(c, Fuse(a, b)) | Fuse(Stack(a, c), b) | Average(a, b)
Average(a, b, c) | Average(a, b, weights=[0.3, 0.7]) | Stack(c, Average(a, b)) | Parallel(a, Average(b, c))
BatchSplit(a, b, batch_sizes=[1, {n-1}]) | BatchSplit(a, b, batch_sizes=[{n-1}, {n}]) | Split(a, b, splits=[2, {s-2}])
BatchSplit(Stack(a, c), b, batch_sizes=[{n-1}, 1]) | Stack(a, BatchSplit(b, c, batch_sizes=[{n-1}, 1]))
Parallel(a, BatchSplit(b, c, batch_sizes=[1, {n-1}])) | Stack(Split(a, b, splits=[2, {s-2}]), c)
Average(a, BatchSplit(b, c, batch_sizes=[1, {n-1}])) | Split(a, Average(b, c), splits=[2, {s-2}])
Average(a, b, weights=[1, 1], normalize_weights=False) | Split(Stack(a, c), b, splits=[2, {s-2}])
BatchSplit(a, Average(b, c), batch_sizes=[1, {n-1}]) | Parallel(Stack(a, b), c) | Average(Stack(a, c), b)
"""
TASKED = "MultiTask(a, b) | MultiTask(Stack(a, c), b) | Stack(c, MultiTask(a, b)) | MultiTask(a, Average(b, c))"
BROUGHT = {TASKED: "1.2.0"}  # words that a release brought


def split(line: str) -> list[str]:
    """The compositions of a line."""
    return [words.strip() for words in line.split(" | ")]


WORDS = [words for line in COMPOSITIONS.strip().splitlines() for words in split(line)]


class Row(NamedTuple):
    """A case with what the library did and what we told."""

    key: str
    real: str
    told: str
    agree: bool
    detail: str


def words_of(release: str) -> list[str]:
    """The compositions that a release knows."""
    return [*WORDS, *(word for line, since in BROUGHT.items() if since <= release for word in split(line))]


def draw(
    release: str, count: int, seed: int, work: Path, only: str = "", known: list[str] | None = None
) -> Iterator[Case]:
    """Cases in order; each is told by its release, the seed and its number. `known`: the compositions to draw from."""
    bases = [name for name, base in BASES.items() if base.get("since", "") <= release and re.search(only, name)]
    methods = [name for name in METHODS if NEW.get(name, "") <= release]
    for number in range(count):
        source = random.Random(f"{release}-{seed}-{number}")
        words = source.choice(known or words_of(release))
        base = bases[(number + seed) % len(bases)]
        batch, seq = source.randrange(2, 5), source.randrange(4, 9)
        first = source.choice(methods)
        kinds = {name: first if source.random() < 0.85 else source.choice(methods) for name in "abc"}
        sizes = {"{n}": batch, "{n-1}": batch - 1, "{s-2}": seq - 2}
        for hole, size in sizes.items():
            words = words.replace(hole, str(size))
        setup = read_composition(words)
        names = sorted(setup.names())
        yield {
            "key": f"{base}|{first}|{words}|{number}",
            "config": str(work / f"{base}.json"),
            "class": source.choice(
                [BASES[base]["class"], *HEADS.get(BASES[base]["config"].get("model_type", base), ())]
            ),
            "adapters": [[name, str(work / str(number) / name)] for name in names],
            "made_of": [METHODS[kinds[name]] for name in names],
            "compose": words,
            "fusions": [block.fusion for block in setup.blocks() if block.kind == "Fuse"],
            "attn": source.choice(["eager", "sdpa"]),
            "sizes": {"batch": batch, "seq": seq, "decoder_seq": source.randrange(3, 9)},
            "masks": [source.random() < 0.5],
        }


def asked_of(case: Case, release: str) -> Case:
    """The check of a case, as `adaptlint.check` takes it."""
    return {
        "model": case["config"],
        "adapters": [tuple(pair) for pair in case["adapters"]],
        "targets": [f"adapters=={release}"],
        "compose": case["compose"],
        "attn": case["attn"],
        "model_class": case["class"],
        "mask": "padded" if case["masks"][0] else "none",
        "fusions": case["fusions"],
        **case["sizes"],
    }


def compared(case: Case, record: Case, release: str) -> Row:
    """Our verdict beside what the library did."""
    import adaptlint

    try:
        report = adaptlint.check(**asked_of(case, release))
    except Exception as problem:
        return Row(case["key"], record["outcome"], "crash", False, f"{type(problem).__name__}: {problem}"[:200])
    (verdict,) = report.verdicts
    codes = ",".join(dict.fromkeys(finding.code for finding in report.findings))
    said = f"{verdict.error.type}: {verdict.error.match}"[:120] if verdict.error else ""
    if verdict.outcome == "unknown":
        said = next((finding.message for finding in report.findings if finding.code == "AL904"), "")
    agree = verdict.outcome == record["outcome"] or (record.get("drawn", False) and verdict.outcome == "wrong")
    seen = "; ".join(record.get("why", ()))
    if record["outcome"] == "fails":
        error = record["error"]
        seen = f"{error['type']}: {error['message'][:120]}"
        known = verdict.error is not None and verdict.error.type == error["type"]
        agree = agree and known and verdict.error.match in error["message"]
    return Row(case["key"], record["outcome"], verdict.outcome, agree, f"{codes} {said} / {seen}")


def written(work: Path) -> None:
    """The config of every base."""
    for name, base in BASES.items():
        (work / f"{name}.json").write_text(
            json.dumps({"model_type": name, **base["config"], "architectures": [base["class"]]})
        )


def tried(
    release: str, count: int, seed: int, work: Path, only: str = "", python: str | None = None
) -> tuple[list[Row], int]:
    """Every case that could be made, compared; and how many could not. `python`: as `prove.run` takes it."""
    written(work)
    cases = list(draw(release, count, seed, work, only))
    (work / "cases.json").write_text(json.dumps(cases))
    run(
        release,
        "tests.hub.matrix_play",
        *(str(work / f"{name}.json") for name in ("cases", "records")),
        python=python,
    )
    records = json.loads((work / "records.json").read_text())["records"]
    made = [case for case in cases if "refused" not in records[case["key"]]]
    return [compared(case, records[case["key"]], release) for case in made], count - len(made)


def told(rows: list[Row]) -> list[str]:
    """The figures, then every row that disagrees."""
    wrong = [row for row in rows if row.real == "wrong"]
    real, ours = Counter(row.real for row in rows), Counter(row.told for row in rows)
    lines = [
        f"{sum(row.agree for row in rows)} of {len(rows)} agree: the library {dict(real)}, we {dict(ours)}",
        f"false alarms {len(alarms(rows))}",
        f"silent failures found {sum(row.told == 'wrong' for row in wrong)} of {len(wrong)}",
    ]
    return lines + [f"  {row.key}: {row.real}, told {row.told} ({row.detail})" for row in rows if not row.agree]


def alarms(rows: list[Row]) -> list[Row]:
    """What works and was told not to, and crashes."""
    refused = [row for row in rows if row.real == "works" and row.told in ("fails", "wrong") and not row.agree]
    return refused + [row for row in rows if row.told == "crash"]


def each_release(said: str, releases: Sequence[str], shown: Callable[[Namespace, str, Path], bool]) -> None:
    """The command line of a matrix: `shown` prints what came of one release, and whether that is a failure."""
    parser = argparse.ArgumentParser(description=said)
    parser.add_argument("releases", nargs="*", default=releases)
    parser.add_argument("--n", type=int, default=60)
    parser.add_argument("--seed", type=int, default=random.SystemRandom().randrange(1_000_000))
    parser.add_argument("--only", default="", help="a pattern of bases")
    asked = parser.parse_args()
    failed = False
    for release in asked.releases:
        with tempfile.TemporaryDirectory() as place:
            os.environ["ADAPTLINT_CACHE"] = str(Path(place) / "cache")
            failed |= shown(asked, release, Path(place))
    sys.exit(int(failed))


def shown(asked: Namespace, release: str, place: Path) -> bool:
    """Print the figures of a release; whether there are alarms."""
    rows, unmade = tried(release, asked.n, asked.seed, place, asked.only)
    print(f"adapters {release}, seed {asked.seed}, {unmade} not made", *told(rows), sep="\n", flush=True)
    return bool(alarms(rows))


if __name__ == "__main__":
    each_release(__doc__, HUB, shown)
