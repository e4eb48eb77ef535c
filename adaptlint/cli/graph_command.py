"""click's face of `adaptlint graph`."""

from __future__ import annotations

from typing import Any

import click

from adaptlint.cli.check_command import click_option
from adaptlint.cli.graph import OPTIONS, graph


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
