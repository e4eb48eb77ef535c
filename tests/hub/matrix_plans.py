"""`python -m tests.hub.matrix_plans [RELEASE ...] --n 60 --seed 7`: steps of a plan that generate or train, by chance.

The matrix's cases on classes with a head; each step is run by the real library and held against the verdict of a plan
that has it. The exit status is 1 for a step that works and was told to raise.
"""

from __future__ import annotations

import json
from argparse import Namespace
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import adaptlint
from tests.environments import HUB
from tests.hub.matrix import Case, asked_of, draw, each_release, split, written
from tests.hub.prove import run

STEPS = (
    "generate",
    "generate num_beams=2",
    "generate num_return_sequences=2",
    "generate use_cache=false",
    "backward",
    "backward labels=false",
    "backward checkpointing=true",
    "backward labels=false checkpointing=true",
)
COMPOSED = split(
    "a | Stack(a, b) | Parallel(a, b) | Parallel(a, b) | Parallel(a, b, c) | Parallel(a, Stack(b, c)) | Average(a, b) "
    "| Fuse(a, b) | Stack(a, Parallel(b, c)) | BatchSplit(a, b, batch_sizes=[1, {n-1}]) "
    "| Split(a, b, splits=[2, {s-2}])"
)
"""Those that work on most models; what comes after one that does not is not told."""
HEADED = ("For", "LMHeadModel")
GENERATES = ("ForCausalLM", "LMHeadModel", "ForConditionalGeneration")


def drawn(release: str, count: int, seed: int, work: Path, only: str) -> list[Case]:
    """Cases of the matrix on a class with a head, with the steps that it can take."""
    cases: list[Case] = []
    for case in draw(release, 8 * count, seed, work, only, COMPOSED):
        kind = case["class"]
        if len(cases) < count and any(word in kind for word in HEADED):
            steps = [step for step in STEPS if step.startswith("backward") or any(word in kind for word in GENERATES)]
            cases.append({**case, "key": f"{case['key']}|{kind}", "steps": steps})
    return cases


class Step(NamedTuple):
    """A step, what the library did and what we told (also "fails otherwise" and "unknown"), and both texts."""

    step: str
    real: str
    told: str
    texts: str


def compared(case: Case, record: dict[str, Any], release: str) -> Iterator[Step]:
    """Every step of a case; none where the forward is not as it should be."""
    for step, error in record.get("steps", {}).items():
        (verdict,) = adaptlint.check(**asked_of(case, release), plan=step).verdicts
        told, ours = verdict.outcome, verdict.error
        if told == "wrong" or (told == "fails" and verdict.stage not in ("generate", "backward")):
            continue
        said = f"{ours.type}: {ours.match}" if ours else ""
        if error is None:
            yield Step(step, "works", told, said)
            continue
        if ours is not None and (ours.type != error["type"] or ours.match not in error["message"]):
            told = "fails otherwise"
        yield Step(step, "fails", told, f"{said} / {error['type']}: {error['message'][:160]}")


def shown(asked: Namespace, release: str, place: Path) -> bool:
    """Print the figures of a release; whether a step that works was told to raise."""
    pairs, lines = tried(release, asked.n, asked.seed, place, asked.only)
    decided = sum(count for (_, told), count in pairs.items() if told != "unknown")
    print(f"adapters {release}, seed {asked.seed}: {decided - len(lines)} of {decided} steps agree, {dict(pairs)}")
    print(*lines, sep="\n", flush=True)
    return pairs["works", "fails"] > 0


def tried(
    release: str, count: int, seed: int, work: Path, only: str = "", python: str | None = None
) -> tuple[Counter[tuple[str, str]], list[str]]:
    """How often the library did what beside what we told, and every step that was told otherwise."""
    written(work)
    cases = drawn(release, count, seed, work, only)
    (work / "cases.json").write_text(json.dumps(cases))
    run(release, "tests.hub.matrix_play", *(str(work / f"{name}.json") for name in ("cases", "records")), python=python)
    records = json.loads((work / "records.json").read_text())["records"]
    pairs: Counter[tuple[str, str]] = Counter()
    lines: list[str] = []
    for case in cases:
        for step, real, told, texts in compared(case, records[case["key"]], release):
            pairs[real, told] += 1
            if told not in (real, "unknown"):
                lines.append(f"  {case['key']} {case['attn']} {step}: {real}, told {told} ({texts})")
    return pairs, lines


if __name__ == "__main__":
    each_release(__doc__, HUB[1:], shown)
