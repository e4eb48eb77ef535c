"""`python -m tests.hub.prove`: what releases of AdapterHub's library do with the examples of the pages about it.

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
    }


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
    """Of several loads the first that is not "works"."""
    return next((str(record["outcome"]) for record in records if record["outcome"] != "works"), "works")


def main() -> None:
    """Play everything and write the records anew."""
    pins = tomllib.loads(PINS.read_text())
    told: dict[str, Any] = {}
    with tempfile.TemporaryDirectory() as place:
        work = Path(place)
        asked = list(cases())
        for release in sorted({release_of(recipe) for _, recipe in asked}):
            chosen = {key: recipe for key, recipe in asked if release_of(recipe) == release}
            played = [as_played(key, recipe, work / key) for key, recipe in chosen.items()]
            (work / "cases.json").write_text(json.dumps(played))
            run(release, pins, "tests.hub.play", str(work / "cases.json"), str(work / "records.json"))
            records = json.loads((work / "records.json").read_text())["records"]
            for key, recipe in chosen.items():
                error = next((record["error"] for record in records[key] if "error" in record), None)
                told[key] = {"recipe": mark(recipe), "adapters": release, "outcome": outcome(records[key])}
                if error:
                    told[key]["error"] = {"type": error["type"], "message": error["message"][:300]}
    RECORDS.write_text(json.dumps(told, indent=1, sort_keys=True).replace(str(work), "") + "\n")
    print(f"{len(told)} examples played by {len({row['adapters'] for row in told.values()})} releases of adapters")


if __name__ == "__main__":
    main()
