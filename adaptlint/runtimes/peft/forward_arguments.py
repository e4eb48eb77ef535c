"""Arguments that PEFT's task classes pass on, and that a base's forward of transformers 4 does not take.

Most forwards of transformers 5 take any keyword; those of transformers 4 have fixed parameters. Which ones a class
lacks stands in forward_arguments.toml, with the releases of transformers that were looked at.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from adaptlint import tables
from adaptlint.findings import Fact
from adaptlint.hints import Any
from adaptlint.runtimes.peft.refusal import Refusal
from adaptlint.runtimes.peft.release import PEFT, parse_version
from adaptlint.runtimes.peft.settings import Settings
from adaptlint.runtimes.peft.wrapped import Wrapped

TABLE = "runtimes/peft/forward_arguments.toml"
TASKS = "MULTITASK_PROMPT_TUNING"  # makes the decoder's input by itself, out of the labels
UNPASSED = "input_ids"  # of prompts, which are put before the embeddings of these


def refused_arguments(wrapped: Wrapped, settings: Settings) -> Iterator[Refusal]:
    """What the first forward raises for the first argument, in PEFT's order, that the base's class does not know."""
    base = wrapped.base
    row = _row_of(base.model_class, wrapped.release.transformers)
    passed = tables.load()[PEFT]["task"].get(settings["task_type"], {}).get("passes", ())
    embeds = settings.method.is_prompt and not settings.method.fills_cache
    refused = [name for name in passed if name in row.get("refuses", ()) and not (embeds and name == UNPASSED)]
    if not refused:
        return
    if settings.method.peft_type == TASKS and settings["task_type"] == "SEQ_2_SEQ_LM":
        message, cause = (
            "'NoneType' object has no attribute 'new_zeros'",
            "the wrapper shifts labels that are not there",
        )
        yield _refusal(wrapped, settings, "AttributeError", message, cause)
        return
    type_name, match = "TypeError", f"{base.model_class}.forward() got an unexpected keyword argument '{refused[0]}'"
    if row.get("collects"):
        type_name, match = "ValueError", "Got unexpected arguments: {'" + refused[0]
    cause = f"the wrapper for {settings['task_type']} passes {refused[0]}, which {base.model_class} does not take"
    yield _refusal(wrapped, settings, type_name, match, cause)


def _refusal(wrapped: Wrapped, settings: Settings, type_name: str, match: str, cause: str) -> Refusal:
    facts: dict[str, Fact] = {"class": wrapped.base.model_class, "cause": cause}
    at = settings.where("task_type")
    return Refusal(type_name, match, "library-forward-fault", at=at, facts=facts, stage="forward")


def _row_of(model_class: str | None, transformers: tuple[int, ...]) -> Mapping[str, Any]:
    """The row of a class that speaks of this release of transformers; empty when none does."""
    for row in tables.load()[TABLE]["forward"]:
        if model_class in row["classes"]:
            first, last = parse_version(row["first"]), parse_version(row["last"])
            if first <= transformers <= last:
                found: Mapping[str, Any] = row
                return found
    return {}
