"""`python -m adaptlint.testing.demo STORY`: write a story's adapter from its recipe and check it as a user would.

A story is a folder with recipe.toml and the base that the recipe names (a shape lock or a model folder).
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile

from adaptlint.testing.recipes import Built, build, read_recipe

CONFIG = os.path.join("fixtures", "bases", "llama-2-13b", "config.json")


def tell(story: str, folder: str) -> Built:
    """Write the story's adapter below `folder`; bases are looked up in the story's own folder."""
    with open(os.path.join(story, "recipe.toml"), encoding="utf-8") as file:
        recipe = read_recipe(file.read())
    return build(recipe, folder, bases=story)


def main(arguments: list[str]) -> int:
    """Run the check on the story and say how to go on; 0 if it ended with findings, as a story does."""
    story = os.path.abspath(arguments[0])
    with tempfile.TemporaryDirectory(prefix="adaptlint-") as folder:
        built = tell(story, folder)
        shown = [os.path.relpath(built.model), os.path.basename(built.adapter)]
        print(f"$ adaptlint check {' '.join(shown)}\n", flush=True)
        command = [sys.executable, "-m", "adaptlint", "check", os.path.relpath(built.model, folder), shown[1]]
        status = subprocess.run(command, cwd=folder, check=False).returncode
    print(f"\nadaptlint ended with status {status}: 1 means that it has findings.")
    print("The base's shapes came from a shape lock. With torch and transformers installed (the extra `models`),")
    print("the same check works from nothing but the base's config.json, which builds the model on the meta device:\n")
    print(f"    adaptlint check {CONFIG} ADAPTER/")
    return 0 if status == 1 else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
