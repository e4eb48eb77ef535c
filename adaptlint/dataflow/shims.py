"""What a forward asks of a device that the meta device does not answer.

Facts: torch 2.13, amp/autocast_mode.py (no autocast for "meta"); transformers before 5 enters it with the device of
the states, as modeling_llama.py 4.40 does around the rotary embedding.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from typing import Any

_ABSENT = object()


@contextmanager
def put(place: Any, name: str, new: Any) -> Iterator[None]:
    """An attribute of a module or class replaced for a while, or given to one that lacks it."""
    before = vars(place).get(name, _ABSENT)
    setattr(place, name, new)
    try:
        yield
    finally:
        if before is _ABSENT:
            delattr(place, name)
        else:
            setattr(place, name, before)


@contextmanager
def without_autocast(torch: Any) -> Iterator[None]:
    """No autocast for meta tensors, and none where it is asked about: a forward runs in its own dtypes."""
    real, asked = torch.autocast, torch.is_autocast_enabled

    class Autocast(real):  # type: ignore[misc]
        """The real one for every other device."""

        def __new__(cls, device_type: Any = None, *args: Any, **kwargs: Any) -> Any:
            return nullcontext() if device_type == "meta" else real(device_type, *args, **kwargs)

    with put(torch, "autocast", Autocast):
        with put(torch, "is_autocast_enabled", lambda device=None: device != "meta" and asked(*filter(None, [device]))):
            yield
