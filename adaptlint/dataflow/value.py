"""What runs along an edge of the graph: a shape, the kind of its elements and how large its integers get."""

from __future__ import annotations

from adaptlint.named_tuple import NamedTuple

Shape = tuple[int, ...]


class Value(NamedTuple):
    """A tensor without its numbers.

    `bound`, where known, is the largest element. It is kept only where some input reaches it, so that an index
    above a table's rows is a fault and not an estimate. Floats that hold whole numbers may have one too.
    """

    shape: Shape
    kind: str = "float"
    bound: int | None = None


class Conflict(Exception):
    """The operation raises in torch: a slug, both shapes in words, and the shapes."""

    def __init__(self, kind: str, text: str, operands: tuple[Shape, ...] = ()) -> None:
        super().__init__(f"{kind}: {text}")
        self.kind = kind
        self.text = text
        self.operands = operands


class Unknown(Exception):
    """There is no certain answer; the text says why."""
