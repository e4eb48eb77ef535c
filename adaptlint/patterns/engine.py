"""Which engine may run a pattern: RE2 in linear time where it says exactly what `re` says, else `re` in a child.

RE2 differs from `re` on characters beyond ASCII, on "{,n}" and on "[[:name:]]", and refuses lookarounds,
backreferences, `\\Z`, possessive and large repeats. Patterns with any of these run in `re` itself, in a process that is
stopped after CHILD_SECONDS. Names are module paths: without a newline, so that "$" means the same in both.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from functools import lru_cache

from adaptlint.hints import Any
from adaptlint.patterns.bounds import NAME_LENGTH, PATTERN_LENGTH, RE2_BYTES, UnboundedPattern
from adaptlint.patterns.child import TOO_SLOW, ask

_WORD = re.compile(r"[A-Za-z0-9_]+\Z")
_RISKY = ("{,", "[[:")


def is_plain(pattern: str) -> bool:
    """True if the pattern matches only itself."""
    return _WORD.match(pattern) is not None


def has_repeats(pattern: str) -> bool:
    """True if the pattern could repeat anything; without repeats `re` itself takes linear time."""
    return any(mark in pattern for mark in "*+?{")


@lru_cache(maxsize=2048)
def compile_pattern(source: str, harmless: bool = False) -> Pattern:
    """The pattern, ready to match; raises re.error as `re` does, UnboundedPattern for what is too large.

    `harmless`: the stranger's part of it has no repeats, so `re` may run it here.
    """
    if len(source) > PATTERN_LENGTH:
        raise UnboundedPattern("it is too long")
    try:
        compiled = re.compile(source)
    except (RecursionError, OverflowError) as problem:
        raise UnboundedPattern("it is nested too deeply") from problem
    return Pattern(source, compiled if harmless else None)


class Pattern:
    """A pattern that is valid for `re`. `match` anchors at the name's start, `fullmatch` at both ends."""

    __slots__ = ("_answers", "_linear", "_refused", "_takes_all", "source")

    def __init__(self, source: str, here: re.Pattern[str] | None = None) -> None:
        self.source = source
        self._linear = _linear(source) if here is None else here
        self._takes_all = here is not None
        self._answers: dict[tuple[str, str], bool] = {}
        self._refused = ""  # why `re` in a child gave no answer

    @property
    def is_linear(self) -> bool:
        """True if the linear-time engine answers."""
        return self._linear is not None

    def fullmatch(self, name: str) -> bool:
        """`re.fullmatch(pattern, name) is not None`."""
        return self._ask("fullmatch", name)

    def match(self, name: str) -> bool:
        """`re.match(pattern, name) is not None`."""
        return self._ask("match", name)

    def group(self, name: str, group: str) -> str | None:
        """`re.match(pattern, name)[group]`, None without a match; UnboundedPattern where only a child could tell."""
        if not self._fits(name):
            raise UnboundedPattern("its groups are read only by a linear-time engine")
        match = self._linear.match(name)
        found: str | None = None if match is None else match[group]
        return found

    def prepare(self, names: Iterable[str], how: str = "fullmatch") -> None:
        """Evaluate many names at once: without the linear engine, one child process answers for all of them."""
        prepare_together([self], names, how)
        if self._refused:
            raise UnboundedPattern(self._refused)

    def _fits(self, name: str) -> bool:
        return self._linear is not None and (self._takes_all or name.isascii())

    def _ask(self, how: str, name: str) -> bool:
        if self._fits(name):
            return getattr(self._linear, how)(name) is not None
        if (how, name) not in self._answers:
            if len(name) > NAME_LENGTH:
                raise UnboundedPattern("the name is too long")
            if self._refused:
                raise UnboundedPattern(self._refused)
            self.prepare([name], how)
        return self._answers[how, name]


def prepare_together(patterns: Sequence[Pattern], names: Iterable[str], how: str) -> None:
    """Evaluate many patterns on many names, those beyond the linear engine in one child process.

    What it could not tell in time is refused afterwards, when it is asked for.
    """
    names = list(names)
    open_ones = []
    for pattern in patterns:
        wanted = [name for name in names if (how, name) not in pattern._answers and not pattern._fits(name)]
        if wanted and not pattern._refused:
            open_ones.append((pattern, wanted))
    if not open_ones:
        return
    try:
        answers = ask([(pattern.source, wanted) for pattern, wanted in open_ones], how)
        reason = TOO_SLOW
    except UnboundedPattern as problem:
        answers, reason = [], str(problem)
    for (pattern, wanted), answer in zip(open_ones, answers, strict=False):
        pattern._answers.update({(how, name): told for name, told in zip(wanted, answer, strict=True)})
    for pattern, _ in open_ones[len(answers) :]:
        pattern._refused = reason


def _linear(source: str) -> Any:
    """The RE2 pattern, or None where RE2 refuses, differs, or is not installed."""
    if not source.isascii() or any(mark in source for mark in _RISKY):
        return None
    try:
        import re2
    except ImportError:
        return None
    options = re2.Options()
    options.log_errors = False
    options.max_mem = RE2_BYTES
    try:
        return re2.compile(source, options)
    except re2.error:
        return None
