"""The conditions that are tried to tell samples apart."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from tests.families.samples import Sample

MAX_PAIRS = 16
MAX_CASES = 40


def about_one(name: str, values: dict[str, Any], kinds: set[type]) -> Iterable[Any]:
    """Conditions about the values of one name."""
    if type(None) in kinds:
        yield ["null", name]
        if any(value in (0, "") and value is not False for value in values.values()):
            yield ["no", name]
    if bool in kinds:
        yield ["is", name, True]
    if str in kinds and len(values) <= MAX_CASES:
        yield from (["is", name, value] for value in values.values() if isinstance(value, str))
    if int in kinds:
        yield ["<", 0, name]
        yield ["<", 1, name]
        small = sorted(value for value in values.values() if type(value) is int and -2 <= value <= 8)
        yield from (["is", name, value] for value in small)


def about_index(index: str, numbers: list[str], lists: list[str], samples: Sequence[Sample]) -> Iterable[Any]:
    """Conditions about the place in a list."""
    yield ["is", index, 0]
    yield from (["<", index, name] for name in numbers)
    for name in lists:
        values = [value for sample in samples if isinstance(value := sample.names.get(name), list)]
        found = {entry for value in values for entry in value if isinstance(entry, str | bool | int)}
        entries = sorted(found, key=str)
        if len(entries) <= 8:
            yield from (["is", ["at", name, index], entry] for entry in entries)
        yield ["in", index, name]
    for name in numbers:
        yield ["%", index, name]
        yield ["%", ["+", index, 1], name]
        yield ["=", index, ["-", name, 1]]
    for period in (2, 3, 4, 5, 6, 8):
        for offset in range(min(period, 2)):
            yield ["%", ["+", index, offset], period]
    few = numbers[:MAX_PAIRS]
    for name in few:
        for other in few:
            if name != other:
                yield ["%", ["-", index, other], name]
                yield ["<", index, ["-", name, other]]
