"""Tensors as an adapter's layer sees them: a shape, and what each row of the batch holds.

Every operation raises what torch raises, with its words (torch 2.13).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import pairwise

from adaptlint.named_tuple import NamedTuple
from adaptlint.runtimes.adapters.numbers import Sum, term

Shape = tuple[int, ...]
Pieces = tuple[tuple[int, Sum], ...]


class Raised(Exception):
    """What the library raises: the exception's own name, and its text."""

    def __init__(self, kind: str, text: str) -> None:
        super().__init__(f"{kind}: {text}")
        self.kind = kind
        self.text = text


class Rows(NamedTuple):
    """A tensor whose first axis falls into pieces: so many rows, each of the same numbers."""

    shape: Shape
    pieces: Pieces

    @property
    def number(self) -> int:
        """How many rows there are."""
        return self.shape[0]

    def starts(self) -> list[int]:
        """Where each piece begins."""
        found, at = [], 0
        for count, _ in self.pieces:
            found.append(at)
            at += count
        return found

    def at(self, row: int) -> Sum:
        """What one row holds."""
        for count, held in self.pieces:
            if row < count:
                return held
            row -= count
        return term("nothing")

    def holding(self, held: Sum, shape: Shape | None = None) -> Rows:
        """As many rows, all of the same."""
        return whole(shape or self.shape, held)


def whole(shape: Shape, held: Sum) -> Rows:
    """A tensor of one piece."""
    return Rows(shape, ((shape[0], held),) if shape[0] else ())


def cut(rows: Rows, start: int, stop: int) -> Rows:
    """Some of the rows, as a slice takes them."""
    start, stop = min(start, rows.number), max(min(stop, rows.number), min(start, rows.number))
    found, at = [], 0
    for count, held in rows.pieces:
        low, high = max(at, start), min(at + count, stop)
        if high > low:
            found.append((high - low, held))
        at += count
    return Rows((stop - start, *rows.shape[1:]), tuple(found))


def tiled(rows: Rows, times: int, axes: int) -> Rows:
    """`repeat(times, 1, 1)`: with ones for so many further axes, of which a tensor may not have more."""
    if len(rows.shape) > axes + 1:
        text = "Number of dimensions of repeat dims can not be smaller than number of dimensions of tensor"
        raise Raised("RuntimeError", text)
    missing = axes + 1 - len(rows.shape)
    if missing:  # further axes come in front, and the rows are no longer the first of them
        return whole((times,) + (1,) * (missing - 1) + rows.shape, term("tiled", rows.pieces))
    return Rows((rows.number * times, *rows.shape[1:]), rows.pieces * times)


def joined(parts: Sequence[Rows], axis: int = 0) -> Rows:
    """`torch.cat`; an empty tensor of one axis is passed over."""
    first = parts[0]
    for number, part in enumerate(parts[1:], 1):
        if len(part.shape) != len(first.shape):
            raise Raised(
                "RuntimeError",
                f"Tensors must have same number of dimensions: got {len(first.shape)} and {len(part.shape)}",
            )
        for at, (one, other) in enumerate(zip(first.shape, part.shape, strict=True)):
            if at != axis and one != other:
                raise Raised(
                    "RuntimeError",
                    f"Sizes of tensors must match except in dimension {axis}. Expected size {one} but got size {other}"
                    f" for tensor number {number} in the list.",
                )
    size = sum(part.shape[axis] for part in parts)
    shape = (*first.shape[:axis], size, *first.shape[axis + 1 :])
    if axis == 0:
        return Rows(shape, tuple(piece for part in parts for piece in part.pieces))
    return Rows(shape, _together(lambda *held: term("joined", *held), parts))


def stacked(parts: Sequence[Rows]) -> None:
    """Checks what `torch.stack` asks for: all of one shape."""
    for number, part in enumerate(parts[1:], 1):
        if part.shape != parts[0].shape:
            raise Raised(
                "RuntimeError",
                f"stack expects each tensor to be equal size, but got {list(parts[0].shape)} at entry 0 and"
                f" {list(part.shape)} at entry {number}",
            )


def together(function: Callable[..., Sum], one: Rows, other: Rows) -> Rows:
    """Two tensors element by element, stretched to one shape."""
    return Rows(stretched(one.shape, other.shape), _together(function, (one, other)))


def mapped(function: Callable[[Sum], Sum], rows: Rows, shape: Shape | None = None) -> Rows:
    """Every row by itself."""
    return Rows(shape or rows.shape, tuple((count, function(held)) for count, held in rows.pieces))


def stretched(one: Shape, other: Shape) -> Shape:
    """The shape that both stretch to, in the words of torch where there is none."""
    rank = max(len(one), len(other))
    left, right = (1,) * (rank - len(one)) + one, (1,) * (rank - len(other)) + other
    for at in range(rank - 1, -1, -1):
        if left[at] != right[at] and 1 not in (left[at], right[at]):
            raise Raised(
                "RuntimeError",
                f"The size of tensor a ({left[at]}) must match the size of tensor b ({right[at]}) at non-singleton"
                f" dimension {at}",
            )
    return tuple(b if a == 1 else a for a, b in zip(left, right, strict=True))


def _together(function: Callable[..., Sum], parts: Sequence[Rows]) -> Pieces:
    """Pieces that end where any of these ends; a single row is that of all."""
    total = max((part.number for part in parts if part.shape), default=0)
    if any(part.shape and part.number == 0 for part in parts):
        return ()
    ends = {0, total}
    for part in parts:
        if part.number == total:
            ends |= set(part.starts())
    found, marks = [], sorted(ends)
    for low, high in pairwise(marks):
        held = [part.at(low if part.number == total else 0) for part in parts]
        found.append((high - low, function(*held)))
    return tuple(found)
