"""`python -m adaptlint.testing.write RECIPE FOLDER`: the adapter of a recipe (a TOML file, or a story's folder)."""

from __future__ import annotations

import os
import shutil
import sys
import tempfile

from adaptlint.testing.recipes import build, read_recipe


def main(arguments: list[str]) -> int:
    """Write the adapter's files into FOLDER, which must not exist yet; 2 for wrong usage."""
    if len(arguments) != 2 or os.path.lexists(arguments[1]):
        print("usage: python -m adaptlint.testing.write RECIPE FOLDER (one that does not exist yet)", file=sys.stderr)
        return 2
    recipe, folder = arguments
    path = os.path.join(recipe, "recipe.toml") if os.path.isdir(recipe) else recipe
    with open(path, encoding="utf-8") as file:
        read = read_recipe(file.read())
    with tempfile.TemporaryDirectory() as place:
        built = build(read, place, bases=os.path.dirname(path) or ".")
        shutil.copytree(built.adapter, folder)
    print(f"{folder}: {', '.join(sorted(os.listdir(folder)))}")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
