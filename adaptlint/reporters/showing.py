"""Strings made fit to be seen: control characters made visible, prose wrapped, colours."""

from __future__ import annotations

LONGEST = 4000  # characters of one string that a person is shown; the JSON report has all of it

_ESCAPES = {"\n": "\\n", "\r": "\\r", "\t": "\\t"}
_CODES = {"bold": "1", "dim": "2", "red": "31", "green": "32", "yellow": "33", "cyan": "36"}


def shown(text: str) -> str:
    """Text from a file as one harmless line: what a terminal would obey instead of print is spelled out as an escape.

    `str.isprintable` is false for exactly the dangerous Unicode categories: controls (ANSI sequences begin with one),
    formats (bidi overrides, zero-width characters), surrogates, unassigned, and every space but the plain one.
    """
    if len(text) > LONGEST:
        text = f"{text[:LONGEST]}... ({len(text) - LONGEST} more characters)"
    if text.isprintable():
        return text
    return "".join(character if character.isprintable() else _escape(character) for character in text)


def _escape(character: str) -> str:
    number = ord(character)
    if number < 0x100:
        return _ESCAPES.get(character, f"\\x{number:02x}")
    return f"\\u{number:04x}" if number < 0x10000 else f"\\U{number:08x}"


def width_of(text: str) -> int:
    """Columns that a terminal gives a text: two for a wide character (Chinese, emoji), none for a mark on another."""
    if text.isascii():
        return len(text)
    from unicodedata import combining, east_asian_width

    return sum(0 if combining(letter) else 2 if east_asian_width(letter) in "WF" else 1 for letter in text)


def wrapped(text: str, width: int, first: str = "", rest: str | None = None) -> list[str]:
    """Lines of at most `width` columns that begin with `first`, then `rest`; a word (a path) is never broken."""
    rest = " " * len(first) if rest is None else rest
    lines: list[str] = []
    line, empty, at = first, True, width_of(first)
    for word in shown(text).split(" "):
        if not word:
            continue
        if not empty and at + 1 + width_of(word) > width:
            lines.append(line)
            line, empty, at = rest, True, width_of(rest)
        at += width_of(word) + (not empty)
        line = line + word if empty else f"{line} {word}"
        empty = False
    lines.append(line)
    return lines


def shown_path(path: str, here: str) -> str:
    """A path fit to be seen, from the folder `here` on if it lies below it."""
    inside = here and path.startswith(here.rstrip("/") + "/")
    return shown(path[len(here.rstrip("/")) + 1 :] if inside else path)


def painted(text: str, colour: bool, *names: str) -> str:
    """Text in ANSI colours, or as it is when `colour` is false."""
    if not colour:
        return text
    return f"\x1b[{';'.join(_CODES[name] for name in names)}m{text}\x1b[0m"


def counted(number: int, noun: str) -> str:
    """A number and its noun: "1 error", "2 errors"."""
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def inert(lines: list[str]) -> str:
    """Lines joined, with nothing in them that a build server obeys when it meets it in a job's log.

    GitHub's runner reads `::command::` at the start of a line and `##[command]` anywhere in it
    (actions/runner, src/Runner.Common/ActionCommand.cs, TryParseV2 and TryParse).
    """
    said = "\n".join(lines)
    if "::" in said:
        said = "\n".join(
            line.replace("::", "\\x3a:", 1) if line.lstrip().startswith("::") else line for line in said.split("\n")
        )
    return said.replace("##[", "##\\x5b") + "\n" if said else ""
