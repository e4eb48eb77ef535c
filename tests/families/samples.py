"""What a template is learnt from: names of a config, and the value that came of it."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Sequence
from math import log2
from typing import Any

from adaptlint.bases.templates import NotCovered, holds

MOST_RANKED = 60


class Unlearnt(Exception):
    """No template was found for a part; the text is its path."""


class Sample:
    """What a config's names were, the indices of the lists it stands in, and the value that came of it."""

    __slots__ = ("facts", "names", "parent", "value")

    def __init__(
        self,
        names: dict[str, Any],
        value: Any,
        facts: dict[str, bool | None] | None = None,
        parent: Sample | None = None,
    ) -> None:
        self.names = names
        self.value = value
        self.parent = parent  # the sample whose list this is an entry of
        self.facts: dict[str, bool | None] = {} if facts is None else facts

    def with_value(self, value: Any) -> Sample:
        """The same config, another part of what came of it."""
        return Sample(self.names, value, self.facts, self.parent)

    def fact(self, text: str, condition: Any) -> bool | None:
        """Whether a condition holds, None where it cannot be asked; `text`: the condition's own."""
        if text not in self.facts:
            try:
                self.facts[text] = holds(condition, self.names)
            except NotCovered:
                self.facts[text] = None
        return self.facts[text]


def parents(samples: Sequence[Sample]) -> list[Sample] | None:
    """The samples whose lists these are entries of, where all entries of each list are the same."""
    found: dict[int, Sample] = {}
    for sample in samples:
        if sample.parent is None:
            return None
        known = found.setdefault(id(sample.parent.facts), sample.parent.with_value(sample.value))
        if known.value is not sample.value and json.dumps(known.value) != json.dumps(sample.value):
            return None
    return list(found.values())


def telling(samples: Sequence[Sample]) -> Sequence[Sample]:
    """Enough samples to rank conditions by: some of each label, spread over all."""
    if len(samples) <= MOST_RANKED:
        return samples
    groups: dict[Any, list[Sample]] = {}
    for sample in samples:
        groups.setdefault(sample.value, []).append(sample)
    share = max(4, MOST_RANKED // len(groups))
    return [sample for group in groups.values() for sample in group[:: max(1, len(group) // share)]]


def entropy(samples: Sequence[Sample]) -> float:
    """How mixed the labels of samples are, in bits."""
    counts = Counter(sample.value for sample in samples)
    total = len(samples)
    return -sum(count / total * log2(count / total) for count in counts.values())


def scalar_label(value: Any) -> tuple[str, Any]:
    """A scalar by its type and value."""
    return type(value).__name__, value


def kind_label(value: Any) -> str:
    """The type of a value."""
    return type(value).__name__


def same(first: Any, second: Any) -> bool:
    """Whether two values are one in JSON as well."""
    return type(first) is type(second) and (first == second) and json.dumps(first) == json.dumps(second)


def merged_order(orders: Sequence[list[str]]) -> list[str] | None:
    """One order of all keys in which every sample's own stands; None if there is none."""
    distinct = {tuple(order): None for order in orders}
    after: dict[str, set[str]] = {}
    for order in distinct:
        for place, key in enumerate(order):
            after.setdefault(key, set()).update(order[:place])
    merged: list[str] = []
    left = dict.fromkeys(key for order in sorted(distinct, key=len, reverse=True) for key in order)
    while left:
        ready = next((key for key in left if not (after[key] & left.keys())), None)
        if ready is None:
            return None
        merged.append(ready)
        del left[ready]
    return merged
