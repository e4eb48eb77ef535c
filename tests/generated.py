"""Texts of the repository that are made from the rule pages; `make pages` writes them anew."""

from __future__ import annotations

from collections.abc import Callable
from itertools import groupby

from adaptlint.catalogue import load_catalogue


def index() -> str:
    """rules/README.md: every rule by family."""
    lines = [
        "# Rules",
        "",
        "One page per rule; its path is its code and name. This index is generated (`make pages`).",
        "",
    ]
    rules = sorted(load_catalogue(), key=lambda rule: (rule.code[:3], rule.family, rule.code))
    for family, group in groupby(rules, key=lambda rule: rule.family):
        lines += [f"## {family}", "", "| code | rule | severity | consequence |", "| --- | --- | --- | --- |"]
        for rule in group:
            page = rule.path.removeprefix("rules/")
            lines.append(f"| [{rule.code}]({page}) | {rule.title} | {rule.severity} | {rule.consequence} |")
        lines.append("")
    return "\n".join(lines)


TEXTS: dict[str, Callable[[], str]] = {"rules/README.md": index}
