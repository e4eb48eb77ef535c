"""Expressions over a config's integers that give a number in every one of several configs."""

from __future__ import annotations

from typing import Any

Vector = tuple[int, ...]
SMALL = (1, 2, 3, 4)
OPERATORS = ("*", "//", "+", "-")


class NoExpression(Exception):
    """A number that varies among configs in a way that nothing here explains."""


class Search:
    """Looks for the shortest expression; `names` are the values of each integer in each config.

    Expressions are made from the names and small numbers, shortest first, and told apart by their values; the values
    of the configs are drawn independently, so that two different expressions of this length do not agree by chance.
    """

    def __init__(self, names: dict[str, Vector]) -> None:
        count = len(next(iter(names.values())))
        self.leaves: dict[Vector, Any] = {}
        for name, vector in names.items():
            self.leaves.setdefault(vector, name)
        self.numbers = {(number,) * count: number for number in SMALL}
        self.levels: list[dict[Vector, Any]] = [dict(self.leaves)]
        self.known: dict[Vector, Any] = {}

    def find(self, target: Vector) -> Any:
        """The expression; NoExpression where there is none of up to four operands."""
        if target not in self.known:
            self.known[target] = self._find(target)
        return self.known[target]

    def _find(self, target: Vector) -> Any:
        for depth in range(3):
            while len(self.levels) <= depth:
                self._grow()
            if target in self.levels[depth]:
                return self.levels[depth][target]
        for operand, name in {**self.numbers, **self.leaves}.items():  # one operation more, taken back
            less = tuple(t - o for t, o in zip(target, operand, strict=True))
            if less in self.levels[-1]:
                return ["+", self.levels[-1][less], name]
            more = tuple(t + o for t, o in zip(target, operand, strict=True))
            if more in self.levels[-1]:
                return ["-", self.levels[-1][more], name]
            if all(o and t % o == 0 for t, o in zip(target, operand, strict=True)):
                part = tuple(t // o for t, o in zip(target, operand, strict=True))
                if part in self.levels[-1]:
                    return ["*", self.levels[-1][part], name]
        raise NoExpression(str(target))

    def _grow(self) -> None:
        longest = self.levels[-1]
        found: dict[Vector, Any] = dict(longest)
        operands = {**self.numbers, **self.leaves}
        for operator in OPERATORS:
            for left, first in longest.items():
                for right, second in operands.items():
                    vector = _applied(operator, left, right)
                    if vector is not None and len({*vector}) > 1:
                        found.setdefault(vector, [operator, first, second])
        self.levels.append(found)


def _applied(operator: str, left: Vector, right: Vector) -> Vector | None:
    pairs = [*zip(left, right, strict=True)]
    if operator == "+":
        return tuple(a + b for a, b in pairs)
    if operator == "-":
        return tuple(a - b for a, b in pairs)
    if operator == "*":
        return tuple(a * b for a, b in pairs)
    return tuple(a // b for a, b in pairs) if all(b > 1 for _, b in pairs) else None


def aligned(values: list[Any], search: Search, path: str = "") -> Any:
    """One template for JSON that differs in its integers only; floats are those of the first."""
    first = values[0]
    kinds = {type(value) for value in values}
    if len(kinds) > 1:
        raise NoExpression(f"{path}: {values}"[:200])
    if kinds == {list}:
        if len({len(value) for value in values}) > 1:
            raise NoExpression(f"{path}: lengths {[len(value) for value in values]}")
        return [aligned([*parts], search, f"{path}/{at}") for at, parts in enumerate(zip(*values, strict=True))]
    if kinds == {dict}:
        if len({tuple(sorted(value)) for value in values}) > 1:
            raise NoExpression(f"{path}: keys {[[*value] for value in values]}"[:200])
        return {name: aligned([value[name] for value in values], search, f"{path}/{name}") for name in first}
    if all(value == first for value in values) or kinds == {float}:
        return first
    if kinds != {int}:
        raise NoExpression(f"{path}: {values}"[:200])
    try:
        return {"$": search.find(tuple(values))}
    except NoExpression:
        raise NoExpression(f"{path}: {values}") from None
