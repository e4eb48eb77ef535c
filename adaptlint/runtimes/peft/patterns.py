"""PEFT's uses of strangers' patterns: how each field of the config is matched against a module's path (0.21.2)."""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import lru_cache

from adaptlint.findings import Where
from adaptlint.hints import TypeVar
from adaptlint.patterns import Pattern, UnboundedPattern, compile_pattern, has_repeats, is_plain
from adaptlint.runtimes.peft.refusal import NotModelled, Refusal

Answer = TypeVar("Answer")
SUFFIX, SEGMENT = r"(.*\.)?({})$", r"(^|.*\.){}($|\..*)"


def full_match(pattern: str, key: str, at: Where) -> bool:
    """`re.fullmatch(pattern, key)`; Refusal for what `re` refuses, NotModelled for what could run for long."""
    if is_plain(pattern):
        return pattern == key
    return bounded(lambda: compiled(pattern, at, pattern).fullmatch(key), pattern, at)


def segment_match(pattern: object, key: str, at: Where) -> bool:
    """PEFT's guard around modules_to_save (check_target_module_exists): the pattern matches whole segments."""
    text = str(pattern)
    if is_plain(text):
        return f".{text}." in f".{key}."
    return bounded(lambda: compiled(SEGMENT.format(text), at, text).match(key), text, at)


def layer_index(pattern: object, key: str, at: Where) -> int | None:
    """The layer number that PEFT reads after `pattern` (layers_pattern); an empty pattern takes any container."""
    text = str(pattern)
    source = rf"(?:^|.*?\.){text}\.(?P<idx>\d+)\." if text else r".*?\.[^.]*\.(?P<idx>\d+)\."
    index = bounded(lambda: compiled(source, at, text).group(key, "idx"), text, at)
    return None if index is None else int(index)


def last_layer_index(pattern: object, key: str, at: Where) -> int | None:
    """The layer number before 0.20: the last that follows `pattern`; an empty pattern takes any container."""
    text = str(pattern)
    source = rf".*\.{text or '[^.]*'}\.(?P<idx>\d+)\."
    index = bounded(lambda: compiled(source, at, text).group(key, "idx"), text, at)
    return None if index is None else int(index)


def common_layer_index(pattern: object, key: str, at: Where) -> int | None:
    """The layer number before 0.8: the last that follows `pattern`, which any character may stand before."""
    text = str(pattern)
    index = bounded(lambda: compiled(rf".*.{text}\.(?P<idx>\d+)\.*", at, text).group(key, "idx"), text, at)
    return None if index is None else int(index)


def prepare(pattern: str, keys: list[str], at: Where) -> None:
    """Evaluate a target string for all module paths at once; afterwards `full_match` only looks the answers up."""
    if not is_plain(pattern):
        bounded(lambda: compiled(pattern, at, pattern).prepare(keys), pattern, at)


def bounded(question: Callable[[], Answer], shown: str, at: Where) -> Answer:
    """The answer, or NotModelled when it cannot be had in bounds."""
    try:
        return question()
    except UnboundedPattern as problem:
        facts = {"pattern": shown[:200], "limit": str(problem)}
        raise NotModelled("pattern-not-evaluated", at=at, facts=facts) from problem


@lru_cache(maxsize=2048)
def compiled(source: str, at: Where, shown: str) -> Pattern:
    """The compiled pattern; `shown` is the stranger's part of it, as the file has it."""
    try:
        return compile_pattern(source, not has_repeats(shown))
    except re.error as problem:
        raise Refusal("error", str(problem), "pattern-not-a-regex", at=at, facts={"pattern": shown}) from problem
