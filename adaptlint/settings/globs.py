"""Globs over paths and over module paths: `*` stands for one part or a piece of it, `**` for any number of parts."""

from __future__ import annotations

from collections.abc import Sequence


def covers(pattern: str, path: str, separator: str = "/") -> bool:
    """True if the glob fits `path` or anything that it lies below; one part alone fits wherever that part stands.

    `adapters/*` covers `adapters/fr` and `adapters/fr/last`, `*-draft` covers `adapters/fr-draft`.
    """
    parts = [part for part in path.split(separator) if part not in ("", ".")]
    wanted = [part for part in pattern.split(separator) if part not in ("", ".")]
    if len(wanted) == 1 and wanted != ["**"] and not pattern.startswith("." + separator):
        return any(_is_part(part, wanted[0]) for part in parts)
    return _fits(wanted, parts)


def _fits(wanted: Sequence[str], parts: Sequence[str]) -> bool:
    """Whether a pattern fits the first of these parts, or all; one row of a table per piece, so no pattern is slow."""
    reached = [True, *[False] * len(parts)]  # reached[n]: what was read of the pattern fits the first n parts
    for piece in wanted:
        if piece == "**":
            first = reached.index(True) if True in reached else len(reached)
            reached = [number >= first for number in range(len(reached))]
        else:
            fits = [before and _is_part(part, piece) for before, part in zip(reached, parts, strict=False)]
            reached = [False, *fits]
    return any(reached)


def _is_part(part: str, piece: str) -> bool:
    """One part against one piece; `{0-3,7}` and `{q_proj,v_proj}` choose, as in the paths of reports."""
    from fnmatch import fnmatchcase

    before, brace, rest = piece.partition("{")
    if not brace:
        return fnmatchcase(part, piece)
    choices, _, after = rest.partition("}")
    if not (part.startswith(before) and part.endswith(after) and len(part) >= len(before) + len(after)):
        return False
    middle = part[len(before) : len(part) - len(after)]
    return any(middle == choice or _is_between(middle, choice) for choice in choices.split(","))


def _is_between(text: str, choice: str) -> bool:
    first, dash, last = choice.partition("-")
    numbers = [first, last, text]
    return bool(dash) and all(n.isascii() and n.isdecimal() for n in numbers) and int(first) <= int(text) <= int(last)


def inside(root: str, path: str) -> str:
    """`path` as seen from the folder `root`, with slashes; its absolute form where it lies elsewhere."""
    import os

    seen = os.path.relpath(os.path.abspath(path), root)
    return (os.path.abspath(path) if seen.startswith(os.pardir) else seen).replace(os.sep, "/")
