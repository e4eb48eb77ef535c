"""Relations between sizes that every config had which could be built, and configs that lack one."""

from __future__ import annotations

import json
from typing import Any

from tests.families.samples import Sample
from tests.families.space import PADDING, Raw, Space

PADDED = ["<", PADDING, "vocab_size"]


def breaking(space: Space, raw: Raw, condition: Any) -> list[Raw]:
    """Neighbours of a config that lack a relation and differ in one field."""
    kind, *parts = condition
    turned = kind == "not"
    if turned:
        kind, *parts = parts[0]
    if any(isinstance(part, list) for part in parts):
        own = space.value(raw, parts[0])
        return [{**raw, parts[0]: own * 2}] if type(own) is int else []
    values = [space.value(raw, part) if part in space.fields else part for part in parts]
    known = [value for value in values if type(value) is int]
    if not known:
        return []
    first, second = (value if type(value) is int else known[0] for value in values)
    raw = {**raw, **{n: known[0] for n, v in zip(parts, values, strict=True) if v is None and n in space.fields}}
    after: list[tuple[Any, int]] = []
    if kind == "%":
        after = [(parts[0], first + 1), (parts[0], first + second // 2), (parts[1], second + 1)]
    elif kind == "=":
        after = [(parts[0], first * 2), (parts[1], second * 2)]
    elif turned:
        after = [(parts[0], second - 1), (parts[1], first + 1), (parts[1], first * 2), (parts[0], second // 2)]
    else:
        after = [(parts[0], second), (parts[0], second * 2), (parts[1], first), (parts[1], first // 2)]
    return [
        {**raw, name: value} for name, value in after if name in space.fields and 0 <= value <= space._largest(name)
    ]


def relations(samples: list[Sample], usable: list[str]) -> list[Any]:
    sizes = [n for n in usable if n != "num_labels" and any(type(s.names.get(n)) is int for s in samples)]
    found: list[Any] = []
    for name in sizes:
        found += [["<", part, name] for part in (-1, 0, 1)] + [["%", name, part] for part in (2, 4, 8)]
        if name.startswith("len("):
            values = {s.names.get(name) for s in samples}
            found += [["is", name, value] for value in values if type(value) is int and len(values - {None}) == 1]
        for other in sizes:
            if name != other:
                found += [["%", name, other], ["<", name, other], ["not", ["<", name, other]], ["=", name, other]]
            if name == PADDING and "position" in other:  # sines for so many positions after the first two
                found.append(["<", name, ["+", other, 2]])
            if name != other and "head" in name and "head" in other:  # the width of a head, given beside their number
                found += [["=", name, ["//", width, other]] for width in sizes if width not in (name, other)]
    return found


def fact(sample: Sample, condition: Any) -> bool | None:
    """A demand about a null holds: it is about numbers."""
    known = sample.fact(repr(condition), condition)
    return True if known is None else known


def all_hold(samples: list[Sample], condition: Any) -> bool:
    return all(fact(sample, condition) for sample in samples)


def shortest(lengths: list[Any]) -> list[Any]:
    """One demand for each list: a constant length, else what it equals."""
    found: dict[str, Any] = {}
    for condition in lengths:
        name = next(str(part) for part in condition[1:] if "len(" in str(part))
        if name not in found or condition[0] == "is":
            found[name] = condition
    return list(found.values())


def fewest(conditions: list[Any], refused: list[Sample]) -> list[Any]:
    """Relations that together rule out every refused config that all of them rule out, the most telling first."""
    excluded = {repr(c): {n for n, sample in enumerate(refused) if fact(sample, c) is False} for c in conditions}
    left = set[int]().union(*excluded.values()) if excluded else set()
    chosen = []
    while left:
        best = max(conditions, key=lambda c: (len(excluded[repr(c)] & left), *_telling(c)))
        chosen.append(best)
        left -= excluded[repr(best)]
    return chosen


def _telling(condition: Any) -> tuple[bool, bool]:
    """Relations between two fields say more than such with a constant, and a divisor more than an order."""
    return all(isinstance(part, str) for part in condition[1:]), condition[0] == "%"


def share_padding(table: dict[str, Any]) -> None:
    """Ask of every class what one asks of the padding: all of a model type begin with the same embedding."""
    asked = any(PADDED in entry["demands"] for entry in table["classes"].values())
    if asked and PADDED not in table["demands"]:
        table["demands"].append(PADDED)


def unique(conditions: list[Any]) -> list[Any]:
    return list({json.dumps(condition): condition for condition in conditions}.values())
