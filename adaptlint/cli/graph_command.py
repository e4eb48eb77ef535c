"""click's face of `adaptlint graph`."""

from __future__ import annotations

import click

from adaptlint.cli.check_command import click_option
from adaptlint.cli.graph import OPTIONS, graph
from adaptlint.hints import Any


def _callback(**options: Any) -> int:
    return graph(options)


command = click.Command(
    "graph",
    callback=_callback,
    help=graph.__doc__,
    params=[
        click.Argument(["model"]),
        click.Argument(["adapters"], metavar="[ADAPTER]...", nargs=-1),
        *map(click_option, OPTIONS),
    ],
)
