"""The simplest formula over named whole numbers that gives a column of whole numbers exactly."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import combinations, permutations
from typing import Any

import numpy as np

Expression = Any
Column = Any  # numpy array of int64
MAX_NAMES = 24
MAX_TERMS = 60
COEFFICIENT = 64
TOLERANCE = 1e-6
NEAR = 0.2
CHUNK = 4096


class Formulas:
    """Simple formulas over the names of some rows, worked out once, to be looked up by the values that they give.

    A formula over a null, or with a division by nothing, has no value in that row.
    """

    NONE = -(1 << 62)

    def __init__(self, rows: Sequence[Mapping[str, Any]], names: Sequence[str]) -> None:
        self.expressions: list[Expression] = []
        columns: list[Column] = []
        wholes, shares = self._read(rows, names)
        for expression, column in self._made(wholes, shares):
            self.expressions.append(expression)
            columns.append(column)
        self.matrix = np.stack(columns) if columns else np.empty((0, len(rows)), dtype=np.int64)

    def matches(self, values: Any) -> Any:
        """For each formula and row, whether the formula gives the row's value."""
        return self.matrix == np.array(values, dtype=np.int64)

    def sums(self, values: Any) -> Iterator[tuple[str, int, Any]]:
        """(name, factor, matches): where the name and so many times a formula give the row's value."""
        for place, name in enumerate(self.expressions):
            if isinstance(name, str):
                for factor in (1, 2):
                    left = values - self.matrix[place]
                    yield name, factor, np.where(left % factor == 0, left // factor, self.NONE + 1) == self.matrix

    def heads(self, values: Any) -> Iterator[tuple[Expression, Any]]:
        """(formula, matches) of products of a size and a sum of two, as queries, keys and values side by side have."""
        named = [(name, self.matrix[place]) for place, name in enumerate(self.expressions) if isinstance(name, str)]
        sizes = [*named, *((e, c) for e, c in zip(self.expressions, self.matrix, strict=True) if _is_quotient(e))]
        for size, column in sizes:
            known = (column > 0) & (values % np.where(column > 0, column, 1) == 0)
            counts = np.where(known, values // np.where(column > 0, column, 1), self.NONE)
            for (first, left), (second, right) in permutations(named, 2):
                for factor in (1, 2):
                    matches = left + factor * right == counts
                    if matches.any():
                        many = second if factor == 1 else ["*", factor, second]
                        yield ["*", ["+", first, many], size], matches

    def _read(
        self, rows: Sequence[Mapping[str, Any]], names: Sequence[str]
    ) -> tuple[list[tuple[str, Column]], list[tuple[str, Column]]]:
        wholes: dict[bytes, tuple[str, Column]] = {}
        shares: dict[bytes, tuple[str, Column]] = {}
        for name in names:
            cells = [row.get(name) for row in rows]
            kinds = {type(cell) for cell in cells} - {type(None)}
            if len(set(map(str, cells))) < 2:
                continue
            if kinds == {int}:
                column = np.array([self.NONE if cell is None else cell for cell in cells], dtype=np.int64)
                wholes.setdefault(column.tobytes(), (name, column))
            elif kinds <= {int, float} and kinds:
                numbers = np.array([np.nan if cell is None else cell for cell in cells], dtype=np.float64)
                shares.setdefault(numbers.tobytes(), (name, numbers))
        return list(wholes.values())[:MAX_NAMES], list(shares.values())

    def _made(
        self, wholes: Sequence[tuple[str, Column]], shares: Sequence[tuple[str, Column]]
    ) -> Iterator[tuple[Expression, Column]]:
        small = [(name, np.where(np.abs(column) < 1 << 20, column, self.NONE)) for name, column in wholes]
        yield from wholes
        for name, column in small:
            for factor in (2, 3, 4, 6, 8):
                yield ["*", factor, name], self._kept(column * factor, column)
                yield ["//", name, factor], self._kept(column // factor, column)
            for shift in (-2, -1, 1, 2):
                yield ["+", name, shift], self._kept(column + shift, column)
        products = [(["*", a, b], self._kept(x * y, x, y)) for (a, x), (b, y) in combinations(small, 2)]
        products += [(["*", a, a], self._kept(x * x, x)) for a, x in small]
        quotients = [(["//", a, b], self._divided(x, y)) for a, x in small for b, y in small if a != b]
        yield from products
        yield from quotients
        for name, factors in shares:
            for whole, column in small:
                known = ~np.isnan(factors) & (column != self.NONE)
                yield (
                    ["int", ["*", whole, name]],
                    np.where(known, np.nan_to_num(column * factors), self.NONE).astype(np.int64),
                )
        for name, column in small:
            for expression, other in quotients:
                yield (
                    ["*", expression, name],
                    self._kept(np.where(other == self.NONE, 0, other) * column, other, column),
                )
            for expression, other in products:
                if name not in expression:
                    yield ["//", expression, name], self._divided(other, column)

    def _kept(self, column: Column, *parts: Column) -> Column:
        for part in parts:
            column = np.where(part == self.NONE, self.NONE, column)
        return column

    def _divided(self, column: Column, divisor: Column) -> Column:
        quotient = column // np.where(divisor > 0, divisor, 1)
        return np.where((divisor > 0) & (column != self.NONE), quotient, self.NONE)


def _is_quotient(expression: Expression) -> bool:
    return isinstance(expression, list) and expression[0] == "//" and all(isinstance(part, str) for part in expression)


def fit(
    values: Sequence[int], rows: Sequence[Mapping[str, Any]], names: Sequence[str], sums: bool = True
) -> Expression | None:
    """An expression (see adaptlint/bases/templates.py) that has these values in these rows; None if none is found."""
    target = np.array(values, dtype=np.int64)
    columns = _columns(rows, names)
    for find in (_one_name, _scaled, _two_factors, _rounded_share, *((_sums,) if sums else ())):
        found = find(target, columns)
        if found is not None:
            return found
    return None


def _columns(rows: Sequence[Mapping[str, Any]], names: Sequence[str]) -> dict[str, Column]:
    """The names that are numbers in every row and not the same in all; of equal ones the first."""
    columns: dict[str, Column] = {}
    seen: set[bytes] = set()
    for name in names:
        cells = [row.get(name) for row in rows]
        if all(type(cell) is int and abs(cell) < 1 << 40 for cell in cells):
            column = np.array(cells, dtype=np.int64)
        elif all(type(cell) in (int, float) for cell in cells):
            column = np.array(cells, dtype=np.float64)
        else:
            continue
        if len(set(cells)) > 1 and column.tobytes() not in seen:
            seen.add(column.tobytes())
            columns[name] = column
    return columns


def _wholes(columns: Mapping[str, Column]) -> dict[str, Column]:
    return {name: column for name, column in columns.items() if column.dtype == np.int64}


def _one_name(target: Column, columns: Mapping[str, Column]) -> Expression | None:
    return next((name for name, column in _wholes(columns).items() if np.array_equal(column, target)), None)


def _scaled(target: Column, columns: Mapping[str, Column]) -> Expression | None:
    """A multiple, a part or a neighbour of one number."""
    for name, column in _wholes(columns).items():
        found = _multiple(target, column, name)
        if found is not None:
            return found
        shift = int(target[0] - column[0])
        if np.array_equal(column + shift, target):
            return ["+", name, shift]
        for part in range(2, 17):
            if np.array_equal(column // part, target):
                return ["//", name, part]
            if np.array_equal(-(-column // part), target):
                return ["//", ["+", name, part - 1], part]
    return None


def _multiple(target: Column, column: Column, expression: Expression) -> Expression | None:
    """target = p * column // q with small p and q."""
    for row in np.flatnonzero(column)[:1]:
        for bottom in (1, 2, 3, 4, 8):
            top = round(float(target[row]) * bottom / float(column[row]))
            if 0 < abs(top) <= COEFFICIENT and np.array_equal(column * top, target * bottom):
                scaled = expression if top == 1 else ["*", top, expression]
                return scaled if bottom == 1 else ["//", scaled, bottom]
    return None


def _products(columns: Mapping[str, Column]) -> Iterator[tuple[Expression, Column]]:
    wholes = list(_wholes(columns).items())[:MAX_NAMES]
    for index, (name, column) in enumerate(wholes):
        for other, factor in wholes[index:]:
            if np.abs(column).max() < 1 << 30 and np.abs(factor).max() < 1 << 30:
                yield ["*", name, other], column * factor


def _quotients(columns: Mapping[str, Column]) -> Iterator[tuple[Expression, Column]]:
    wholes = list(_wholes(columns).items())[:MAX_NAMES]
    for name, column in wholes:
        for other, divisor in wholes:
            if name != other and (divisor > 0).all():
                yield ["//", name, other], column // divisor


def _two_factors(target: Column, columns: Mapping[str, Column]) -> Expression | None:
    products, quotients = list(_products(columns)), list(_quotients(columns))
    for expression, column in [*products, *quotients]:
        found = _multiple(target, column, expression)
        if found is not None:
            return found
    for expression, column in quotients:
        for power in (1, 2):
            shift = int(target[0] - column[0] ** power)
            if abs(shift) <= COEFFICIENT and np.array_equal(column**power + shift, target):
                squared = expression if power == 1 else ["*", expression, expression]
                return ["+", squared, shift] if shift else squared
    wholes = list(_wholes(columns).items())[:MAX_NAMES]
    for expression, column in products:
        for name, divisor in wholes:
            if (divisor > 0).all() and name not in expression and np.array_equal(column // divisor, target):
                return ["//", expression, name]
    for expression, column in quotients:
        for name, factor in wholes:
            if np.array_equal(column * factor, target):
                return ["*", expression, name]
    return None


def _rounded_share(target: Column, columns: Mapping[str, Column]) -> Expression | None:
    """int(number * share), perhaps times a small whole number."""
    shares = {name: column for name, column in columns.items() if column.dtype == np.float64}
    for share, factors in shares.items():
        for name, column in _wholes(columns).items():
            if np.array_equal((column * factors).astype(np.int64), target):
                return ["int", ["*", name, share]]
        for left, right in combinations(_wholes(columns).items(), 2):
            quotient = left[1] // np.maximum(right[1], 1)
            if (right[1] > 0).all() and np.array_equal((quotient * factors).astype(np.int64), target):
                return ["int", ["*", ["//", left[0], right[0]], share]]
    return None


def _sums(target: Column, columns: Mapping[str, Column]) -> Expression | None:
    """Two or three terms and a constant, with small whole coefficients."""
    terms: list[tuple[Expression, Column]] = list(_wholes(columns).items())
    terms += list(_products(columns))
    terms += [(e, c) for e, c in _quotients(columns) if len(set(c.tolist())) > 1]
    return _sum_of(target, terms[: MAX_TERMS * 2], 2) or _sum_of(target, terms[: MAX_TERMS // 2], 3)


def _sum_of(target: Column, terms: Sequence[tuple[Expression, Column]], count: int) -> Expression | None:
    distinct = len(np.unique(target))
    if distinct < count + 3:
        return None
    wanted = target.astype(np.float64)
    matrix = np.stack([*(column.astype(np.float64) for _, column in terms), np.ones(len(target))], axis=1)
    scale = np.abs(matrix).max(axis=0)
    products, aims = (matrix / scale).T @ (matrix / scale), (matrix / scale).T @ wanted
    chosen = np.array([[*part, len(terms)] for part in combinations(range(len(terms)), count)])
    for start in range(0, len(chosen), CHUNK):
        part = chosen[start : start + CHUNK]
        blocks = products[part[:, :, None], part[:, None, :]] + 1e-12 * np.eye(count + 1)
        solved = np.linalg.solve(blocks, aims[part][:, :, None])[:, :, 0] / scale[part]
        whole = np.rint(solved)
        near = (np.abs(solved - whole) < NEAR).all(axis=1) & (np.abs(whole[:, :-1]) <= COEFFICIENT).all(axis=1)
        for row in np.flatnonzero(near & (whole[:, :-1] != 0).all(axis=1)):
            if np.abs(matrix[:, part[row]] @ whole[row] - wanted).max() < TOLERANCE:
                pairs = zip(whole[row], part[row][:-1], strict=False)
                constant = int(whole[row][-1])
                parts = [_times(int(coefficient), terms[index][0]) for coefficient, index in pairs]
                return ["+", *parts, *([constant] if constant else [])]
    return None


def _times(coefficient: int, expression: Expression) -> Expression:
    return expression if coefficient == 1 else ["*", coefficient, expression]
