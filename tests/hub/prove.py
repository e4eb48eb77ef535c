"""`python -m tests.hub.prove [RELEASE ...]`: what AdapterHub's library does with the examples of the pages about it.

Makes an environment for each release (tests/environments.py), plays the examples there, and writes pages.json.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from adaptlint.runtimes.adapters.composing import USUAL, implied_sizes
from adaptlint.runtimes.adapters.composition import read_composition
from adaptlint.runtimes.adapters.forwards import MASKS
from adaptlint.testing import Built, Recipe, build, page_examples, read_recipe
from tests.environments import HUB, environment
from tests.releases.prove import BASES, ROOT, RULES, STORIES, mark, release_of

STORY_RECORDS = Path(__file__).with_name("stories.json")
SHALLOW = {
    "num_hidden_layers": 1,
    "num_layers": 1,
    "num_decoder_layers": 1,
    "vocab_size": 64,
    "torch_dtype": "float32",  # what `from_pretrained` loads without being asked
}
RECORDS = Path(__file__).with_name("pages.json")


def cases() -> Iterator[tuple[str, Recipe]]:
    """Key and recipe of every example that is an AdapterHub adapter and has a verdict."""
    for page in sorted(RULES.rglob("AL*.md")):
        for heading, texts in page_examples(page.read_text(encoding="utf-8")).items():
            for number, text in enumerate(texts):
                recipe = read_recipe(text)
                if recipe.hub and recipe.expect.get("outcome") != "unknown":
                    yield f"{page.name.partition('-')[0]}-{heading}-{number + 1}", recipe


def chapters(recipe: Recipe) -> Iterator[tuple[str, str, dict[str, Any]]]:
    """A story's outcomes by their key, with the release of each and the options of its check."""
    for key in recipe.expect["outcome"]:
        release, _, name = key.partition("-")
        yield key, release, {**recipe.check, **recipe.chapters.get(name, {})}


def story_cases() -> Iterator[tuple[str, Recipe]]:
    """Every chapter of a story about this library, one layer deep and with few words, its widths as they are."""
    for path in sorted(STORIES.glob("*/recipe.toml")):
        recipe = read_recipe(path.read_text(encoding="utf-8"))
        for key, release, check in chapters(recipe) if recipe.hub else ():
            outcome = recipe.expect["outcome"][key]
            if check["attn"] == "flash_attention_2" and outcome != "fails":
                continue  # its kernels run on no CPU
            given = json.loads((path.parent / str(recipe.base) / "config.json").read_text(encoding="utf-8"))
            base = {"from": recipe.base, "config": {name: value for name, value in SHALLOW.items() if name in given}}
            tensors = tuple({**spec, "name": re.sub(r"\{0-\d+\}", "0", spec["name"])} for spec in recipe.tensors)
            check = {**check, "targets": [f"adapters=={release}"]}
            yield f"{path.parent.name}-{key}", recipe._replace(base=base, tensors=tensors, check=check, expect={})


def as_played(key: str, recipe: Recipe, folder: Path, bases: Path = BASES) -> dict[str, Any]:
    """The case as play.py takes it, its files written below `folder`."""
    built: Built = build(recipe, str(folder), str(bases))
    given = built.adapters if isinstance(built.adapters, list) else [(recipe.name or None, built.adapter)]
    return {
        "key": key,
        "config": str((Path(built.model) / "config.json").resolve()),
        "class": recipe.check["model_class"],
        "adapters": [[name, str(Path(path).resolve())] for name, path in given],
        "compose": recipe.check.get("compose"),
        "fusions": recipe.check.get("fusions", []),
        "plan": recipe.check.get("plan"),
        "attn": recipe.check.get("attn"),
        "sizes": sizes(recipe),
        "masks": MASKS[recipe.check.get("mask")],
    }


def sizes(recipe: Recipe) -> dict[str, int]:
    """Those of the forward, as they are asked for or implied."""
    compose = recipe.check.get("compose")
    implied = implied_sizes(read_composition(compose)) if compose else {}
    return {**USUAL, **implied, **{name: recipe.check[name] for name in USUAL if name in recipe.check}}


def run(release: str, *words: str, python: str | None = None) -> None:
    """A module of these tests in the release's environment, or by an interpreter that has the release."""
    command = [python or environment("adapters", release), "-W", "ignore", "-m", *words]
    subprocess.run(command, check=True, cwd=ROOT, env={**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"})


def outcome(records: list[dict[str, Any]]) -> str:
    """The worst of several loads and forwards."""
    return max((str(record["outcome"]) for record in records), key=("works", "wrong", "fails").index)


def told_of(asked: list[tuple[str, Recipe]], place: Path, bases: Path, chosen_releases: list[str]) -> dict[str, Any]:
    """What each case became, played below the folder `place` by the releases that were chosen, else by all."""
    keys = {key for key, _ in asked}
    before = json.loads(place.read_text()) if chosen_releases and place.exists() else {}
    told: dict[str, Any] = {key: record for key, record in before.items() if key in keys}
    with tempfile.TemporaryDirectory() as folder:
        work = Path(folder)
        for release in sorted({release_of(recipe) for _, recipe in asked} & set(chosen_releases or HUB)):
            chosen = {key: recipe for key, recipe in asked if release_of(recipe) == release}
            played = [as_played(key, recipe, work / key, bases) for key, recipe in chosen.items()]
            (work / "cases.json").write_text(json.dumps(played))
            run(release, "tests.hub.play", str(work / "cases.json"), str(work / "records.json"))
            records = json.loads((work / "records.json").read_text())["records"]
            told |= {key: record_of(recipe, records[key], str(work)) for key, recipe in chosen.items()}
    return told


def record_of(recipe: Recipe, records: list[dict[str, Any]], work: str) -> dict[str, Any]:
    """What is kept of a case's loads and forwards."""
    told: dict[str, Any] = {"recipe": mark(recipe), "adapters": release_of(recipe), "outcome": outcome(records)}
    if why := [reason for record in records for reason in record.get("why", ())]:
        told["why"] = list(dict.fromkeys(why))
    if counts := [record["cached"] for record in records if record.get("cached") is not None]:
        told["cached"] = counts[0]
    if later := [what for record in records for what in record.get("afterwards", ())]:
        told["afterwards"] = list(dict.fromkeys(later))
    error = next((record["error"] for record in records if "error" in record), None)
    if error:
        told["error"] = {"type": error["type"], "message": error["message"][:300].replace(work, "")}
    return told


def main() -> None:
    """Play everything and write the records anew; with releases as arguments, those only."""
    stories = next(STORIES.glob("*/"))
    for place, asked, bases in ((RECORDS, list(cases()), BASES), (STORY_RECORDS, list(story_cases()), stories)):
        told = told_of(asked, place, bases, sys.argv[1:])
        place.write_text(json.dumps(told, indent=1, sort_keys=True) + "\n")
        releases = len({row["adapters"] for row in told.values()})
        print(f"{place.name}: {len(told)} cases played by {releases} releases of adapters")


if __name__ == "__main__":
    main()
