"""Patterns by strangers: matched as PEFT's `re` does, and never for longer than a bound.

Target strings, excluded strings and the keys of rank_pattern, alpha_pattern and layers_pattern reach `re` in PEFT.
Plain names need no engine. Other patterns run in `re` only if their structure cannot backtrack for long on a module
path; the rest is not evaluated, which the caller is told by NotModelled.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Any

from adaptlint.findings import Where
from adaptlint.runtimes.peft.refusal import NotModelled, Refusal

PATTERN_LENGTH = 2_000  # characters; PEFT's own condensed target lists stay far below
OPEN_REPEATS = 4  # unbounded repeats in one pattern; 4 on a path of 150 characters is 20 million steps at worst
REPEAT_BOUND = 1_000

_WORD = re.compile(r"[A-Za-z0-9_]+\Z")


def is_plain(pattern: str) -> bool:
    """True if the pattern matches only itself."""
    return _WORD.match(pattern) is not None


def full_match(pattern: str, key: str, at: Where) -> bool:
    """`re.fullmatch(pattern, key)`; Refusal for what `re` refuses, NotModelled for what could run for long."""
    return pattern == key if is_plain(pattern) else compiled(pattern, at, pattern).fullmatch(key) is not None


def suffix_match(pattern: str, key: str, at: Where) -> bool:
    """PEFT's `get_pattern_key` (utils/other.py): the pattern matches a whole dotted suffix of the key."""
    if is_plain(pattern):
        return key == pattern or key.endswith("." + pattern)
    return compiled(rf"(.*\.)?({pattern})$", at, pattern).match(key) is not None


def segment_match(pattern: object, key: str, at: Where) -> bool:
    """PEFT's guard around modules_to_save (check_target_module_exists): the pattern matches whole segments."""
    text = str(pattern)
    if is_plain(text):
        return f".{text}." in f".{key}."
    return compiled(rf"(^|.*\.){text}($|\..*)", at, text).match(key) is not None


def layer_index(pattern: object, key: str, at: Where) -> int | None:
    """The layer number that PEFT reads after `pattern` (layers_pattern); an empty pattern takes any container."""
    text = str(pattern)
    source = rf"(?:^|.*?\.){text}\.(?P<idx>\d+)\." if text else r".*?\.[^.]*\.(?P<idx>\d+)\."
    match = compiled(source, at, text).match(key)
    return int(match["idx"]) if match else None


@lru_cache(maxsize=512)
def compiled(source: str, at: Where, shown: str) -> re.Pattern[str]:
    """The compiled pattern; `shown` is the stranger's part of it, as the file has it."""
    if len(source) > PATTERN_LENGTH:
        raise NotModelled("pattern-not-evaluated", at=at, facts={"pattern": shown[:200], "limit": "length"})
    try:
        tree = _parsed(source)
        if _open_repeats(tree, inside=False) > OPEN_REPEATS:
            raise NotModelled("pattern-not-evaluated", at=at, facts={"pattern": shown, "limit": "repeats"})
        return re.compile(source)
    except re.error as problem:
        raise Refusal("error", str(problem), "pattern-not-a-regex", at=at, facts={"pattern": shown}) from problem
    except (RecursionError, OverflowError) as problem:
        raise NotModelled("pattern-not-evaluated", at=at, facts={"pattern": shown, "limit": "depth"}) from problem


def _parsed(source: str) -> Any:
    import re._parser as parser  # type: ignore[import-not-found]

    return parser.parse(source)


def _open_repeats(tree: Any, inside: bool) -> int:
    """Repeats that can backtrack; a repeat or a choice inside one, or a backreference, is too many at once."""
    count = 0
    for operation, argument in tree:
        name = str(operation)
        if name in ("MAX_REPEAT", "MIN_REPEAT", "POSSESSIVE_REPEAT"):
            low, high, body = argument
            varies = low != high
            counted = int(high) <= REPEAT_BOUND and int(high) * max(1, len(body)) > REPEAT_BOUND
            if varies and (inside or counted):
                return OPEN_REPEATS + 1
            count += varies and int(high) > 1
            count += _open_repeats(body, inside or (varies and int(high) > 1))
        elif name == "GROUPREF" or (name == "BRANCH" and inside):
            return OPEN_REPEATS + 1
        elif name == "BRANCH":
            count += max(_open_repeats(part, inside) for part in _subtrees(argument))
        else:
            count += sum(_open_repeats(part, inside) for part in _subtrees(argument))
    return count


def _subtrees(argument: Any) -> list[Any]:
    """The sub-patterns inside an operation's argument, however `re` nests them."""
    if argument.__class__.__name__ == "SubPattern":
        return [argument]
    if isinstance(argument, (tuple, list)):
        return [tree for part in argument for tree in _subtrees(part)]
    return []
