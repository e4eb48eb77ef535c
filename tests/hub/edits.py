"""Edits that break an adapter, done to its config and its tensors, whether these are tensors or only shapes."""

from __future__ import annotations

import copy
from typing import Any

Record = dict[str, Any]


def edited(config: Record, tensors: Record, edits: list[list[Any]], value: Any) -> tuple[Record, Record]:
    """Config and tensors after the edits; `value` makes a tensor of a shape."""
    config, tensors = copy.deepcopy(config), dict(tensors)
    for op, *what in edits:
        if op == "top":
            config[what[0]] = what[1]
        elif op == "untop":
            config.pop(what[0], None)
        elif op in ("put", "unput"):
            for part in config["config"].get("configs", [config["config"]]):
                part.update({what[0]: what[1]}) if op == "put" else part.pop(what[0], None)
        elif op == "drop":
            del tensors[what[0]]
        elif op == "rename":
            tensors = {what[1] if key == what[0] else key: each for key, each in tensors.items()}
        elif op == "resize":
            shape = list(value.shape_of(tensors[what[0]]))
            shape[min(what[1], len(shape) - 1)] += 1
            tensors[what[0]] = value(shape)
        elif op == "add":
            tensors[what[0]] = value(what[1])
        elif op == "prefixed":
            tensors = {what[0] + key: each for key, each in tensors.items()}
        elif op == "unprefixed":
            tensors = {key.partition(".")[2]: each for key, each in tensors.items()}
        elif op == "clear":
            tensors = {}
    return config, tensors
