"""Compositions as AdapterHub writes them: "Parallel(a, Stack(b, c))", read with the place of every word.

Facts: adapters 1.3.0, composition.py (blocks, `first`, `last`, `parallel_channels`, `__repr__`).
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping

from adaptlint.hints import Any
from adaptlint.named_tuple import NamedTuple

SETTINGS: dict[str, tuple[str, ...]] = {
    "Stack": (),
    "Fuse": ("name",),
    "Split": ("splits",),
    "BatchSplit": ("batch_sizes",),
    "Parallel": (),
    "Average": ("weights", "normalize_weights"),
    "MultiTask": (),
}
IN_PEFT: dict[str, tuple[str, ...]] = {
    "Arrow": ("general", "top_k", "router_temperature", "rng_seed"),
    "MultiTask": ("task_ids",),
}
"""What the target peft has beside these, or otherwise (docs/decisions/0013-compositions-in-peft.md)."""
KINDS: dict[str, type | tuple[type, ...]] = {
    "name": str,
    "general": str,
    "normalize_weights": bool,
    "weights": (int, float),
    "router_temperature": (int, float),
}
"""Of what type the values of a setting are; of the others they are whole numbers."""
SINGLE = ("name", "normalize_weights", "top_k", "router_temperature", "rng_seed")
LISTED = ("weights",)
REQUIRED = {"Split": "splits", "BatchSplit": "batch_sizes"}
MAX_TEXT = 4096
MAX_DEPTH = 16
TOKEN = re.compile(
    r"\s*(?:([A-Za-z_][\w.-]{0,199})|(-?\d{1,9}(?:\.\d{1,9})?)|'([^']{0,200})'|\"([^\"]{0,200})\"|([(),=\[\]]))"
)


class ExpressionError(ValueError):
    """A text that is no composition: what is wrong, and the column (from 1 on) where."""

    def __init__(self, problem: str, column: int) -> None:
        super().__init__(f"{problem} (column {column})")
        self.problem = problem
        self.column = column


class Block(NamedTuple):
    """One block or, with the kind "", one adapter's name; `settings` as they were written."""

    kind: str
    name: str = ""
    children: tuple[Block, ...] = ()
    settings: tuple[tuple[str, Any], ...] = ()
    column: int = 0

    @property
    def channels(self) -> int:
        """`parallel_channels`: children of a Parallel, the most of any child elsewhere."""
        if self.kind == "Parallel":
            return len(self.children)
        return max((child.channels for child in self.children), default=1)

    @property
    def fusion(self) -> str:
        """The name of the fusion layer that a Fuse looks for."""
        return str(self.setting("name") or ",".join(child.last for child in self.children))

    @property
    def first(self) -> str:
        """The name of the first adapter, however deep."""
        return self.name if not self.kind else self.children[0].first if self.children else ""

    @property
    def last(self) -> str:
        """The name of the last adapter, however deep."""
        return self.name if not self.kind else self.children[-1].last if self.children else ""

    def setting(self, name: str) -> Any:
        """A setting by its name, None where it is not given."""
        return dict(self.settings).get(name)

    def sizes(self, name: str) -> list[int]:
        """`batch_sizes` or `splits`: one for each child, given once or as a list."""
        given = self.setting(name)
        return [int(size) for size in given] if isinstance(given, list) else [int(given)] * len(self.children)

    def leaves(self) -> Iterator[Block]:
        """Every adapter in order, as often as it is named."""
        if not self.kind:
            yield self
        for child in self.children:
            yield from child.leaves()

    def blocks(self) -> Iterator[Block]:
        """This block and every one inside."""
        if self.kind:
            yield self
        for child in self.children:
            yield from child.blocks()

    def names(self) -> frozenset[str]:
        """`flatten`: the adapters that are named."""
        return frozenset(leaf.name for leaf in self.leaves())

    def __str__(self) -> str:
        """As the library prints it: `Parallel[a, Stack[b, c]]`."""
        return self.name if not self.kind else f"{self.kind}[{', '.join(map(str, self.children))}]"


def leaf(name: str) -> Block:
    """One adapter."""
    return Block("", name)


def stack(*children: Block) -> Block:
    """Adapters one after the other."""
    return Block("Stack", children=children)


def read_composition(text: str, in_peft: bool = False) -> Block:
    """The composition that a text writes; one name alone is a Stack of it. Raises ExpressionError.

    With `in_peft` it may have the words that PEFT alone has.
    """
    if len(text) > MAX_TEXT:
        raise ExpressionError(f"a composition of more than {MAX_TEXT} characters", MAX_TEXT + 1)
    reader = _Reader(text, {**SETTINGS, **IN_PEFT} if in_peft else SETTINGS)
    found = reader.block(0)
    reader.end()
    return found if found.kind else Block("Stack", children=(found,), column=found.column)


def drawn(setup: Block, rows: int | str) -> dict[str, list[dict[str, object]]]:
    """`nodes` and `edges` of a report's composition: blocks, adapters, and the rows that each is given of `rows`."""
    told: dict[str, list[dict[str, object]]] = {"nodes": [], "edges": []}
    _draw(setup, "0", rows, told)
    return told


