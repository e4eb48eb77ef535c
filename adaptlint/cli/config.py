"""`adaptlint config show`: what holds here, and who said so."""

from __future__ import annotations

import os

import click

from adaptlint.cli import output
from adaptlint.cli.settled import settings_of
from adaptlint.hints import Any
from adaptlint.reporters.showing import shown, shown_path


@click.group("config")
def command() -> None:
    """Look at the configuration: [tool.adaptlint] of the nearest pyproject.toml, or adaptlint.toml."""


@command.command("show")
@click.option("--config", multiple=True, metavar="FILE|KEY=VALUE", help="Read this file, or set one value.")
@click.option("--isolated", is_flag=True, help="Read no configuration file.")
@click.option("--format", "form", type=click.Choice(["text", "json"]), default="text", help="[text]")
def show(config: tuple[str, ...], isolated: bool, form: str) -> int:
    """Show every setting with its value and where that came from."""
    from adaptlint.settings.validating import schema

    settings = settings_of({"config": config, "isolated": isolated})
    rows = [(key, settings.get(key), settings.origins.get(key, "default")) for key in schema()["properties"]]
    if form == "json":
        import json

        listed = {key: {"value": value, "from": origin} for key, value, origin in rows}
        output.say(json.dumps({"file": settings.path or None, "settings": listed}, indent=2) + "\n")
        return 0
    from tabulate import tabulate

    here = os.getcwd()
    table = tabulate(
        [(key, _shown(value), shown_path(origin, here)) for key, value, origin in rows],
        ("setting", "value", "from"),
        disable_numparse=True,
        maxcolwidths=[None, max(30, output.style().width - 50), None],
    )
    output.say(f"configuration: {shown_path(settings.path, here) or 'no file'}\n\n{table}\n")
    return 0


@command.command("schema")
def show_schema() -> int:
    """Print the JSON schema of the configuration, for editors."""
    import json

    from adaptlint.settings.validating import schema

    output.say(json.dumps(schema(), indent=1) + "\n")
    return 0


def _shown(value: Any) -> str:
    """A value as TOML has it; "" for one that is not set."""
    import json

    if value is None:
        return ""
    if isinstance(value, list) and value and isinstance(value[0], dict):
        return "\n".join(_shown(entry) for entry in value)
    if isinstance(value, dict) and value:
        return "\n".join(f"{key} = {_shown(entry)}" for key, entry in value.items())
    return shown(json.dumps(value, ensure_ascii=False))
