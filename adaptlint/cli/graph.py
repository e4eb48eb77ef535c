"""`adaptlint graph`: the base's modules, their parameter shapes and ties."""

from __future__ import annotations

import click

from adaptlint.cli import output
from adaptlint.cli.problem import base_or_exit
from adaptlint.reporters.showing import shown

FORMATS = ("tree", "json", "dot", "graphml", "mermaid")


@click.command("graph")
@click.argument("model")
@click.option("--format", "form", type=click.Choice(FORMATS), default="tree", help="[tree]")
@click.option("--task", metavar="TASK_TYPE", help="PEFT task type that the base is loaded for, such as CAUSAL_LM.")
@click.option("--model-class", metavar="CLASS", help="transformers class that the base is loaded as.")
@click.option("--offline", is_flag=True, help="Never use the network.")
@click.option("--no-cache", is_flag=True, help="Neither read nor write the cache of base shapes.")
def command(model: str, form: str, task: str | None, model_class: str | None, offline: bool, no_cache: bool) -> int:
    """Print the module-shape graph of MODEL.

    tree, dot and mermaid fold repeated layers into one; json and graphml list every module.
    """
    base = base_or_exit(model, task, model_class, offline, not no_cache)
    from adaptlint.graph import export

    if form == "json":
        lines = [export.as_json(base)]
    elif form == "tree":
        lines = [shown(line) for line in export.tree(base)]
    else:
        lines = {"dot": export.dot, "graphml": export.graphml, "mermaid": export.mermaid}[form](base)
    output.say("\n".join(lines) + "\n")
    return 0
