"""An adapter in other sizes: a copy of its folder whose tensors are cut, or repeated, to what fits a tiny base."""

from __future__ import annotations

import json
import os
from typing import Any

from .cutting import tensors_in, write

Job = dict[str, Any]


def remake_adapters(job: Job, place: str) -> None:
    """Replace the folders in the job by copies below `place` that have the job's configs and sizes."""
    for number, (adapter, told) in enumerate(zip(job["adapters"], job["remade"])):
        folder = os.path.join(place, str(number))
        os.makedirs(folder)
        with open(os.path.join(folder, "adapter_config.json"), "w", encoding="utf-8") as stream:
            json.dump(told["config"], stream)
        tensors = tensors_in(adapter["folder"]) or {}
        write({key: resized(value, told["shapes"][key]) for key, value in tensors.items()}, folder)
        adapter["folder"] = folder


def resized(value: Any, shape: list[int]) -> Any:
    """The tensor in this shape, of its own numbers; one that is not zero, or not finite, stays so."""
    import torch

    before = value
    for axis, size in enumerate(shape):
        times = -(-size // max(1, value.shape[axis]))
        if times > 1:
            value = torch.cat([value] * times, axis)
        value = value.narrow(axis, 0, size)
    value = value.contiguous().clone()
    if not value.numel() or not value.is_floating_point():
        return value
    for has in (_any_number, _no_number):
        telling = has(before).flatten()
        if bool(telling.any()) and not bool(has(value).any()):
            value.view(-1)[0] = before.flatten()[int(telling.int().argmax())]
    return value


def _any_number(value: Any) -> Any:
    return value.float() != 0


def _no_number(value: Any) -> Any:
    return ~value.float().isfinite()
