"""What one ordinary forward does not show of a composition, run with whichever AdapterHub library is installed."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from typing import Any

import torch

from adaptlint.replay.worker.compositions import Forwards, unlike


def unlike_afterwards(forwards: Forwards, setup: Any) -> Iterator[str]:
    """What gives something else than the forward with this composition; where the library raises, nothing is told.

    The model is left as it was.
    """
    state = {name: value.clone() for name, value in forwards.model.state_dict().items()}
    for work in (_weights, _cached_step, _mask, _merged, _idle):
        with suppress(Exception):
            yield from work(forwards, setup)
    for name, value in {**dict(forwards.model.named_parameters()), **dict(forwards.model.named_buffers())}.items():
        if name in state:
            value.data = state[name]  # merging MTL-LoRA leaves a weight of another shape


def _weights(forwards: Forwards, setup: Any) -> Iterator[str]:
    if unlike(forwards.run(setup), forwards.run(setup, lambda given: {**given, "output_attentions": True})):
        yield "attention weights"


def _cached_step(forwards: Forwards, setup: Any) -> Iterator[str]:
    """The last token beside a cache of the others, where the same is right without an adapter."""
    model = forwards.model

    def step() -> bool:
        with torch.no_grad():
            ids = forwards.inputs()["input_ids"]
            whole = model(input_ids=ids, use_cache=False)[0]
            cache = model(input_ids=ids[:, :-1], use_cache=True).past_key_values
            last = model(input_ids=ids[:, -1:], past_key_values=cache, use_cache=True)[0]
        return unlike(whole[:, -1], last[:, -1])

    model.set_active_adapters(None)
    if not step():
        model.set_active_adapters(setup)
        if step():
            yield "cached step"


def _idle(forwards: Forwards, setup: Any) -> Iterator[str]:
    """Members without a part among rows that are as their own adapters alone make them."""
    yield from (idle for idle, decides in forwards.idle(setup, forwards.run(setup)) if not decides)


def _mask(forwards: Forwards, setup: Any) -> Iterator[str]:
    given = forwards.inputs()
    before = given["attention_mask"].shape
    forwards.model.set_active_adapters(setup)
    with torch.no_grad():
        forwards.model(**given)
    if given["attention_mask"].shape != before:
        yield "mask"


def _merged(forwards: Forwards, setup: Any) -> Iterator[str]:
    """One adapter merged, and taken out again; biases are zeros in a new model, which no scale changes."""
    (name,) = setup.flatten()
    torch.manual_seed(7)
    for path, value in forwards.model.named_parameters():
        if path.endswith("bias") and name not in path.split("."):
            value.data = 0.3 * torch.randn_like(value)
    plain, alone = forwards.run(None), forwards.run(setup)
    forwards.model.merge_adapter(name)
    with torch.no_grad():
        merged = forwards.model(**forwards.inputs())[0]
    if unlike(alone, merged):
        yield "merged"
    forwards.model.reset_adapter()
    if unlike(plain, forwards.run(None)):
        yield "unmerged"
