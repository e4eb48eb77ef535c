"""`adaptlint lock`: the base's shapes in a small file, so that later checks need neither torch nor weights."""

from __future__ import annotations

import os

import click

from adaptlint.cli import CommandLineError, output
from adaptlint.cli.problem import base_or_stop
from adaptlint.reporters.showing import shown


@click.command("lock")
@click.argument("model")
@click.option("--output", "path", metavar="PATH", help="Where to write it.  [<name of MODEL>.lock.json, here]")
@click.option("--task", metavar="TASK_TYPE", help="PEFT task type that the base is loaded for, such as CAUSAL_LM.")
@click.option("--model-class", metavar="CLASS", help="transformers class that the base is loaded as.")
@click.option("--force", is_flag=True, help="Overwrite an existing file.")
@click.option("--offline", is_flag=True, help="Never use the network.")
@click.option("--no-cache", is_flag=True, help="Neither read nor write the cache of base shapes.")
def command(
    model: str,
    path: str | None,
    task: str | None,
    model_class: str | None,
    force: bool,
    offline: bool,
    no_cache: bool,
) -> int:
    """Write the shape lock of MODEL: every module and parameter shape, repeated layers folded, no weights."""
    path = path or default_name(model)
    if os.path.lexists(path) and not force:
        raise CommandLineError(f"{path} exists; --force overwrites it, --output names another file.")
    if not os.path.isdir(os.path.dirname(path) or "."):
        raise CommandLineError(f"{path}: its folder does not exist.")
    base = base_or_stop(model, task, model_class, offline, not no_cache)
    from adaptlint.bases import write_lock

    try:
        write_lock(base, path)
    except OSError as error:
        raise CommandLineError(f"{path} cannot be written: {error.strerror}.") from error
    size = os.path.getsize(path)
    output.say(
        f"{shown(path)}: {base.model_class or 'shapes of the headers'}, {len(base.modules)} modules, {size} bytes\n"
    )
    return 0


def default_name(model: str) -> str:
    """`<name>.lock.json` after the model's folder, or the last part of a hub id."""
    folder = os.path.dirname(os.path.abspath(model)) if model.endswith(".json") else os.path.abspath(model)
    return f"{os.path.basename(folder) or 'model'}.lock.json"
