"""Which public bases have layers of given widths; the figures are known.toml."""

from __future__ import annotations

from collections.abc import Iterator

from adaptlint import tables
from adaptlint.named_tuple import NamedTuple

TABLE = "bases/known.toml"


class Width(NamedTuple):
    """One kind of module: the path of its stack of layers, its own name, features in and out."""

    stack: str
    name: str
    given: int
    taken: int


class KnownBase(NamedTuple):
    """One row of the table."""

    name: str
    model_type: str
    hidden: int
    inner: int
    heads: int
    key_values: int
    head_size: int
    layers: int
    vocabulary: int

    def size(self, role: str) -> int:
        """The features that a role stands for: "h", "i", "q", "k", or several of them side by side."""
        queries, key_values = self.heads * self.head_size, self.key_values * self.head_size
        sizes = {"h": self.hidden, "i": self.inner, "q": queries, "k": key_values}
        return sum(sizes[letter] for letter in role)


def bases_of(widths: set[Width], layers: int) -> list[str]:
    """The bases all of whose named modules have these widths, those with that many layers first.

    Modules that no role is known of are passed over; without at least one that is, nothing fits.
    """
    found = [(known.layers != layers, known.name) for known in _rows() if _fits(known, widths)]
    exact = [name for other, name in found if not other]
    return exact or [name for _, name in found]


def _rows() -> Iterator[KnownBase]:
    return (KnownBase(*row) for row in tables.load()[TABLE]["rows"])


def _fits(known: KnownBase, widths: set[Width]) -> bool:
    roles = next(r for r in tables.load()[TABLE]["roles"].values() if known.model_type in r["model_types"])
    asked = [width for width in widths if width.name in roles and width.name not in ("model_types", "stacks")]
    return bool(asked) and all(
        width.stack.endswith(tuple(roles["stacks"]))
        and (known.size(roles[width.name][0]), known.size(roles[width.name][1])) == (width.given, width.taken)
        for width in asked
    )
