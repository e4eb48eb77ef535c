"""The `adaptlint` command group: a table of verbs, so that `adaptlint check` does not pay for `adaptlint graph`."""

from __future__ import annotations

import os
from importlib import import_module

import click

from adaptlint.cli import COMPLETING
from adaptlint.hints import cast

VERBS = {
    "check": "adaptlint.cli.check_command",
    "scan": "adaptlint.cli.scan",
    "replay": "adaptlint.cli.replay",
    "inspect": "adaptlint.cli.inspect",
    "graph": "adaptlint.cli.graph_command",
    "lock": "adaptlint.cli.lock",
    "fix": "adaptlint.cli.fix",
    "diff": "adaptlint.cli.diff",
    "rule": "adaptlint.cli.rule",
    "rules": "adaptlint.cli.rules",
    "config": "adaptlint.cli.config",
}


class Verbs(click.Group):
    """A group that imports a verb's module when the verb is named (or when help lists them all)."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """The verbs, the main job first."""
        return list(VERBS)

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """The verb, or a mistake that names the one that looks most like it."""
        if args and args[0] not in VERBS and args[0][:1] != "-":
            from difflib import get_close_matches

            near = get_close_matches(args[0].lower(), VERBS, 1)
            ctx.fail(f"No such command {args[0]!r}." + (f" Did you mean {near[0]!r}?" if near else ""))
        return super().resolve_command(ctx, args)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """The verb's command, or None if there is no such verb."""
        module = VERBS.get(cmd_name)
        if module is None:
            return None
        command = cast("click.Command", import_module(module).command)
        if COMPLETING in os.environ:
            from adaptlint.cli.completing import offering

            return offering(command)
        return command


def _version(ctx: click.Context, _: click.Parameter, asked: bool) -> None:
    if asked:
        from adaptlint import __version__

        click.echo(f"adaptlint {__version__}")
        ctx.exit()


@click.group(cls=Verbs, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110})
@click.option("--version", is_flag=True, is_eager=True, expose_value=False, callback=_version, help="Show the version.")
def adaptlint() -> None:
    """Say before any GPU run whether an adapter checkpoint will load, fail, or be silently wrong."""
