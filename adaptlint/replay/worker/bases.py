"""One base for many models: its structure is copied, its tensors are shared, because none of them is to change."""

from __future__ import annotations

import copy
from typing import Any

from .models import build

Job = dict[str, Any]


class Bases:
    """Bases of one job. Building one takes seconds for every hundred million parameters, copying its structure none."""

    def __init__(self, job: Job) -> None:
        self.job = job
        self.rounding: tuple[float, float] | None = None  # how far it moves the adapted base, and the largest output
        self._kept: dict[str | None, tuple[Any, int]] = {}

    def base(self, attn: str | None = None, own: bool = False) -> Any:
        """A base in eval mode; `own` for one whose weights are going to be written to."""
        model = self._of(attn)
        if own:
            return copy.deepcopy(model)
        shared = [*model.parameters(), *model.buffers()]
        return copy.deepcopy(model, {id(tensor): tensor for tensor in shared})

    def _of(self, attn: str | None) -> Any:
        held = self._kept.get(attn)
        if held is not None and held[1] == changes(held[0]):
            return held[0]
        model = self._switched(attn) if attn is not None else None
        model = build(self.job, attn) if model is None else model
        self._kept[attn] = (model, changes(model))
        return model

    def _switched(self, attn: str) -> Any:
        """The same weights under another backend, where the class can be switched; a backend it lacks raises."""
        plain = self._of(None)
        if not hasattr(plain, "set_attn_implementation"):
            return None
        build(self.job, attn, meta=True)  # says whether the class and this machine have the backend
        model = self.base()
        model.set_attn_implementation(attn)
        return model


def changes(model: Any) -> int:
    """How often the tensors of a model were written to: a checkpoint may overwrite those of the base."""
    return sum(tensor._version for tensor in model.parameters())
