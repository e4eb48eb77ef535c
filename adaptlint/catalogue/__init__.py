"""Rule pages as data."""

from adaptlint.catalogue.rule import Rule, load_catalogue, problem_of, read_page, select

__all__ = ["Rule", "load_catalogue", "problem_of", "read_page", "select"]
