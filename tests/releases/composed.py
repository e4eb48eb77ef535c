"""A composition played with real PEFT for the tests: `adaptlint/replay/worker/peft_composed.py` says what is right.

Runs where there is nothing but PEFT and transformers: of adaptlint only that file of replay's worker is imported.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import torch

from adaptlint.replay.worker.peft_composed import Composed, Written, is_by_task, kind, sizes_of
from tests.differential.folders import ordinary_inputs
from tests.differential.truth import outputs, with_task


def composed(
    model: Any,
    written: Written,
    asked: Mapping[str, Any],
    fresh: Callable[[], Any],
    alone: Callable[[str], Any],
    folders: Mapping[str, Any],
) -> Composed:
    """A model that is asked for an expression with these sizes, else with as many texts as the expression has rows."""
    sizes = dict(asked)
    if kind(written) == "BatchSplit":
        sizes = {"batch": sum(sizes_of(written)), **asked}
    elif is_by_task(written):
        settings: Any = written[2]
        ids = settings.get("task_ids")
        sizes = {"batch": len(ids) if isinstance(ids, list) else 1, **asked}

    def answer(model: Any, **extra: Any) -> torch.Tensor:
        inner = model.get_base_model() if hasattr(model, "get_base_model") else model
        torch.manual_seed(7)
        with torch.no_grad():
            return outputs(model(**{**with_task(model, ordinary_inputs(inner, sizes)), **extra}))[0]

    return Composed(model, answer, fresh, alone, folders)


def error_of(problem: Exception) -> dict[str, str]:
    """As a record has it; a KeyError's message is the key as it prints."""
    return {"type": type(problem).__name__, "message": str(problem)}
