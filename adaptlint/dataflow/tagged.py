"""Sizes that remember where they came from: integers that carry a term (see flow_graph.py)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

Guarded = Callable[[Any, str, Any, bool], None]


class TaggedInt(int):
    """An int with the term that gives it; arithmetic keeps the term, a comparison is told to `listener`.

    torch takes it wherever it takes an int. With a float the term is lost, on purpose.
    """

    term: Any
    listener: Guarded

    def __new__(cls, value: int, term: Any, listener: Guarded) -> TaggedInt:
        """`listener` is called with (left term, operator, right term, outcome)."""
        self = super().__new__(cls, value)
        self.term, self.listener = term, listener
        return self

    def __deepcopy__(self, memo: Any) -> TaggedInt:
        return self

    def __reduce__(self) -> Any:
        return int, (int(self),)

    __hash__ = int.__hash__

    def __bool__(self) -> bool:
        truth = int(self) != 0
        self.listener(self.term, "!=", 0, truth)
        return truth

    def __neg__(self) -> TaggedInt:
        return TaggedInt(-int(self), ["-", 0, self.term], self.listener)


def term_of(value: Any) -> Any:
    """The term of a size; of a plain integer itself."""
    return value.term if isinstance(value, TaggedInt) else int(value)


def _arithmetic(name: str, symbol: str, swapped: bool) -> Any:
    plain = getattr(int, name)

    def operate(self: TaggedInt, other: Any) -> Any:
        found = plain(self, other)
        if found is NotImplemented or not isinstance(other, int) or isinstance(other, bool):
            return found
        left, right = (other, self) if swapped else (self, other)
        return TaggedInt(found, [symbol, term_of(left), term_of(right)], self.listener)

    return operate


def _comparison(name: str, symbol: str) -> Any:
    plain = getattr(int, name)

    def compare(self: TaggedInt, other: Any) -> Any:
        found = plain(self, other)
        if found is not NotImplemented and isinstance(other, int) and not isinstance(other, bool):
            self.listener(self.term, symbol, term_of(other), bool(found))
        return found

    return compare


for _name, _symbol in (("add", "+"), ("sub", "-"), ("mul", "*"), ("floordiv", "//"), ("mod", "%")):
    setattr(TaggedInt, f"__{_name}__", _arithmetic(f"__{_name}__", _symbol, swapped=False))
    setattr(TaggedInt, f"__r{_name}__", _arithmetic(f"__r{_name}__", _symbol, swapped=True))
for _name, _symbol in (("eq", "=="), ("ne", "!="), ("lt", "<"), ("le", "<="), ("gt", ">"), ("ge", ">=")):
    setattr(TaggedInt, f"__{_name}__", _comparison(f"__{_name}__", _symbol))
