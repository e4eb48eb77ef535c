"""`adaptlint check`: the main job."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, TypedDict, Unpack

import click

from adaptlint.cli import output
from adaptlint.reporters import FORMATS, render

if TYPE_CHECKING:
    from adaptlint.findings import Report


class Options(TypedDict):
    """What click hands over, under the names of the options."""

    model: str
    adapters: tuple[str, ...]
    target: tuple[str, ...]
    transformers: str | None
    plan: str | None
    task: str | None
    model_class: str | None
    select: tuple[str, ...]
    ignore: tuple[str, ...]
    fail_on: str
    values: str
    form: str
    output: tuple[str, ...]
    offline: bool
    no_cache: bool
    quiet: bool
    verbose: bool
    exit_zero: bool


@click.command("check")
@click.argument("model")
@click.argument("adapters", metavar="ADAPTER...", nargs=-1, required=True)
@click.option("--target", multiple=True, metavar="RUNTIME[==VERSION]", help="Who will load it; repeatable.  [peft]")
@click.option("--transformers", metavar="VERSION", help="The transformers release beside it.  [installed, or newest]")
@click.option("--plan", metavar="'STEP; STEP'", help="What is done with the adapters.  [each is loaded in turn]")
@click.option("--task", metavar="TASK_TYPE", help="PEFT task type that the base is loaded for, such as CAUSAL_LM.")
@click.option("--model-class", metavar="CLASS", help="transformers class that the base is loaded as.")
@click.option("--select", multiple=True, metavar="CODES", help="Only these rules: codes or their beginnings, commas.")
@click.option("--ignore", multiple=True, metavar="CODES", help="All rules but these.")
@click.option(
    "--fail-on", type=click.Choice(["error", "warning", "note"]), default="error", help="Exit 1 from here up."
)
@click.option("--values", type=click.Choice(["none", "sample", "full"]), default="none", help="Look at values too.")
@click.option("--format", "form", type=click.Choice(list(FORMATS)), default="text", help="What stdout gets.  [text]")
@click.option("--output", multiple=True, metavar="[FORMAT:]PATH", help="Write the report to a file too; repeatable.")
@click.option("--offline", is_flag=True, help="Never use the network.")
@click.option("--no-cache", is_flag=True, help="Neither read nor write the cache of base shapes.")
@click.option("--quiet", is_flag=True, help="Only the verdicts.")
@click.option("--verbose", is_flag=True, help="Every key and every rule, and the traceback of a crash of ours.")
@click.option("--exit-zero", is_flag=True, help="Exit 0 where findings would make it 1.")
def command(**options: Unpack[Options]) -> int:
    """Check ADAPTERs against the base MODEL and say what the runtime will do with them.

    MODEL is a folder with a config.json, a config.json, a shape lock, or a hub id in the local cache.
    ADAPTER is a folder, or name=folder.

    Exit status: 0 clean, 1 findings, 2 wrong usage, 3 nothing could be checked, 4 a bug of ours.
    """
    adapters = [named(adapter) for adapter in options["adapters"]]
    inputs = [options["model"], *(adapter if isinstance(adapter, str) else adapter[1] for adapter in adapters)]
    destinations = [output.destination(text, options["form"]) for text in options["output"]]
    for place in destinations:
        output.check_destination(place.path, inputs)
    if len({os.path.realpath(place.path) for place in destinations}) < len(destinations):
        raise click.UsageError("--output names one file twice.")
    report = _report(adapters, options)
    layout = output.style(options["quiet"], options["verbose"])
    for place in destinations:
        output.write(place.path, render(report, place.form, layout._replace(width=100, colour=False)))
    output.say(render(report, options["form"], layout))
    status = report.exit_code(options["fail_on"])
    return 0 if status == 1 and options["exit_zero"] else status


def named(adapter: str) -> str | tuple[str, str]:
    """`name=folder` as a pair; a path that exists as it is written stays a path, whatever it holds."""
    name, equals, folder = adapter.partition("=")
    if not equals or not name or os.sep in name or os.path.exists(adapter):
        return adapter
    if not folder:
        raise click.UsageError(f"{adapter} names no folder.")
    return name, folder


def codes(texts: tuple[str, ...]) -> tuple[str, ...]:
    """Codes from repeated, comma-separated options."""
    return tuple(code.strip() for text in texts for code in text.split(",") if code.strip())


def _report(adapters: list[str | tuple[str, str]], options: Options) -> Report:
    from adaptlint.engine import check

    return check(
        options["model"],
        adapters,
        targets=options["target"] or ("peft",),
        transformers=options["transformers"],
        model_class=options["model_class"],
        task=options["task"],
        plan=options["plan"],
        values=options["values"],
        select=codes(options["select"]),
        ignore=codes(options["ignore"]),
        offline=options["offline"],
        cache=not options["no_cache"],
    )
