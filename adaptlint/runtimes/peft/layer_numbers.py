"""Which layers `layers_to_transform` and `layers_pattern` leave to a target, by release."""

from __future__ import annotations

from adaptlint.runtimes.peft.patterns import common_layer_index, last_layer_index, layer_index
from adaptlint.runtimes.peft.refusal import as_python_does
from adaptlint.runtimes.peft.settings import Settings

COMMON_NAMES = ("layers", "h", "block", "blocks", "layer")  # COMMON_LAYERS_PATTERN of PEFT 0.4 to 0.7


def in_layers(settings: Settings, key: str) -> bool:
    """True if the module's layer is one of `layers_to_transform`, or none are named."""
    layers, patterns, release = settings["layers_to_transform"], settings["layers_pattern"], settings.release
    if layers is None or (layers == [] and not release.layers_by_common_names):
        return True
    find = layer_index if release.layers_by_first_number else last_layer_index
    if release.layers_by_common_names:
        find = common_layer_index
        patterns = COMMON_NAMES if patterns is None else patterns
    at = settings.where("layers_pattern")
    empty = patterns is None or as_python_does(
        lambda: len(patterns) == 0, "config-value-impossible", at, "layers_pattern"
    )
    if empty and release.layers_by_common_names:
        return True
    if empty:
        patterns = [""]
    index: int | None = None
    for pattern in [patterns] if isinstance(patterns, str) else patterns:
        index = find(pattern, key, at)
        if index is not None:
            break
    if index is None:
        return False
    where = settings.where("layers_to_transform")
    if isinstance(layers, int):
        return index == layers
    return as_python_does(lambda: index in layers, "config-value-impossible", where, "layers_to_transform")
