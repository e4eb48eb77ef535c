"""`python -m tests.releases.prove [REGEX]`: what older releases of PEFT do with the examples that speak of them.

Makes an environment for each release (tests/environments.py), plays the cases in it, and writes records.json, which the
tests hold against what the pages and the reports say.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from adaptlint.replay.conduct import as_data
from adaptlint.runtimes.adapters.composition import read_composition
from adaptlint.runtimes.peft.plan import default_plan, parse_plan
from adaptlint.testing import Built, Recipe, build, page_examples, read_recipe
from tests.environments import PEFT, environment

ROOT = Path(__file__).resolve().parents[2]
RULES, STORIES, BASES = ROOT / "rules", ROOT / "fixtures" / "stories", ROOT / "fixtures" / "bases"
RECORDS = Path(__file__).with_name("records.json")
METHODS = Path(__file__).with_name("methods.json")
NEWEST = "0.21.2"
NEAR = 1e-4
SIZES = ("batch", "seq", "decoder_seq")


class Case(NamedTuple):
    """One recipe to be played by one release; `bases` is where the recipe's bases are looked up."""

    key: str
    release: str
    recipe: Recipe
    bases: Path


def mark(recipe: Recipe) -> str:
    """What changes when the recipe does, and not when recipes get another field."""
    said = {name: value for name, value in recipe._asdict().items() if value != Recipe._field_defaults[name]}
    return hashlib.sha256(repr(said).encode()).hexdigest()[:16]


def by_record(recipe: Recipe) -> bool:
    """True for recipes whose truth is in records.json: those of older releases, with a plan, or with a composition."""
    if recipe.expect.get("outcome") == "unknown" or target_of(recipe).startswith("transformers"):
        return False
    return release_of(recipe) != NEWEST or "plan" in recipe.check or ("compose" in recipe.check and not recipe.hub)


def target_of(recipe: Recipe) -> str:
    """The target that the recipe is checked for."""
    return str(recipe.check.get("targets", [f"peft=={NEWEST}"])[0])


def release_of(recipe: Recipe) -> str:
    """The release of that target."""
    return target_of(recipe).partition("==")[2]


def cases() -> Iterator[Case]:
    """Examples of pages that name an older release, and every chapter of a story that goes through several."""
    for page in sorted(RULES.rglob("AL*.md")):
        for heading, texts in page_examples(page.read_text(encoding="utf-8")).items():
            for number, text in enumerate(texts):
                recipe = read_recipe(text)
                if by_record(recipe) and not recipe.hub:  # those: tests/hub/prove.py
                    name = f"{page.name.partition('-')[0]}-{heading}-{number + 1}"
                    yield Case(name, release_of(recipe), recipe, BASES)
    for story in sorted(STORIES.glob("*/recipe.toml")):
        recipe = read_recipe(story.read_text(encoding="utf-8"))
        if not isinstance(recipe.expect["outcome"], str) and not recipe.hub:  # those: tests/hub/prove.py
            for release in recipe.expect["outcome"]:
                yield Case(f"{story.parent.name}-{release}", release, recipe, story.parent)


def as_played(case: Case, folder: Path) -> dict[str, Any]:
    """The case as play.py takes it, its files written below `folder`."""
    import torch

    from tests.differential.configs import TASKS
    from tests.differential.folders import model_of

    built: Built = build(case.recipe, str(folder), str(case.bases))
    task = case.recipe.config.get("task_type", "")
    auto = case.recipe.check.get("model_class") or {name: auto for auto, name in TASKS.items()}.get(
        task, "AutoModelForCausalLM"
    )
    weights = folder / "weights.pt"
    torch.save(model_of(Path(built.model), auto).state_dict(), weights)
    plan = case.recipe.check.get("plan")
    given = built.adapters if isinstance(built.adapters, list) else [(built.name, built.adapter)]
    compose = case.recipe.check.get("compose")
    steps = parse_plan(plan) if plan else default_plan([name for name, _ in given], True) if compose else []
    return {
        "key": case.key,
        "base": str(Path(built.model).resolve()),
        "auto": auto,
        "weights": str(weights),
        "adapters": [[name, str(Path(path).resolve())] for name, path in given],
        "plan": [[step.op, step.name, step.options] for step in steps] or None,
        "compose": as_data(read_composition(compose, in_peft=True)) if compose else None,
        "asked": {name: case.recipe.check[name] for name in SIZES if name in case.recipe.check},
    }


