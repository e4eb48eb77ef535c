"""Recipes that write real adapter folders without torch, for rule pages, stories, tests and plugins of others."""

from adaptlint.testing.pages import page_examples
from adaptlint.testing.recipes import Built, Recipe, RecipeError, build, read_recipe
from adaptlint.testing.writing import Entry, expand, write_safetensors

__all__ = [
    "Built",
    "Entry",
    "Recipe",
    "RecipeError",
    "build",
    "expand",
    "page_examples",
    "read_recipe",
    "write_safetensors",
]
