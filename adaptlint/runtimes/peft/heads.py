"""Heads: the layer of a classification class that must come from somewhere, and the names that it goes by."""

from __future__ import annotations

from collections.abc import Mapping

from adaptlint.runtimes.peft.wrapped import PREFIX, Origin


def renamed_to(wanted: Origin, shapes: Mapping[str, tuple[int, ...]], keys: Mapping[str, Origin]) -> str:
    """A tensor of the file that has the shape of the one that is looked up, and no place of its own; told in words."""
    asked = {origin.saved for origin in keys.values()}
    leaf = wanted.saved.rpartition(".")[2]
    for key, shape in shapes.items():
        free = key.startswith(PREFIX) and key not in asked and ".lora_" not in key
        if free and shape == wanted.shape and key.rpartition(".")[2] == leaf:
            return f" The file has {key} of the same shape."
    return ""
