"""The words of this room."""

from __future__ import annotations

from adaptlint.named_tuple import NamedTuple

SAFE, UNSAFE = "safe", "unsafe"
Shape = tuple[int, ...]


class RepairError(Exception):
    """A repair that cannot be done as asked; the message says why, and nothing was changed."""


class Inexact(Exception):
    """A conversion that would change what is computed; the message says why, as the end of "because ..."."""


class Piece(NamedTuple):
    """One tensor of the copy: its new name, type and shape, and the bytes [start, end) of the file they come from.

    `source` is its name there. `turned`: the file has the two axes of `shape` the other way round. `made` are the
    bytes of a tensor that is in no file, such as an alpha that the config has.
    """

    name: str
    dtype: str
    shape: Shape
    path: str
    start: int
    end: int
    source: str
    turned: bool = False
    made: bytes = b""

    @property
    def size(self) -> int:
        """Its bytes."""
        return len(self.made) or self.end - self.start
