"""Reads the weight transforms of a record as transformers 5 applies them to checkpoint keys."""

from __future__ import annotations

import re
from collections.abc import Iterable

from adaptlint.hints import Any

Shape = tuple[int, ...]


class Transform:
    """One transform: `rename` gives a key's new name; `convert_shapes` what its operations make of the tensors' sizes.

    Holds state for grouped renames (a group sleeps until its first pattern was seen): make fresh ones per checkpoint.
    """

    __slots__ = ("awake", "data", "pattern", "scopes")

    def __init__(self, data: dict[str, Any]) -> None:
        """`data` as in record.py. Raises re.error for patterns that are none."""
        self.data = data
        self.pattern = compile_sources(data["sources"])
        self.awake = False
        self.scopes: tuple[str, ...] = ("",)
        if "scope" in data:
            scope = data["scope"] + "." if data["scope"] else ""
            prefix = data["prefix"] + "." if data["prefix"] else ""
            self.scopes = (prefix + scope, scope)

    def rename(self, key: str) -> tuple[str, str | None]:
        """(new key, source pattern that matched); (key, None) where it does not apply."""
        scope = next((scope for scope in self.scopes if key.startswith(scope)), None)
        found = None if scope is None else self.pattern.search(key[len(scope) :])
        if scope is None or found is None:
            return key, None
        group = next(name for name, value in found.groupdict().items() if value is not None)
        index = int(group[1:])
        target = self.data["targets"][0]
        if self.data["class"] == "GroupWeightRename":
            self.awake = self.awake or index == 0
            if not self.awake:
                return key, None
            target = self.data["targets"][index]
        start = self.pattern.groupindex[group]
        replacement = self._filled(target, found, start)
        return scope + key[len(scope) :].replace(found.group(0), replacement, 1), self.data["sources"][index]

    def _filled(self, target: str, found: re.Match[str], start: int) -> str:
        if self.data["class"] == "GroupWeightRename":
            return re.sub(r"\\(\d+)", lambda number: found.group(start + int(number.group(1))) or "", target)
        if r"\1" not in target:
            return target
        captured = found.group(start + 1) or ""
        if "offset" in self.data:
            captured = str(int(captured) + self.data["offset"])
        return target.replace(r"\1", captured)

    def convert_shapes(self, key: str, collected: dict[str, list[Shape]]) -> dict[str, Shape]:
        """Parameter name -> shape for the sources collected under `key` (source pattern -> shapes in file order).

        Empty where an operation is not one whose sizes are plain arithmetic.
        """
        shapes = [collected[source] for source in self.data["sources"] if source in collected]
        if len(shapes) != len(self.data["sources"]):
            return {}
        for operation in self.data["operations"]:
            changed = _operate(operation, shapes, len(self.data["targets"]))
            if changed is None:
                return {}
            shapes = changed
        targets = self.data["targets"]
        if len(targets) != len(shapes) or any(len(entry) != 1 for entry in shapes):
            return {}
        return {key.replace(targets[0], target, 1): entry[0] for target, entry in zip(targets, shapes, strict=True)}


def compile_sources(sources: list[str]) -> re.Pattern[str]:
    """One pattern whose group `g<i>` is source i: longest first, `*.` spans names, ends fall on name boundaries."""
    branches = []
    for index, source in sorted(enumerate(sources), key=lambda item: -len(item[1])):
        pattern = source.replace("*.", r".*\.")
        if re.search(r"[a-zA-Z0-9]$", pattern):
            pattern += r"(?!\w)"
        branches.append(f"(?P<g{index}>{pattern})")
    return re.compile("|".join(branches))


def split_transforms(data: Iterable[dict[str, Any]]) -> tuple[list[Transform], list[Transform]]:
    """(renamings, converters) of a record, each in order."""
    entries = [Transform(entry) for entry in data]
    renamings = [entry for entry in entries if entry.data["op"] == "rename"]
    return renamings, [entry for entry in entries if entry.data["op"] == "convert"]


def rename_key(
    key: str, renamings: list[Transform], converters: list[Transform]
) -> tuple[str, Transform | None, str | None]:
    """The key after every renaming and at most one converter: (key, the converter, its source pattern)."""
    for renaming in renamings:
        key, _ = renaming.rename(key)
    for converter in converters:
        key, source = converter.rename(key)
        if source is not None:
            return key, converter, source
    return key, None, None


def _operate(operation: dict[str, Any], shapes: list[list[Shape]], targets: int) -> list[list[Shape]] | None:
    name, dim = operation["name"], operation.get("dim", 0)
    flat = [shape for entry in shapes for shape in entry]
    if any(len(shape) != len(flat[0]) for shape in flat):
        return None
    if name == "MergeModulelist":
        return [[(*entry[0][:dim], len(entry), *entry[0][dim:])] for entry in shapes]
    if not flat or dim >= len(flat[0]):
        return None
    if name == "Concatenate":
        total = sum(shape[dim] for shape in flat)
        return [[(*flat[0][:dim], total, *flat[0][dim + 1 :])]]
    if name == "Chunk" and len(flat) == 1 and flat[0][dim] % targets == 0:
        part = (*flat[0][:dim], flat[0][dim] // targets, *flat[0][dim + 1 :])
        return [[part] for _ in range(targets)]
    if name == "Transpose" and not operation.get("check_dims"):
        first, second = operation["dim0"], operation["dim1"]
        return [[_swapped(shape, first, second) for shape in entry] for entry in shapes]
    return None


def _swapped(shape: Shape, first: int, second: int) -> Shape:
    sizes = list(shape)
    sizes[first], sizes[second] = sizes[second], sizes[first]
    return tuple(sizes)
