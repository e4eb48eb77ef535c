"""`adaptlint rules`: all of them at a glance, or what they cover."""

from __future__ import annotations

import sys
from collections.abc import Sequence

import click

from adaptlint.cli import output

_GAP = 4  # between columns, and what tabulate leaves around a heading
_NARROWEST = 12


@click.command("rules")
@click.option("--coverage", is_flag=True, help="List how adapters fail in public, and which rules tell it.")
@click.option("--format", "form", type=click.Choice(["text", "json"]), default="text", help="[text]")
def command(coverage: bool, form: str) -> int:
    """List every rule: code, name, severity, what it costs the user, and its title."""
    output.say(_coverage(form) if coverage else _rules(form))
    return 0


def _rules(form: str) -> str:
    from adaptlint.catalogue import load_catalogue

    rules = load_catalogue()
    if form == "json":
        import json

        fields = ("code", "name", "family", "title", "severity", "consequence", "grain", "since")
        listed = [
            {**{field: getattr(rule, field) for field in fields}}
            | {"needs": list(rule.needs), "targets": list(rule.targets or ())}
            for rule in rules
        ]
        return json.dumps(listed, indent=2) + "\n"
    rows = [(rule.code, rule.name, rule.severity, rule.consequence, rule.title) for rule in rules]
    return _table(rows, ("code", "name", "severity", "consequence", "title"), (1, 4))


def _table(rows: Sequence[tuple[str, ...]], headers: tuple[str, ...], long: tuple[int, int]) -> str:
    """A table as wide as the terminal, in which the two `long` columns wrap; whole lines where it goes into a pipe."""
    from tabulate import tabulate

    widest = [max(len(row[n]) for row in (headers, *rows)) + _GAP for n in range(len(headers))]
    limits: list[int | None] = [None] * len(headers)
    if sys.stdout.isatty():
        rest = output.style().width - sum(widest) + widest[long[0]] + widest[long[1]] - 2 * _GAP
        first = min(widest[long[0]], max(rest // 2, _NARROWEST))
        limits[long[0]], limits[long[1]] = first, max(rest - first, _NARROWEST)
    return f"{tabulate(rows, headers, disable_numparse=True, maxcolwidths=limits)}\n"


def _coverage(form: str) -> str:
    """Every class of failure with the rules that tell it, else the reason why none can."""
    from adaptlint.catalogue.failures import failure_classes, group_titles

    classes = failure_classes()
    told = sum(bool(known.rules) for known in classes)
    if form == "json":
        import json

        groups = group_titles()
        listed = [
            {
                "class": known.code,
                "group": groups[known.group],
                "title": known.title,
                "rules": list(known.rules),
                "why": known.why or None,
            }
            for known in classes
        ]
        return json.dumps({"classes": listed, "told": told, "all": len(classes)}, indent=2) + "\n"
    rows = []
    for known in classes:
        rest = f"; in part: {known.why}" if known.rules and known.why else known.why
        rows.append((known.code, known.title, f"{' '.join(known.rules)}{rest}"))
    table = _table(rows, ("class", "what goes wrong", "told by, or why not"), (1, 2))
    return f"{table}\n{told} of {len(classes)} classes are told by a rule.\n"
