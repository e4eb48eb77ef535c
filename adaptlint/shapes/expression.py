"""Small formulas over named sizes and settings: "out//vector_length", "r if use_b else low(out, factor)".

They stand in method cards. Python's own parser reads them; only arithmetic, comparisons, choices and the functions
below are evaluated, and texts are never multiplied, so that a formula over a stranger's settings stays small.
"""

from __future__ import annotations

import math
import operator
import re
from collections.abc import Callable, Mapping
from functools import lru_cache

from adaptlint.hints import Any

Names = Mapping[str, Any]


class Unevaluable(Exception):
    """A formula over values that it is not meant for; the text says which."""


@lru_cache(maxsize=1024)
def _parsed(text: str) -> Any:
    import ast

    return ast.parse(re.sub(r"\bin\b", "in_", text), mode="eval").body


def evaluate(text: str, names: Names) -> Any:
    """The value of a formula. KeyError for an unknown name; TypeError as Python raises it; Unevaluable for texts."""
    return _value(_parsed(text), names)


def _value(node: Any, names: Names) -> Any:
    kind = type(node).__name__
    if kind == "Constant":
        return node.value
    if kind == "Name":
        return names["in" if node.id == "in_" else node.id]
    if kind == "BinOp":
        return _arithmetic(type(node.op).__name__, _value(node.left, names), _value(node.right, names))
    if kind == "Compare":
        left, right = _value(node.left, names), _value(node.comparators[0], names)
        return COMPARISONS[type(node.ops[0]).__name__](left, right)
    if kind == "BoolOp":
        values = (_value(part, names) for part in node.values)
        return all(values) if type(node.op).__name__ == "And" else any(values)
    if kind == "UnaryOp":
        value = _value(node.operand, names)
        return not value if type(node.op).__name__ == "Not" else -value
    if kind == "IfExp":
        return _value(node.body if _value(node.test, names) else node.orelse, names)
    if kind == "Call":
        return FUNCTIONS[node.func.id](*(_value(part, names) for part in node.args))
    raise Unevaluable(kind)


def _arithmetic(name: str, left: Any, right: Any) -> Any:
    if isinstance(left, (str, list, tuple, dict)) or isinstance(right, (str, list, tuple, dict)):
        raise Unevaluable(f"{type(left).__name__} {name} {type(right).__name__}")
    return ARITHMETIC[name](left, right)


def low(size: int, factor: int = -1) -> int:
    """The first of the two factors that LoKr splits a dimension into (PEFT 0.21.2, tuners/lokr/layer.py)."""
    return _factors(size, factor)[0]


def high(size: int, factor: int = -1) -> int:
    """The second of the two factors."""
    return _factors(size, factor)[1]


@lru_cache(maxsize=1024)
def _factors(size: int, factor: int) -> tuple[int, int]:
    """The factor itself if it divides, else the most even split whose smaller part is not above the factor."""
    if factor > 0 and size % factor == 0:
        return factor, size // factor
    limit = size if factor == -1 else factor
    smaller, larger = 1, size
    while smaller < larger:
        candidate = next(part for part in range(smaller + 1, size + 1) if size % part == 0)
        if candidate + size // candidate > smaller + larger or candidate > limit:
            break
        smaller, larger = candidate, size // candidate
    return min(smaller, larger), max(smaller, larger)


@lru_cache(maxsize=1024)
def divisor_near(size: int, wanted: int) -> int:
    """The divisor of `size` nearest to `wanted`, the smaller of two (PEFT 0.21.2, adjust_oft_parameters)."""
    if wanted >= size:
        return size
    above = next(part for part in range(wanted, size + 1) if size % part == 0)
    below = next((part for part in range(wanted, 1, -1) if size % part == 0), 1)
    return below if wanted - below <= above - wanted else above


def part_of(size: int, wanted: Any) -> int:
    """How many of `size` directions OSF keeps: half, a share or a number (PEFT 0.21.2, tuners/osf/model.py)."""
    if wanted is None:
        return size // 2
    share = isinstance(wanted, float) and 0 < wanted <= 1
    return max(min(size, int(size * wanted) if share else int(wanted)), 0)


def one_of(value: Any, names: str) -> bool:
    """True if the value is one of the names, which stand with spaces between them; TypeError for a list or table."""
    return value in dict.fromkeys(names.split())


def whole(value: object) -> bool:
    """True for what torch takes as a seed: a whole number and no bool."""
    return type(value) is int


def most(numbers: Any) -> int:
    """The largest of some whole numbers, -1 if there is none."""
    return int(max(numbers, default=-1))


def given(value: object) -> bool:
    """True for anything but null."""
    return value is not None


ARITHMETIC: dict[str, Callable[[Any, Any], Any]] = {
    "Add": operator.add,
    "Sub": operator.sub,
    "Mult": operator.mul,
    "Div": operator.truediv,
    "FloorDiv": operator.floordiv,
    "Mod": operator.mod,
}
COMPARISONS: dict[str, Callable[[Any, Any], bool]] = {
    "Eq": operator.eq,
    "NotEq": operator.ne,
    "Lt": operator.lt,
    "LtE": operator.le,
    "Gt": operator.gt,
    "GtE": operator.ge,
}
FUNCTIONS: dict[str, Callable[..., Any]] = {
    "min": min,
    "max": max,
    "int": int,
    "ceil": math.ceil,
    "len": len,
    "prod": math.prod,
    "low": low,
    "high": high,
    "divisor_near": divisor_near,
    "given": given,
    "most": most,
    "part_of": part_of,
    "whole": whole,
    "one_of": one_of,
    "round": round,
}
