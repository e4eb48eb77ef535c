"""Signatures such as "out r/groups *ones": the shape of a tensor in terms of named sizes."""

from __future__ import annotations

import re
from collections.abc import Mapping

from adaptlint.named_tuple import NamedTuple

_SIMPLE = re.compile(r"[\w*]+(/\w+)?\Z")
Sizes = Mapping[str, int | tuple[int, ...]]


class Conflict(NamedTuple):
    """One axis whose size is not what its symbols say: `symbols` is the axis's expression, e.g. "experts*r"."""

    axis: int
    symbols: str
    found: int
    expected: int


class Signature(NamedTuple):
    """The dims of a tensor, outermost first.

    A dim is a product of names and integers ("experts*r"), a quotient ("r/groups"), a splat of a name bound to a tuple
    ("*kernel"), or a formula ("in//block").
    """

    dims: tuple[str, ...]

    @classmethod
    def parse(cls, text: str | list[str]) -> Signature:
        """Dims are separated by spaces: "r in *kernel"; a list where formulas have spaces in them."""
        return cls(tuple(text.split() if isinstance(text, str) else text))

    def shape(self, sizes: Sizes) -> tuple[int, ...]:
        """The concrete shape; KeyError names a size that is not bound."""
        shape: list[int] = []
        for dim in self.dims:
            if dim.startswith("*"):
                run = sizes[dim[1:]]
                shape.extend(run if isinstance(run, tuple) else (run,))
            else:
                shape.append(_evaluate(dim, sizes))
        return tuple(shape)

    def conflicts(self, shape: tuple[int, ...], sizes: Sizes) -> list[Conflict] | None:
        """The axes on which `shape` differs from this signature; None when the number of axes differs."""
        expected = self.shape(sizes)
        if len(expected) != len(shape):
            return None
        named: list[str] = []
        for dim in self.dims:
            run = sizes[dim[1:]] if dim.startswith("*") else 0
            named.extend([dim.lstrip("*")] * (len(run) if isinstance(run, tuple) else 1))
        return [
            Conflict(axis, symbols, found, wanted)
            for axis, (symbols, found, wanted) in enumerate(zip(named, shape, expected, strict=True))
            if found != wanted
        ]


def _evaluate(dim: str, sizes: Sizes) -> int:
    if not _SIMPLE.match(dim):
        from adaptlint.shapes.expression import evaluate

        size: int = evaluate(dim, sizes)
        return size
    numerator, _, denominator = dim.partition("/")
    product = 1
    for factor in numerator.split("*"):
        product *= _size(factor, sizes)
    return product // _size(denominator, sizes) if denominator else product


def _size(name: str, sizes: Sizes) -> int:
    if name.isdecimal():
        return int(name)
    size = sizes[name]
    if isinstance(size, tuple):
        raise TypeError(f"{name} is bound to several sizes; write it as a splat")
    return size
