"""What a shell is offered besides verbs and options: files where a path belongs, codes where a rule does."""

from __future__ import annotations

import click

PATHS = {"MODEL", "ADAPTER", "OLD", "NEW", "REPORT", "PATHS", "ADAPTERS", "PATH", "FILE", "DIR", "RECORD"}
MIXED = {"[FORMAT:]PATH": "PATH", "FILE|KEY=VALUE": "FILE"}  # metavars that a path is one reading of
RULES = {"CODES", "CODE|NAME"}


def offering(command: click.Command) -> click.Command:
    """The command with the types of its parameters changed to what completes them; it is not run like this."""
    for parameter in command.params:
        said = (parameter.metavar if isinstance(parameter, click.Option) else parameter.name) or ""
        word = MIXED.get(said, said).upper()
        if word in PATHS:
            parameter.type = click.Path()
        elif parameter.metavar in RULES:
            from adaptlint.catalogue import load_catalogue

            parameter.type = click.Choice([rule.code for rule in load_catalogue()])
    if isinstance(command, click.Group):
        command.commands = {name: offering(inner) for name, inner in command.commands.items()}
    return command
