"""Formulas for the whole numbers of some of the samples."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from tests.families.numbers import Formulas

Template = Any
LEAST_VALUES = 5


class Lookup:
    """What gives the values of some of the rows: a constant, a formula, or a name and a formula together."""

    def __init__(self, formulas: Formulas, values: Sequence[int]) -> None:
        self.formulas = formulas
        self.values = np.array(values, dtype=np.int64)
        self.plain = formulas.matches(self.values)
        self.sums = list(formulas.sums(self.values))
        self.heads = list(formulas.heads(self.values))

    def formula(self, side: Any) -> Template | None:
        """The template for the rows that `side` picks."""
        if len(np.unique(self.values[side])) == 1:
            return int(self.values[side][0])
        found = np.flatnonzero(self.plain[:, side].all(axis=1))
        if len(found):
            return {"$": self.formulas.expressions[found[0]]}
        if len(np.unique(self.values[side])) < LEAST_VALUES:
            return None
        for first, factor, matches in self.sums:
            found = np.flatnonzero(matches[:, side].all(axis=1))
            if len(found):
                second = self.formulas.expressions[found[0]]
                return {"$": ["+", first, second if factor == 1 else ["*", factor, second]]}
        return next(({"$": expression} for expression, matches in self.heads if matches[side].all()), None)