def interpreter(release: str) -> str:
    """The interpreter that has this release: this one for the newest, else one of an environment made once."""
    return sys.executable if release == NEWEST else environment("peft", release)


def play(python: str, played: list[dict[str, Any]], folder: Path) -> dict[str, Any]:
    """The records of these cases, made by that interpreter."""
    asked, told = folder / "cases.json", folder / "records.json"
    asked.write_text(json.dumps(played))
    command = [python, "-W", "ignore", "-m", "tests.releases.play", str(asked), str(told)]
    subprocess.run(command, check=True, cwd=ROOT, env={**os.environ, "PYTHONPATH": str(ROOT)})
    records: dict[str, Any] = json.loads(told.read_text())
    return records


def methods(folder: Path) -> dict[str, Any]:
    """By release and method: what changed in its config's fields since the release before, and adapters it saves."""
    told: dict[str, Any] = {}
    before: dict[str, Any] = {}
    for release in PEFT:
        out = folder / f"{release}.json"
        command = [interpreter(release), "-W", "ignore", "-m", "tests.releases.methods", str(out)]
        subprocess.run(command, check=True, cwd=ROOT, env={**os.environ, "PYTHONPATH": str(ROOT)})
        seen = json.loads(out.read_text())
        told[release] = {
            name: {**row, "fields": changes(before.get(name, {}), row["fields"])} for name, row in seen.items()
        }
        before = {name: row["fields"] for name, row in seen.items()}
    return told


def changes(old: Mapping[str, Any], new: Mapping[str, Any]) -> dict[str, Any]:
    """The fields that came or changed, with their defaults, and under "gone" those that went."""
    found = {field: value for field, value in new.items() if field not in old or old[field] != value}
    gone = sorted(field for field in old if field not in new)
    return {**found, "gone": gone} if gone else found


def outcome(record: Mapping[str, Any], meant: Mapping[str, Any]) -> str:
    """The verdict a record calls for: of one adapter, also by what the newest release computes with it."""
    from tests.oracle.wanted import wanted, without_base_keys

    if "forward" not in record and record["outcome"] != "raises":
        return str(record["outcome"])
    said = wanted(without_base_keys(dict(record)), fresh=False).outcome
    if said == "works" and "output" in meant:
        far = max(abs(a - b) for a, b in zip(record["output"], meant["output"], strict=True))
        return "wrong" if far > NEAR else said
    return said


def compact(told: Mapping[str, Any]) -> str:
    """One line for each method of each release."""
    blocks = []
    for release, rows in told.items():
        lines = [f"  {json.dumps(name)}: {json.dumps(row, sort_keys=True)}" for name, row in sorted(rows.items())]
        blocks.append(f" {json.dumps(release)}: {{\n" + ",\n".join(lines) + "\n }")
    return "{\n" + ",\n".join(blocks) + "\n}\n"


def main() -> None:
    """Play everything and write the records anew; with a regex, the cases of those keys alone."""
    only = sys.argv[1] if len(sys.argv) > 1 else ""
    told: dict[str, Any] = json.loads(RECORDS.read_text()) if only else {}
    with tempfile.TemporaryDirectory() as place:
        work = Path(place)
        asked = [(case, as_played(case, work / case.key)) for case in cases() if re.search(only, case.key)]
        lone = [row for _, row in asked if row["plan"] is None]
        meant = play(sys.executable, lone, work) if lone else {}
        for release in sorted({case.release for case, _ in asked}):
            chosen = [(case, row) for case, row in asked if case.release == release]
            seen = play(interpreter(release), [row for _, row in chosen], work)
            for case, _ in chosen:
                record = seen[case.key]
                steps = record["steps"] if "output" not in record else []
                told[case.key] = {
                    "recipe": mark(case.recipe),
                    "peft": release,
                    "outcome": outcome(record, meant.get(case.key, {})),
                    "steps": [step for step in steps if "op" in step],
                }
        if not only:
            METHODS.write_text(compact(methods(work)))
    RECORDS.write_text(json.dumps(told, indent=1, sort_keys=True) + "\n")
    print(f"{len(told)} cases played by {len({row['peft'] for row in told.values()})} releases of PEFT")


if __name__ == "__main__":
    main()
