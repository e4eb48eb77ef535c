"""`adaptlint rules`: all of them at a glance, or what they cover."""

from __future__ import annotations

import click

from adaptlint.cli import output


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
    from tabulate import tabulate

    rows = [(rule.code, rule.name, rule.severity, rule.consequence, rule.title) for rule in rules]
    table: str = tabulate(rows, ("code", "name", "severity", "consequence", "title"))
    return table + "\n"


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
    from tabulate import tabulate

    rows = []
    for known in classes:
        rest = f"; in part: {known.why}" if known.rules and known.why else known.why
        rows.append((known.code, known.title, f"{' '.join(known.rules)}{rest}"))
    table = tabulate(rows, ("class", "what goes wrong", "told by, or why not"))
    return f"{table}\n\n{told} of {len(classes)} classes are told by a rule.\n"
