"""Which layers a file covers and which the base has: a model pruned in depth has fewer, numbered anew."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from adaptlint.artefacts import TensorFile
from adaptlint.findings import Fact, number_ranges, path_shape
from adaptlint.runtimes.peft.loading import Loaded, base_name
from adaptlint.runtimes.peft.wrapped import Wrapped

SHOWN = 8  # lists of layers that are named; a hostile file may make up any number of them
Layers = Mapping[str, set[int]]


def layers_of(paths: Iterable[str]) -> dict[str, set[int]]:
    """The numbers of the outermost list in each dotted path, by the list's path: {"model.layers": {0, 1, ...}}."""
    layers: dict[str, set[int]] = {}
    for path in paths:
        shape, numbers = path_shape(path)
        if numbers:
            layers.setdefault(shape.partition(".*")[0], set()).add(numbers[0])
    return layers


def in_words(layers: Layers) -> str:
    """ "layers 0-39 of model.layers", list by list; empty where nothing is numbered."""
    return ", ".join(f"{_numbers(numbers)} of {name}" for name, numbers in list(layers.items())[:SHOWN])


def _numbers(numbers: set[int]) -> str:
    return f"layer{'s' if len(numbers) > 1 else ''} {number_ranges(numbers)}"


def coverage(wrapped: Wrapped, adapter: str, prefix: str, file: TensorFile, result: Loaded) -> dict[str, Fact]:
    """Facts for tensors that are missing or in surplus: the layers of the file, of the config's targets, of the base.

    Only lists that the adapter or the file reaches into count. `coverage` says it in words where they differ.
    """
    theirs = layers_of(base_name(key).partition(f".{prefix}")[0] for key in file.tensors if f".{prefix}" in key)
    wanted = layers_of(o.module for o in result.keys.values() if o.kind == "site" and o.adapter == adapter)
    lists = wanted.keys() | theirs.keys()
    ours = {name: found for name, found in layers_of(m.path for m in wrapped.modules).items() if name in lists}
    facts: dict[str, Fact] = {
        "file_layers": in_words(theirs),
        "wanted_layers": in_words(wanted),
        "base_layers": in_words(ours),
        "coverage": "",
    }
    said = [_difference(name, theirs.get(name, set()), wanted.get(name, set()), ours[name]) for name in sorted(ours)]
    facts["coverage"] = "".join(f" {sentence}" for sentence in said if sentence)
    return facts


def _difference(name: str, theirs: set[int], wanted: set[int], ours: set[int]) -> str:
    if not theirs or theirs == (wanted or ours):
        return ""
    covers = f"Of {name} the file covers {_numbers(theirs)}"
    asked = "" if wanted in (set(), ours) else f", the config asks for {_numbers(wanted)}"
    sentence = f"{covers}{asked}, the base has {number_ranges(ours)}"
    if theirs == set(range(len(theirs))) and theirs != ours:
        other = "fewer" if len(theirs) < len(ours) else "more"
        sentence += f": if the trained model had {other}, what arrives may sit on other layers than it was trained on"
    return f"{sentence}."
