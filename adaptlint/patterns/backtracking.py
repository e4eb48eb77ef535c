"""Whether Python's `re` would backtrack without end: its own way of matching, walked with a count of steps.

RE2 answers such patterns in no time, but PEFT hands them to `re`, which tries every way to divide a name between nested
repeats. The parse tree is `re`'s own; what stands in it beyond characters, classes, groups, branches and repeats is not
judged. `re` skips some steps that are counted here, so only patterns whose ways multiply are asked about at all.
"""

from __future__ import annotations

import re
import warnings
from collections.abc import Callable, Sequence
from functools import lru_cache

from adaptlint.hints import Any
from adaptlint.patterns.bounds import PATTERN_LENGTH, STEPS

Go = Callable[[int], bool]  # the rest of the match, from a position on
REPEATS = ("MAX_REPEAT", "MIN_REPEAT")
MANY = 4  # so many repeats of one thing can be divided in ways that multiply
SEQUENCE = 6  # so many repeats in a row take the sixth power of a name's length


class _Exhausted(Exception):
    """The steps are used up."""


class _Unsupported(Exception):
    """The tree holds what is not judged."""


def backtracks_on(source: str, names: Sequence[str]) -> str | None:
    """The first name on which `re.match(source, name)` takes more than STEPS steps; None if there is none."""
    tree = _tree(source)
    if tree is None or not (_multiplies(tree) or _repeats(tree) >= SEQUENCE):
        return None
    for name in names:
        walk = _Walk(name)
        try:
            walk.sequence(list(tree), 0, walk.is_over)(0)
        except _Exhausted:
            return name
        except (_Unsupported, RecursionError):
            return None
    return None


@lru_cache(maxsize=64)
def _tree(source: str) -> Any:
    """The parse tree of `re`; None where `re` refuses the pattern, or has no parser to ask."""
    parser = getattr(re, "_parser", None)
    if parser is None or len(source) > PATTERN_LENGTH:
        return None
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return parser.parse(source)
    except (re.error, RecursionError, OverflowError):
        return None


def _parts(argument: Any) -> list[Any]:
    """The trees below one node's argument."""
    found = []
    for item in argument if isinstance(argument, (tuple, list)) else (argument,):
        if hasattr(item, "getwidth"):
            found.append(item)
        elif isinstance(item, list):
            found.extend(_parts(item))
    return found


def _repeats(tree: Any) -> int:
    """How many open repeats stand in the tree."""
    return sum(
        (str(code) in REPEATS and argument[1] - argument[0] >= MANY) + sum(map(_repeats, _parts(argument)))
        for code, argument in tree
    )


def _multiplies(tree: Any, inside: bool = False) -> bool:
    """True if a repeat or a choice stands inside an open repeat."""
    for code, argument in tree:
        name = str(code)
        opens = name in REPEATS and argument[1] - argument[0] >= MANY
        if inside and (opens or name == "BRANCH"):
            return True
        if any(_multiplies(part, inside or opens) for part in _parts(argument)):
            return True
    return False


class _Walk:
    """One walk over one name."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.steps = 0

    def is_over(self, at: int) -> bool:
        """Nothing of the name is left."""
        return at == len(self.name)

    def sequence(self, nodes: list[Any], index: int, rest: Go) -> Go:
        """The nodes from `index` on, then the rest."""
        if index == len(nodes):
            return rest
        return lambda at: self.node(nodes[index], at, self.sequence(nodes, index + 1, rest))

    def node(self, node: Any, at: int, rest: Go) -> bool:
        """Match one node at a position, and then the rest."""
        self.steps += 1
        if self.steps > STEPS:
            raise _Exhausted
        code, argument = str(node[0]), node[1]
        if code in REPEATS:
            return self.repeat(code, argument, 0, at, rest, -1)
        if code == "SUBPATTERN":
            return self.sequence(list(argument[-1]), 0, rest)(at)
        if code == "BRANCH":
            return any(self.sequence(list(branch), 0, rest)(at) for branch in argument[1])
        if code == "AT":
            return _stands(str(argument), at, len(self.name)) and rest(at)
        return at < len(self.name) and _takes(code, argument, self.name[at]) and rest(at + 1)

    def repeat(self, code: str, argument: Any, done: int, at: int, rest: Go, before: int) -> bool:
        """One more round and then the rest, or the other way round where the repeat is lazy."""
        least, most, body = argument

        def again() -> bool:
            if done >= most or (done >= least and at == before):
                return False
            return self.sequence(list(body), 0, lambda then: self.repeat(code, argument, done + 1, then, rest, at))(at)

        if done < least:
            return again()
        return again() or rest(at) if code == "MAX_REPEAT" else rest(at) or again()


def _stands(place: str, at: int, end: int) -> bool:
    """Anchors; names have no newline."""
    if place in ("AT_BEGINNING", "AT_BEGINNING_STRING"):
        return at == 0
    if place in ("AT_END", "AT_END_STRING"):
        return at == end
    raise _Unsupported(place)


def _takes(code: str, argument: Any, letter: str) -> bool:
    """True if one character fits."""
    if code == "LITERAL":
        return bool(ord(letter) == argument)
    if code == "NOT_LITERAL":
        return bool(ord(letter) != argument)
    if code == "ANY":
        return True
    if code == "RANGE":
        return bool(argument[0] <= ord(letter) <= argument[1])
    if code == "CATEGORY":
        return _CATEGORIES[str(argument)](letter)
    if code == "IN":
        negated = str(argument[0][0]) == "NEGATE"
        return negated != any(_takes(str(kind), value, letter) for kind, value in argument[negated:])
    raise _Unsupported(code)


_CATEGORIES: dict[str, Callable[[str], bool]] = {
    "CATEGORY_DIGIT": str.isdecimal,
    "CATEGORY_NOT_DIGIT": lambda letter: not letter.isdecimal(),
    "CATEGORY_SPACE": str.isspace,
    "CATEGORY_NOT_SPACE": lambda letter: not letter.isspace(),
    "CATEGORY_WORD": lambda letter: letter.isalnum() or letter == "_",
    "CATEGORY_NOT_WORD": lambda letter: not (letter.isalnum() or letter == "_"),
}
