"""AdapterHub's own loader, watched: which parameters stay as they were, which tensors of the file arrive nowhere."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from .telling import unless_out_of_memory

Record = dict[str, Any]
WEIGHTS = "pytorch_adapter.bin"
TOLD = 3000  # characters of a message
MARK = 0.8125  # a value that no initialisation leaves in a whole tensor; exact in every float type


@contextmanager
def watched(own: set[str], left: set[str]) -> Iterator[None]:
    """While it holds, what the library has made for an adapter is marked before tensors are copied into it.

    `own` are the names of the model without the adapter. What still has its mark afterwards is put into `left`, and
    gets back what it had: that a file holds the very numbers which its parameter starts with is no fault.
    """
    from adapters.loading import WeightsLoaderHelper

    original = WeightsLoaderHelper.load_weights_from_state_dict
    done = set(own)

    def load(self: Any, *args: Any, **kwargs: Any) -> Any:
        state = self.model.state_dict()  # a head is loaded after the adapter, by the same helper
        marked = {key: value for key, value in state.items() if key not in done and markable(value)}
        before = {key: value.clone() for key, value in marked.items()}
        done.update(marked)
        for value in marked.values():
            value.fill_(MARK)
        try:
            return original(self, *args, **kwargs)
        finally:
            now = self.model.state_dict()
            still = [key for key in marked if key in now and bool((now[key] == MARK).all())]
            for key in still:
                now[key].copy_(before[key])
            left.update(still)

    WeightsLoaderHelper.load_weights_from_state_dict = load
    try:
        yield
    finally:
        WeightsLoaderHelper.load_weights_from_state_dict = original


def markable(value: Any) -> bool:
    """Whether a tensor can be marked: numbers of a floating type."""
    return bool(value.is_floating_point() and value.numel() and not value.is_meta)


def load(model: Any, folder: str, name: str | None, values: Record) -> Record:
    """One `load_adapter`; `values` are the file's tensors."""
    own, told = set(model.state_dict()), Record()
    left: set[str] = set()
    try:
        with watched(own, left):
            model.load_adapter(folder, load_as=name, set_active=False, loading_info=told)
    except Exception as problem:
        unless_out_of_memory(problem)
        return {"outcome": "fails", "error": {"type": type(problem).__name__, "message": str(problem)[:TOLD]}}
    after = model.state_dict()
    arrived = {shown(value) for value in after.values() if not value.is_meta}
    blank = {
        tuple(value.shape) for key, value in after.items() if key not in own and value.is_meta
    }  # may hold anything
    ignored = [key for key, value in values.items() if shown(value) not in arrived and tuple(value.shape) not in blank]
    return {
        "outcome": "wrong" if left or ignored or own == set(after) else "works",
        "missing": sorted(told.get("missing_keys", [])),
        "unexpected": sorted(told.get("unexpected_keys", [])),
        "left": sorted(left & set(after)),
        "ignored": sorted(ignored),
    }


def shown(value: Any) -> tuple[Any, ...]:
    """A tensor as something that can be looked up."""
    return (tuple(value.shape), *value.flatten()[:4].tolist())


def opened(folder: Path) -> Record:
    """The tensors that the library opens by default; none where it cannot."""
    import torch

    try:
        return dict(torch.load(folder / WEIGHTS, weights_only=True))
    except Exception:
        return {}
