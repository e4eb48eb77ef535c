"""`adaptlint rules`: all of them at a glance."""

from __future__ import annotations

import click

from adaptlint.cli import output


@click.command("rules")
@click.option("--format", "form", type=click.Choice(["text", "json"]), default="text", help="[text]")
def command(form: str) -> int:
    """List every rule: code, name, severity, what it costs the user, and its title."""
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
        output.say(json.dumps(listed, indent=2) + "\n")
        return 0
    from tabulate import tabulate

    rows = [(rule.code, rule.name, rule.severity, rule.consequence, rule.title) for rule in rules]
    output.say(tabulate(rows, ("code", "name", "severity", "consequence", "title")) + "\n")
    return 0
