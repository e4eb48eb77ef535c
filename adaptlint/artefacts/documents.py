"""JSON files as PEFT reads them: Python's text-mode `open`, then `json.load`."""

from __future__ import annotations

import json

from adaptlint.artefacts.opening import pointer_facts, read_whole, stand_in
from adaptlint.artefacts.positions import Positions
from adaptlint.artefacts.words import LIMITS, Malformed, refusal
from adaptlint.findings import Fact, Place, Route

RECURSION_LIMIT = 1000  # CPython 3.11's default, which its JSON scanner obeys


class Document:
    """A parsed JSON file: of repeated keys the last wins, NaN and Infinity are accepted, as `json.load` does."""

    __slots__ = ("_duplicates", "_positions", "_repeats", "_text", "path", "value")

    def __init__(self, path: str, value: object, text: str, repeats: bool) -> None:
        self.path, self.value, self._text, self._repeats = path, value, text, repeats
        self._positions: Positions | None = None
        self._duplicates: tuple[Route, ...] | None = None

    @property
    def text(self) -> str:
        """The file's own text."""
        return self._text

    @property
    def duplicates(self) -> tuple[Route, ...]:
        """Routes of the keys that stand more than once in one object."""
        if self._duplicates is None:
            self._duplicates = Positions(self._text).duplicates() if self._repeats else ()
        return self._duplicates

    def place(self, route: Route) -> Place | None:
        """Line, column and bytes of the key (for an array: of the element) at `route`; None if there is none."""
        span = self._find().find(route)
        return None if span is None else self._find().place(span.key_start, span.key_end)

    def excerpt(self, route: Route) -> str:
        """`"key": value` as the file has it, on one line, cut to 160 characters; "" if there is none."""
        span = self._find().find(route)
        return "" if span is None else self._find().cut(span.key_start, span.value_end)

    def _find(self) -> Positions:
        if self._positions is None:
            self._positions = Positions(self._text)
        return self._positions


def read_json(path: str) -> Document | Malformed:
    """The JSON file at `path` (at most `LIMITS.json_bytes`). Never raises for what the file holds."""
    data = read_whole(path, LIMITS.json_bytes)
    return data if isinstance(data, Malformed) else parse_json(path, data)


def parse_json(path: str, data: bytes) -> Document | Malformed:
    """`data` as the content of the JSON file `path`."""
    try:
        text = data.decode()
    except UnicodeDecodeError as error:
        facts: dict[str, Fact] = {"byte": f"0x{data[error.start]:02x}", "position": error.start}
        return refusal(path, "not-utf8", ("UnicodeDecodeError", str(error)), **facts)
    refused = too_much(path, text)
    if refused is not None:
        return refused
    repeats: list[bool] = []

    def joined(pairs: list[tuple[str, object]]) -> dict[str, object]:
        members = dict(pairs)
        if len(members) != len(pairs):
            repeats.append(True)
        return members

    try:
        # Text mode turns \r\n and \r into \n; the parsed value cannot tell, positions in errors can.
        value = json.loads(text, object_pairs_hook=joined)
    except json.JSONDecodeError as error:
        return not_json(path, data, text, error)
    except RecursionError:
        return refusal(path, "json-too-deep", ("RecursionError", "maximum recursion depth exceeded"))
    except ValueError as error:  # more digits than Python turns into an integer
        return refusal(path, "json-number-too-long", ("ValueError", str(error)), message=str(error))
    return Document(path, value, text, bool(repeats))


def too_much(path: str, text: str) -> Malformed | None:
    """The refusal of a text that is nested too deeply or holds too many values, before it is parsed."""
    openings = text.count("[") + text.count("{")
    if openings > LIMITS.json_depth:
        depth = nesting(text)
        if depth > LIMITS.json_depth:
            error = ("RecursionError", "maximum recursion depth exceeded") if depth >= RECURSION_LIMIT else None
            return refusal(path, "json-too-deep", error, depth=depth, limit=LIMITS.json_depth)
    values = openings + text.count(",") + text.count(":")
    if values > LIMITS.json_values:
        return refusal(path, "json-too-many-values", values=values, limit=LIMITS.json_values)
    return None


def nesting(text: str) -> int:
    """How deep the brackets of a JSON text go; brackets inside strings do not count."""
    import re

    deepest = depth = 0
    for token in re.finditer(r'"[^"\\]*(?:\\.[^"\\]*)*"|[\[\]{}]', text, re.DOTALL):
        mark = token[0]
        if mark in ("[", "{"):
            depth += 1
            deepest = max(deepest, depth)
        elif mark in ("]", "}"):
            depth -= 1
    return deepest


def not_json(path: str, data: bytes, text: str, error: json.JSONDecodeError) -> Malformed:
    """A syntax error with `json.load`'s own words and numbers, and its place in the file as it is on disk."""
    shown = Positions(text)
    end = min(error.pos + 1, len(text))
    place = shown.place(error.pos, end)
    if "\r" in text:
        try:
            json.loads(text.replace("\r\n", "\n").replace("\r", "\n"))
        except json.JSONDecodeError as translated:
            error = translated
    reason = stand_in(data) or ("byte-order-mark" if text.startswith("\ufeff") else "json-syntax")
    if not data:
        reason = "empty-file"
    facts: dict[str, Fact] = {
        "message": error.msg,
        "line": error.lineno,
        "column": error.colno,
        "position": error.pos,
        "library_type": "JSONDecodeError",
        "library_error": str(error),
        **pointer_facts(data[:512]),
    }
    line_start = max(text.rfind("\n", 0, error.pos) + 1, error.pos - 60)
    line_end = text.find("\n", error.pos)
    excerpt = shown.cut(line_start, line_end if line_end >= 0 else len(text))
    return Malformed(path, reason, facts, place, excerpt)
