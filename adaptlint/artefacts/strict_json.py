"""JSON as serde_json reads it: what Python's `json` takes beyond that is told in serde_json's words."""

from __future__ import annotations

import json

from adaptlint.findings import Fact

USIZE = 1 << 64
RECURSION_LIMIT = 127  # serde_json allows 128 levels, the header's own object is one
IN_JSON = "invalid JSON in header: "

Node = object


class Members(tuple[tuple[str, object], ...]):
    """A JSON object with every key it has, repeated ones too, in order."""

    __slots__ = ()


class Inexact(str):
    """A number that serde_json holds as a float: fractions, exponents, -0, and integers beyond 64 bits."""

    __slots__ = ()


class HeaderError(Exception):
    """The library's error while it reads the header: reason slug, its message, the entry at fault."""

    def __init__(self, reason: str, message: str, name: str | None = None, **facts: Fact) -> None:
        super().__init__(message)
        self.reason, self.message, self.name, self.facts = reason, message, name, facts


def parse(text: str) -> Members:
    """The header as serde_json sees it, or the error that it raises while the stream passes."""
    if not text.strip(" \t\r\n"):
        raise HeaderError("header-not-json", IN_JSON + "EOF while parsing a value")

    def number(digits: str) -> object:
        if len(digits) > 308:  # beyond what even a float holds
            raise HeaderError("header-not-json", IN_JSON.rstrip())
        value = int(digits)
        return Inexact(digits) if digits == "-0" or not -(USIZE >> 1) <= value < USIZE else value

    def fraction(digits: str) -> Inexact:
        if float(digits) in (float("inf"), float("-inf")):
            raise HeaderError("header-not-json", IN_JSON.rstrip())
        return Inexact(digits)

    def constant(_: str) -> object:
        raise HeaderError("header-not-json", IN_JSON.rstrip())

    value = json.loads(text, object_pairs_hook=Members, parse_int=number, parse_float=fraction, parse_constant=constant)
    if "\\u" in text:
        no_surrogates(value)
    if depth_beyond(value, RECURSION_LIMIT):
        raise HeaderError("header-not-json", IN_JSON + "recursion limit exceeded")
    if not isinstance(value, Members):
        reason = "header-not-an-object"
        raise HeaderError(reason, IN_JSON + unfit(value, "struct HashMetadata"))
    return value


def no_surrogates(value: Node) -> None:
    """serde_json refuses escaped lone surrogates, which Python accepts."""
    waiting = [value]
    while waiting:
        node = waiting.pop()
        if isinstance(node, Members):
            waiting += [part for pair in node for part in pair]
        elif isinstance(node, list):
            waiting += node
        elif isinstance(node, str) and any("\ud800" <= char <= "\udfff" for char in node):
            raise HeaderError("header-not-json", IN_JSON.rstrip())


def depth_beyond(value: Node, limit: int) -> bool:
    """True if containers nest deeper than `limit`."""
    level = [value]
    for _ in range(limit + 1):
        inner: list[Node] = []
        for node in level:
            if isinstance(node, Members):
                inner += [item for _, item in node]
            elif isinstance(node, list):
                inner += node
        level = [node for node in inner if isinstance(node, (Members, list))]
        if not level:
            return False
    return True


def unfit(value: Node, expected: str) -> str:
    """serde's words for a value of the wrong type, cut before what Rust and Python spell differently."""
    if isinstance(value, Inexact):
        return "invalid type: floating point"
    if isinstance(value, bool):
        return f"invalid type: boolean `{str(value).lower()}`, expected {expected}"
    if isinstance(value, int):
        kind = "value" if expected == "usize" else "type"  # a negative one, else it would have fitted
        return f"invalid {kind}: integer `{value}`, expected {expected}"
    if isinstance(value, str):
        plain = value.isalnum() and value.isascii()
        return f'invalid type: string "{value}", expected {expected}' if plain else "invalid type: string"
    word = "null" if value is None else "map" if isinstance(value, Members) else "sequence"
    return f"invalid type: {word}, expected {expected}"
