"""`adaptlint graph`: the base's modules, their parameter shapes and ties; with --flow the shapes they return."""

from __future__ import annotations

import click

from adaptlint.cli import CommandLineError, output
from adaptlint.cli.flow import BACKENDS, DEFAULT_BACKEND, refuse_without_flow, text_of
from adaptlint.cli.problem import base_or_exit
from adaptlint.reporters.showing import shown

FORMATS = ("tree", "json", "dot", "graphml", "mermaid")
_SIZE = click.IntRange(min=1)


@click.command("graph")
@click.argument("model")
@click.option("--format", "form", type=click.Choice(FORMATS), default="tree", help="[tree]")
@click.option("--task", metavar="TASK_TYPE", help="PEFT task type that the base is loaded for, such as CAUSAL_LM.")
@click.option("--model-class", metavar="CLASS", help="transformers class that the base is loaded as.")
@click.option("--flow", is_flag=True, help="How symbolic shapes move through the model's forward.")
@click.option("--attn", type=click.Choice(BACKENDS), help=f"With --flow: the attention backend.  [{DEFAULT_BACKEND}]")
@click.option("--batch", type=_SIZE, help="With --flow: a number for batch.")
@click.option("--seq", type=_SIZE, help="With --flow: a number for the sequence length.")
@click.option("--decoder-seq", type=_SIZE, help="With --flow: a number for the decoder's sequence length.")
@click.option("--offline", is_flag=True, help="Never use the network.")
@click.option("--no-cache", is_flag=True, help="Neither read nor write the cache of base shapes.")
def command(
    model: str,
    form: str,
    task: str | None,
    model_class: str | None,
    flow: bool,
    attn: str | None,
    batch: int | None,
    seq: int | None,
    decoder_seq: int | None,
    offline: bool,
    no_cache: bool,
) -> int:
    """Print the module-shape graph of MODEL; with --flow the shapes that its modules return.

    tree, dot and mermaid fold repeated layers into one; json and graphml (not with --flow) list every module.
    """
    if flow:
        if task is not None:
            raise CommandLineError("--task does not go with --flow: name the class with --model-class.")
        asked = {"batch": batch, "seq": seq, "decoder_seq": decoder_seq}
        sizes = {name: number for name, number in asked.items() if number is not None}
        text = text_of(model, form, model_class, attn or DEFAULT_BACKEND, sizes, offline, not no_cache)
    else:
        refuse_without_flow({"--attn": attn, "--batch": batch, "--seq": seq, "--decoder-seq": decoder_seq})
        text = _modules(model, form, task, model_class, offline, not no_cache)
    output.say(f"{text}\n")
    return 0


def _modules(model: str, form: str, task: str | None, model_class: str | None, offline: bool, cache: bool) -> str:
    base = base_or_exit(model, task, model_class, offline, cache)
    from adaptlint.graph import export

    if form == "json":
        lines = [export.as_json(base)]
    elif form == "tree":
        lines = [shown(line) for line in export.tree(base)]
    else:
        lines = {"dot": export.dot, "graphml": export.graphml, "mermaid": export.mermaid}[form](base)
    return "\n".join(lines)
