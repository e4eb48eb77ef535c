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


@contextmanager
def watched(before: Record) -> Iterator[None]:
    """While it holds, the state that a model is in right before tensors are copied into it is kept in `before`."""
    from adapters.loading import WeightsLoaderHelper

    original = WeightsLoaderHelper.load_weights_from_state_dict

    def load(self: Any, *args: Any, **kwargs: Any) -> Any:
        for key, value in self.model.state_dict().items():  # a head is loaded after the adapter, by the same helper
            before.setdefault(key, value.clone())
        return original(self, *args, **kwargs)

    WeightsLoaderHelper.load_weights_from_state_dict = load
    try:
        yield
    finally:
        WeightsLoaderHelper.load_weights_from_state_dict = original


def load(model: Any, folder: str, name: str | None, values: Record) -> Record:
    """One `load_adapter`; `values` are the file's tensors, all of them unlike anything that a model starts with."""
    import torch

    own, before, told = set(model.state_dict()), Record(), Record()
    try:
        with watched(before):
            model.load_adapter(folder, load_as=name, set_active=False, loading_info=told)
    except Exception as problem:
        unless_out_of_memory(problem)
        return {"outcome": "fails", "error": {"type": type(problem).__name__, "message": str(problem)[:TOLD]}}
    after = model.state_dict()
    left = [key for key in after if key not in own and torch.equal(after[key], before[key])]
    arrived = {shown(value) for value in after.values()}
    ignored = [key for key, value in values.items() if shown(value) not in arrived]
    return {
        "outcome": "wrong" if left or ignored or own == set(after) else "works",
        "missing": sorted(told.get("missing_keys", [])),
        "unexpected": sorted(told.get("unexpected_keys", [])),
        "left": sorted(left),
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
