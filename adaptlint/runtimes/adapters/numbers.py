"""What a site computes, as sums of terms: enough to tell whether two ways through a composition give the same.

A term is a nested tuple: ("x", 0) is what a site is given, (ADAPTER, "a", ...) what adapter a makes of something. Sums
have exact coefficients, so that an average that is divided twice is another number than one that is not.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from adaptlint.hints import TYPE_CHECKING, Any, TypeAlias

if TYPE_CHECKING:
    from fractions import Fraction

Term = tuple[Any, ...]
Number: TypeAlias = "int | Fraction"  # whole where nothing is averaged, which spares the import
Sum: TypeAlias = "frozenset[tuple[Term, Number]]"
ADAPTER = "of"
"""Terms that an adapter has made begin with (ADAPTER, its name, ...)."""


def term(*parts: Any) -> Sum:
    """One term, once."""
    return frozenset({(parts, 1)})


def made_by(adapter: str, *parts: Any) -> Sum:
    """What an adapter makes of its inputs."""
    return term(ADAPTER, adapter, *parts)


def plus(*sums: Sum) -> Sum:
    """All of them together."""
    total: dict[Term, Number] = {}
    for each in sums:
        for part, count in each:
            total[part] = total.get(part, 0) + count
    return frozenset((part, count) for part, count in total.items() if count)


def times(number: Number, given: Sum) -> Sum:
    """So many times as much."""
    return frozenset((part, count * number) for part, count in given if number)


def adapters_in(given: Sum) -> frozenset[str]:
    """The adapters that have any part in it."""
    return frozenset(_adapters(part for part, _ in given))


def _adapters(parts: Iterable[Any]) -> Iterator[str]:
    for part in parts:
        if isinstance(part, tuple):
            if part[:1] == (ADAPTER,):
                yield part[1]
            yield from _adapters(part)
        elif isinstance(part, frozenset):
            yield from _adapters(inner for inner, _ in part)
