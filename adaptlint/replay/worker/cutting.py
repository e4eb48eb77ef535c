"""An adapter cut down to one layer of its base: a copy of its folder in which that layer is the first and only one."""

from __future__ import annotations

import json
import os
import re
from typing import Any

NUMBER = re.compile(
    r"(?<=\.)\d+(?=\.|$)"
)  # the first number in a path is the layer; what follows are experts and the like
WEIGHTS = ("adapter_model.safetensors", "adapter_model.bin")
PATTERNS = ("rank_pattern", "alpha_pattern")
Job = dict[str, Any]


def cut_adapters(job: Job, place: str) -> None:
    """Replace the folders in the job by copies below `place` that hold the job's layer alone."""
    for number, adapter in enumerate(job["adapters"]):
        folder = os.path.join(place, str(number))
        os.makedirs(folder)
        cut(adapter["folder"], folder, job["layer"], job["words"])
        adapter["folder"] = folder


def cut(source: str, target: str, layer: int, words: list[int]) -> None:
    """One adapter; `words` are the vocabulary's size and what is left of it. Raises what the files raise."""
    with open(os.path.join(source, "adapter_config.json"), encoding="utf-8") as stream:
        config = json.load(stream)
    with open(os.path.join(target, "adapter_config.json"), "w", encoding="utf-8") as stream:
        json.dump(cut_config(config, layer), stream)
    tensors = tensors_in(source)
    if tensors is not None:
        write({renamed(key, layer): few(value, words) for key, value in tensors.items() if renamed(key, layer)}, target)


def tensors_in(folder: str) -> Any:
    """The tensors of the file that PEFT opens, None where there is no such file. Raises what the file raises."""
    import safetensors.torch
    import torch

    held = next((name for name in WEIGHTS if os.path.exists(os.path.join(folder, name))), None)
    if held is None:
        return None
    path = os.path.join(folder, held)
    return torch.load(path, weights_only=True) if held.endswith(".bin") else safetensors.torch.load_file(path)


def write(tensors: Any, folder: str) -> None:
    """Save tensors where PEFT looks for them."""
    import safetensors.torch

    safetensors.torch.save_file(tensors, os.path.join(folder, WEIGHTS[0]))


def renamed(key: str, layer: int) -> str:
    """The key with this layer as the first one; "" for a key of another layer."""
    found = NUMBER.search(key)
    if found is None:
        return key
    return f"{key[: found.start()]}0{key[found.end() :]}" if int(found[0]) == layer else ""


def few(value: Any, words: list[int]) -> Any:
    """The tensor without the rows or columns of words that the smaller vocabulary lacks."""
    whole, left = words
    for axis, size in enumerate(value.shape):
        if size == whole:
            value = value.narrow(axis, 0, left)
    return value.contiguous()


def cut_config(config: dict[str, Any], layer: int) -> dict[str, Any]:
    """The config with everything that speaks of other layers taken out."""
    made = dict(config)
    for name in PATTERNS:
        if isinstance(made.get(name), dict):
            made[name] = {renamed(key, layer): value for key, value in made[name].items() if renamed(key, layer)}
    for name in ("target_modules", "modules_to_save", "exclude_modules"):
        if isinstance(made.get(name), list):
            made[name] = [renamed(each, layer) for each in made[name] if renamed(each, layer)]
    wanted = made.get("layers_to_transform")
    if wanted is not None:
        made["layers_to_transform"] = [0] if layer in (wanted if isinstance(wanted, list) else [wanted]) else [1]
    return made