def _draw(block: Block, at: str, rows: int | str, told: dict[str, list[dict[str, object]]]) -> None:
    name = block.name or None
    told["nodes"].append({"id": at, "kind": block.kind or "adapter", "adapter": name, "module": None})
    sizes = block.sizes("batch_sizes") if block.kind == "BatchSplit" else [rows] * len(block.children)
    for number, (child, share) in enumerate(zip(block.children, sizes, strict=False)):
        told["edges"].append({"from": at, "to": f"{at}.{number}", "dims": [share], "conflict": None})
        _draw(child, f"{at}.{number}", share, told)


class _Word(NamedTuple):
    kind: str  # name, number, text, sign or end
    value: Any
    column: int


class _Reader:
    """The words of an expression, one by one."""

    def __init__(self, text: str, blocks: Mapping[str, tuple[str, ...]]) -> None:
        self.words = [*_words(text)]
        self.blocks = blocks
        self.at = 0

    def take(self, value: str | None = None) -> _Word:
        """The next word; it has to be this sign if one is given."""
        word = self.words[self.at]
        if value is not None and (word.kind, word.value) != ("sign", value):
            raise ExpressionError(f"{_told(word)} where {value!r} is expected", word.column)
        self.at += word.kind != "end"
        return word

    def sees(self, value: str) -> bool:
        """Whether the next word is this sign."""
        word = self.words[self.at]
        return word.kind == "sign" and word.value == value

    def end(self) -> None:
        """Nothing may follow."""
        word = self.words[self.at]
        if word.kind != "end":
            raise ExpressionError(f"{_told(word)} after the end of the composition", word.column)

    def block(self, depth: int) -> Block:
        """A block or a name."""
        word = self.take()
        if depth > MAX_DEPTH:
            raise ExpressionError(f"blocks more than {MAX_DEPTH} deep", word.column)
        if word.kind not in ("name", "text"):
            raise ExpressionError(f"{_told(word)} where an adapter or a block is expected", word.column)
        if word.kind == "text" or not self.sees("("):
            return Block("", str(word.value), column=word.column)
        if word.value not in self.blocks:
            raise ExpressionError(f"{word.value} is no block{_meant(word.value, self.blocks)}", word.column)
        return self._inside(word, depth)

    def _inside(self, word: _Word, depth: int) -> Block:
        self.take("(")
        children: list[Block] = []
        settings: list[tuple[str, Any]] = []
        while not self.sees(")"):
            ahead = self.words[self.at + 1] if self.at + 1 < len(self.words) else None
            if ahead is not None and (ahead.kind, ahead.value) == ("sign", "="):
                settings.append(self._setting(word.value, settings))
            elif settings:
                raise ExpressionError("an adapter after a setting", self.words[self.at].column)
            else:
                children.append(self.block(depth + 1))
            if not self.sees(")"):
                self.take(",")
        self.take(")")
        needed = REQUIRED.get(word.value)
        if needed and needed not in dict(settings):
            raise ExpressionError(f"{word.value} without {needed}", word.column)
        if not children:
            raise ExpressionError(f"{word.value} of no adapters", word.column)
        return Block(word.value, "", tuple(children), tuple(settings), word.column)

    def _setting(self, block: str, settings: list[tuple[str, Any]]) -> tuple[str, Any]:
        word = self.take()
        if word.value not in self.blocks[block] or word.value in dict(settings):
            raise ExpressionError(f"{block} has no setting {word.value!r} here", word.column)
        self.take("=")
        return str(word.value), self._value(block, str(word.value))

    def _value(self, block: str, name: str) -> Any:
        word = self.words[self.at]
        if self.sees("["):
            value: Any = self._list()
        else:
            value = self._one()
        numbers = value if isinstance(value, list) else [value]
        if name == "normalize_weights" and value in ("True", "False"):
            return value == "True"
        misplaced = name in (SINGLE if isinstance(value, list) else LISTED)
        if misplaced or not numbers or not all(isinstance(one, KINDS.get(name, int)) for one in numbers):
            raise ExpressionError(f"{value!r} is no value for {name} of {block}", word.column)
        return value

    def _one(self) -> Any:
        word = self.take()
        if word.kind in ("sign", "end"):
            raise ExpressionError(f"{_told(word)} where a value is expected", word.column)
        return word.value

    def _list(self) -> list[Any]:
        self.take("[")
        found = []
        while not self.sees("]"):
            found.append(self._one())
            if not self.sees("]"):
                self.take(",")
        self.take("]")
        return found


def _words(text: str) -> Iterator[_Word]:
    at = 0
    while text[at:].strip():
        found = TOKEN.match(text, at)
        if found is None:
            at += len(text[at:]) - len(text[at:].lstrip())
            raise ExpressionError(f"{text[at]!r} belongs in no composition", at + 1)
        index = found.lastindex or 1
        value: Any = found.group(index)
        if index == 2:
            value = float(value) if "." in value else int(value)
        kind = ("name", "number", "text", "text", "sign")[index - 1]
        yield _Word(kind, value, found.start(index) + (1 if index not in (3, 4) else 0))
        at = found.end()
    yield _Word("end", "", len(text) + 1)


def _told(word: _Word) -> str:
    return "the end" if word.kind == "end" else repr(word.value)


def _meant(name: str, blocks: Iterable[str]) -> str:
    known = next((each for each in blocks if each.lower() == name.lower()), "")
    return f" (is {known} meant?)" if known else f"; blocks are {', '.join(blocks)}"
