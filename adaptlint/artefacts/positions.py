"""Where in a JSON text an entry stands. Only looked for when something is said about it; the text is known to parse."""

from __future__ import annotations

from adaptlint.artefacts.words import short
from adaptlint.findings import Place, Route

SPACE = " \t\n\r"


class Span:
    """One entry: its key (equal to its value for array elements and the root) and its value, as character offsets."""

    __slots__ = ("key_end", "key_start", "value_end", "value_start")

    def __init__(self, key_start: int, key_end: int, value_start: int, value_end: int) -> None:
        self.key_start, self.key_end = key_start, key_end
        self.value_start, self.value_end = value_start, value_end


class Positions:
    """The entries of one JSON text, found on demand, each container scanned once."""

    __slots__ = ("_base", "_members", "_plain", "_text", "_token", "repeated")

    def __init__(self, text: str, base: int = 0) -> None:
        """`base` is the byte offset of the text in its file."""
        import re

        self._text, self._base = text, base
        self._plain = text.isascii()
        self._members: dict[int, dict[str | int, Span]] = {}
        self._token = re.compile(r'"[^"\\]*(?:\\.[^"\\]*)*"|[\[\]{}]', re.DOTALL)
        self.repeated: list[tuple[int, str]] = []  # (offset of the object, key) for keys met again

    def find(self, route: Route) -> Span | None:
        """The entry at the end of `route`; of a repeated key the last, which is the one that counts."""
        start = self._skip_space(0)
        span = Span(start, start, start, len(self._text.rstrip(SPACE)))
        span.key_end = span.value_end
        for step in route:
            inner = self.members(span.value_start).get(step)
            if inner is None:
                return None
            span = inner
        return span

    def duplicates(self) -> tuple[Route, ...]:
        """Routes of all keys that stand more than once in their object, in file order."""
        found: list[Route] = []
        waiting: list[tuple[int, Route]] = [(self._skip_space(0), ())]
        while waiting:
            start, route = waiting.pop()
            known = len(self.repeated)
            members = self.members(start)
            found += [(*route, key) for at, key in dict.fromkeys(self.repeated[known:]) if at == start]
            inner = [(span.value_start, (*route, key)) for key, span in members.items()]
            waiting += [pair for pair in reversed(inner) if self._text[pair[0]] in "{["]
        return tuple(found)

    def members(self, start: int) -> dict[str | int, Span]:
        """The entries of the container that begins at character `start`; empty for a scalar."""
        known = self._members.get(start)
        if known is None:
            opener = self._text[start : start + 1]
            known = self._object(start) if opener == "{" else self._array(start) if opener == "[" else {}
            self._members[start] = known
        return known

    def place(self, start: int, end: int) -> Place:
        """Characters [start, end) as 1-based line and column and as byte range of the file."""
        before = self._text[:start]
        if "\r" in before:
            before = before.replace("\r\n", "\n").replace("\r", "\n")
        column = len(before) - before.rfind("\n")
        first = start if self._plain else len(self._text[:start].encode("utf-8", "surrogatepass"))
        size = end - start if self._plain else len(self._text[start:end].encode("utf-8", "surrogatepass"))
        return Place(before.count("\n") + 1, column, self._base + first, self._base + first + size)

    def cut(self, start: int, end: int) -> str:
        """The text of [start, end) on one line, shortened."""
        return short(self._text[start : min(end, start + 1000)])

    def _object(self, start: int) -> dict[str | int, Span]:
        import json.decoder

        scan = json.decoder.scanstring  # type: ignore[attr-defined]
        text, members = self._text, dict[str | int, Span]()
        at = self._skip_space(start + 1)
        while text[at] == '"':
            key, key_end = scan(text, at + 1)
            value = self._skip_space(self._skip_space(key_end) + 1)
            end = self._value_end(value)
            if members.pop(key, None) is not None:
                self.repeated.append((start, key))
            members[key] = Span(at, key_end, value, end)
            at = self._skip_space(end)
            if text[at] == ",":
                at = self._skip_space(at + 1)
        return members

    def _array(self, start: int) -> dict[str | int, Span]:
        text, members = self._text, dict[str | int, Span]()
        at = self._skip_space(start + 1)
        while text[at] != "]":
            end = self._value_end(at)
            members[len(members)] = Span(at, end, at, end)
            at = self._skip_space(end)
            if text[at] == ",":
                at = self._skip_space(at + 1)
        return members

    def _value_end(self, start: int) -> int:
        """One past the value that begins at `start`; loops over tokens, so depth costs no stack."""
        text = self._text
        if text[start] not in '{["':
            end = start
            while end < len(text) and text[end] not in ",]} \t\n\r":
                end += 1
            return end
        depth = 0
        for token in self._token.finditer(text, start):
            mark = text[token.start()]
            if mark in "{[":
                depth += 1
            elif mark in "}]":
                depth -= 1
            if depth == 0:
                return token.end()
        return len(text)

    def _skip_space(self, at: int) -> int:
        text, size = self._text, len(self._text)
        while at < size and text[at] in SPACE:
            at += 1
        return at
