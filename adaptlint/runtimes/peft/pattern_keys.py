"""Many patterns of one field, asked which of them match a path: keys of rank_pattern, names of modules_to_save.

Such keys are mostly module paths. A path is a pattern in which each dot takes any character, so that it is found by its
length and its other characters; only what is left, such as `.*q_proj`, is a question for an engine.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from contextlib import suppress

from adaptlint.findings import Where
from adaptlint.hints import Any
from adaptlint.named_tuple import NamedTuple
from adaptlint.patterns import Pattern, prepare_together
from adaptlint.runtimes.peft.patterns import SEGMENT, SUFFIX, bounded, compiled
from adaptlint.runtimes.peft.refusal import NotModelled, Refusal

DOTTED = r".*\.{}$"  # get_pattern_key before 0.15: a pattern stands after a dot, up to the path's end
ANYWHERE = r".*?(?:{})"  # re.search: no more than the pattern itself, at whatever place
FORMS = {"suffix": SUFFIX, "dotted": DOTTED, "search": ANYWHERE}  # their names in the cards of methods
PATTERNS = 1000  # of one field that need an engine; more are not evaluated
_PATH = re.compile(r"[A-Za-z0-9_.]+\Z")


class _Loose(NamedTuple):
    """A pattern that is no path, and its place in the field."""

    place: int
    key: Any


class PatternKeys:
    """The patterns in their order; `form` says how PEFT embeds each of them."""

    __slots__ = ("_answers", "at", "form", "keys", "loose", "paths")

    def __init__(self, keys: Iterable[Any], form: str, at: Where) -> None:
        self.keys = list(keys)
        self.form = form
        self.at = at
        self.loose: list[_Loose] = []
        self.paths: dict[int, dict[tuple[int, ...], dict[str, list[int]]]] = {}  # by length, dots, other characters
        for index, key in enumerate(self.keys):
            text = str(key)
            if _PATH.match(text) and form != ANYWHERE:
                dots = tuple(i for i, letter in enumerate(text) if letter == ".")
                shaped = self.paths.setdefault(len(text), {}).setdefault(dots, {})
                shaped.setdefault(text.replace(".", ""), []).append(index)
            else:
                self.loose.append(_Loose(index, key))
        if len(self.loose) > PATTERNS:
            limit = f"it is one of {len(self.loose)} in its field"
            facts: dict[str, Any] = {"pattern": str(self.loose[0].key)[:200], "limit": limit}
            raise NotModelled("pattern-not-evaluated", at=self.where(self.loose[0].key), facts=facts)

    def where(self, key: Any) -> Where:
        """The spot of one key: its own entry in a table, the field where the keys are a list."""
        return self.at._replace(route=(*self.at.route, key)) if self.form != SEGMENT else self.at

    def prepare(self, paths: list[str]) -> None:
        """Evaluate all patterns that need a process of their own on all paths, in one process."""
        found = []
        for _, key in self.loose:
            with suppress(Refusal, NotModelled):  # told where PEFT meets the pattern, if it does
                found.append(self._pattern(key))
        prepare_together(found, paths, "match")

    def first(self, path: str) -> int | None:
        """The place of the first pattern that matches; what PEFT raises for a pattern on the way is raised."""
        known = min(self._named(path), default=len(self.keys))
        for index, key in self.loose:
            if index > known:
                break
            if self._matches(key, path):
                return index
        return known if known < len(self.keys) else None

    def alive(self, paths: Iterable[str]) -> set[int]:
        """The places of all patterns that match some path; one that cannot be evaluated counts as alive."""
        found: set[int] = set()
        for path in paths:
            found.update(self._named(path))
            for index, key in self.loose:
                if index not in found:
                    try:
                        if self._matches(key, path):
                            found.add(index)
                    except (Refusal, NotModelled):
                        found.add(index)
        return found

    def _named(self, path: str) -> Iterator[int]:
        """Places of the patterns that are paths and match."""
        if not self.paths:
            return
        for piece in pieces(path, self.form):
            for dots, shaped in self.paths.get(len(piece), {}).items():
                rest = piece if not dots else "".join(letter for i, letter in enumerate(piece) if i not in dots)
                yield from shaped.get(rest, ())

    def _pattern(self, key: Any) -> Pattern:
        return compiled(self.form.format(key), self.where(key), str(key))

    def _matches(self, key: Any, path: str) -> bool:
        return bounded(lambda: self._pattern(key).match(path), str(key), self.where(key))


def pieces(path: str, form: str) -> Iterator[str]:
    """The parts of a path that a pattern in this form has to match whole: endings, or any run of segments."""
    parts = path.split(".")
    starts = range(len(parts)) if form != DOTTED else range(1, len(parts))
    for start in starts:
        ends = range(start + 1, len(parts) + 1) if form == SEGMENT else (len(parts),)
        for end in ends:
            yield ".".join(parts[start:end])


__all__ = ["DOTTED", "FORMS", "SEGMENT", "SUFFIX", "PatternKeys"]
