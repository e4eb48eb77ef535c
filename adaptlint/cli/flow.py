"""`adaptlint graph --flow`: what shapes the model's modules return, as expressions in batch and sequence length."""

from __future__ import annotations

import json

from adaptlint.cli import CommandLineError, NothingToSay
from adaptlint.cli.waiting import Waiting
from adaptlint.hints import TYPE_CHECKING
from adaptlint.reporters.showing import shown

if TYPE_CHECKING:
    from collections.abc import Mapping

    from adaptlint.dataflow.flow import Flow

DEFAULT_BACKEND = "sdpa"


def refuse_without_flow(options: Mapping[str, object]) -> None:
    """Raise CommandLineError if an option is given that only a flow has a use for."""
    given = next((name for name, value in options.items() if value is not None), None)
    if given is not None:
        raise CommandLineError(f"{given} needs --flow.")


def text_of(
    model: str, form: str, model_class: str | None, attn: str, sizes: Mapping[str, int], offline: bool, cache: bool
) -> str:
    """The flow in one of the formats; NothingToSay with the reason where there is none."""
    if form == "graphml":
        raise CommandLineError("--flow has no format graphml: choose tree, json, dot or mermaid.")
    found = _flow_or_stop(model, model_class, attn, sizes, offline, cache)
    if form == "json":
        return json.dumps(found.to_dict(), indent=1)
    from adaptlint.dataflow import drawing

    if form == "tree":
        return "\n".join(shown(line) for line in drawing.tree(found))
    return "\n".join({"dot": drawing.dot, "mermaid": drawing.mermaid}[form](found))


def _flow_or_stop(
    model: str, model_class: str | None, attn: str, sizes: Mapping[str, int], offline: bool, cache: bool
) -> Flow:
    from adaptlint.dataflow.flow import SizeError, flow
    from adaptlint.dataflow.load import FlowProblem

    try:
        with Waiting(f"following {model}"):
            return flow(model, model_class=model_class, attn=attn, sizes=sizes, offline=offline, cache=cache)
    except FlowProblem as problem:
        raise NothingToSay(shown(str(problem))) from None
    except SizeError as wrong:
        raise CommandLineError(f"{wrong}.") from wrong
