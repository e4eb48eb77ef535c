"""click's face of `adaptlint check`: help, and telling what is wrong with a command line."""

from __future__ import annotations

import click

from adaptlint.cli.check import OPTIONS, check
from adaptlint.cli.plain import Option
from adaptlint.hints import Any


def click_option(option: Option) -> click.Option:
    """The same option for click."""
    names = [option.name, option.key]
    if option.kind == "flag":
        return click.Option(names, is_flag=True, help=option.help)
    return click.Option(
        names,
        multiple=option.kind == "many",
        metavar=option.metavar,
        type=_type(option),
        default=None if option.kind == "many" else option.default,
        help=option.help,
    )


def _type(option: Option) -> click.ParamType[Any]:
    if option.kind == "number":
        return click.IntRange(min=1)
    return click.Choice(option.choices) if option.choices else click.STRING


def _callback(**options: Any) -> int:
    return check(options)


command = click.Command(
    "check",
    callback=_callback,
    help=check.__doc__,
    params=[
        click.Argument(["model"]),
        click.Argument(["adapters"], metavar="ADAPTER...", nargs=-1, required=True),
        *map(click_option, OPTIONS),
    ],
)
