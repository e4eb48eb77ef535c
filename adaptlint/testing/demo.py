"""`python -m adaptlint.testing.demo STORY`: write a story's adapter from its recipe and check it as a user would.

A story is a folder with recipe.toml; the bases that it names are looked up from there. Run from the checkout.
"""

from __future__ import annotations

import os
import subprocess
import sys

from adaptlint.testing.recipes import Built, Recipe, build, read_recipe

PLACE = ".demo"
CONFIG = os.path.join("fixtures", "bases", "llama-2-13b", "config.json")


def story_recipe(story: str) -> Recipe:
    """The recipe of a story."""
    with open(os.path.join(story, "recipe.toml"), encoding="utf-8") as file:
        return read_recipe(file.read())


def tell(story: str, folder: str) -> Built:
    """Write the story's adapter below `folder`; bases are looked up in the story's own folder."""
    return build(story_recipe(story), folder, bases=story)


def main(arguments: list[str]) -> int:
    """Run the check on the story and say how to go on; 0 if it ended with findings, as a story does."""
    built = tell(arguments[0], PLACE)
    print(f"$ adaptlint check {built.model} {built.adapter}\n", flush=True)
    command = [sys.executable, "-m", "adaptlint", "check", built.model, built.adapter]
    status = subprocess.run(command, check=False).returncode
    print(f"\nadaptlint ended with status {status}: 1 means that it has findings.")
    print("The base's shapes came from a shape lock. With torch and transformers installed (the extra `models`),")
    print("the same check works from nothing but the base's config.json, which builds the model on the meta device:\n")
    print(f"    adaptlint check {CONFIG} {built.adapter}")
    return 0 if status == 1 else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
