"""`python -m tests.hub.prove [RELEASE ...]`: what AdapterHub's library does with the examples of the pages about it.

Makes an environment for each release of pins.toml, plays the examples there, and writes pages.json.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import tomllib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from adaptlint.runtimes.adapters.composing import MASKS, USUAL, implied_sizes
from adaptlint.runtimes.adapters.composition import read_composition
from adaptlint.testing import Built, Recipe, build, page_examples, read_recipe
from tests.releases.prove import BASES, ENVIRONMENTS, ROOT, RULES, mark, release_of

PINS = Path(__file__).with_name("pins.toml")
RECORDS = Path(__file__).with_name("pages.json")


def cases() -> Iterator[tuple[str, Recipe]]:
    """Key and recipe of every example that is an AdapterHub adapter and has a verdict."""
    for page in sorted(RULES.rglob("AL*.md")):
        for heading, texts in page_examples(page.read_text(encoding="utf-8")).items():
            for number, text in enumerate(texts):
                recipe = read_recipe(text)
                if recipe.hub and recipe.expect.get("outcome") != "unknown":
                    yield f"{page.name.partition('-')[0]}-{heading}-{number + 1}", recipe


def as_played(key: str, recipe: Recipe, folder: Path) -> dict[str, Any]:
    """The case as play.py takes it, its files written below `folder`."""
    built: Built = build(recipe, str(folder), str(BASES))
    given = built.adapters if isinstance(built.adapters, list) else [(recipe.name or None, built.adapter)]
    return {
        "key": key,
        "config": str((Path(built.model) / "config.json").resolve()),
        "class": recipe.check["model_class"],
        "adapters": [[name, str(Path(path).resolve())] for name, path in given],
        "compose": recipe.check.get("compose"),
        "fusions": recipe.check.get("fusions", []),
        "attn": recipe.check.get("attn"),
        "sizes": sizes(recipe),
        "masks": MASKS[recipe.check.get("mask")],
    }


def sizes(recipe: Recipe) -> dict[str, int]:
    """Those of the forward, as they are asked for or implied."""
    compose = recipe.check.get("compose")
    implied = implied_sizes(read_composition(compose)) if compose else {}
    return {**USUAL, **implied, **{name: recipe.check[name] for name in USUAL if name in recipe.check}}


def environment(release: str, pins: Mapping[str, list[str]]) -> str:
    """The interpreter of an environment that has this release, made once."""
    place = ENVIRONMENTS / f"adapters-{release}"
    python = place / "bin" / "python"
    if not python.exists():
        subprocess.run([sys.executable, "-m", "venv", str(place)], check=True)
        subprocess.run([str(python), "-m", "pip", "install", "-qq", *pins[release]], check=True)
    return str(python)


def run(release: str, pins: Mapping[str, list[str]], *words: str) -> None:
    """A module of these tests in the release's environment."""
    command = [environment(release, pins), "-W", "ignore", "-m", *words]
    subprocess.run(command, check=True, cwd=ROOT, env={**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"})


def outcome(records: list[dict[str, Any]]) -> str:
    """The worst of several loads and forwards."""
    return max((str(record["outcome"]) for record in records), key=("works", "wrong", "fails").index)


def main() -> None:
    """Play everything and write the records anew; with releases as arguments, those only."""
    pins, chosen_releases = tomllib.loads(PINS.read_text()), sys.argv[1:]
    asked = list(cases())
    keys = {key for key, _ in asked}
    before = json.loads(RECORDS.read_text()) if chosen_releases else {}
    told: dict[str, Any] = {key: record for key, record in before.items() if key in keys}
    with tempfile.TemporaryDirectory() as place:
        work = Path(place)
        for release in sorted({release_of(recipe) for _, recipe in asked} & set(chosen_releases or pins)):
            chosen = {key: recipe for key, recipe in asked if release_of(recipe) == release}
            played = [as_played(key, recipe, work / key) for key, recipe in chosen.items()]
            (work / "cases.json").write_text(json.dumps(played))
            run(release, pins, "tests.hub.play", str(work / "cases.json"), str(work / "records.json"))
            records = json.loads((work / "records.json").read_text())["records"]
            for key, recipe in chosen.items():
                error = next((record["error"] for record in records[key] if "error" in record), None)
                told[key] = {"recipe": mark(recipe), "adapters": release, "outcome": outcome(records[key])}
                if why := [reason for record in records[key] for reason in record.get("why", ())]:
                    told[key]["why"] = list(dict.fromkeys(why))
                if counts := [record["cached"] for record in records[key] if record.get("cached") is not None]:
                    told[key]["cached"] = counts[0]
                if error:
                    told[key]["error"] = {"type": error["type"], "message": error["message"][:300]}
    RECORDS.write_text(json.dumps(told, indent=1, sort_keys=True).replace(str(work), "") + "\n")
    print(f"{len(told)} examples played by {len({row['adapters'] for row in told.values()})} releases of adapters")


if __name__ == "__main__":
    main()
