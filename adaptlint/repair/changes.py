"""What a draft changes, as a diff: the config line by line, the tensors name by name, layers folded."""

from __future__ import annotations

from collections.abc import Iterator

from adaptlint.drafts.draft import Draft
from adaptlint.drafts.words import Piece
from adaptlint.findings import number_ranges, path_shape
from adaptlint.graph.scene import CONFIG


def diff_lines(draft: Draft) -> Iterator[str]:
    """A unified diff of adapter_config.json, then the weight files and the tensors that get other names."""
    if draft.config is not None or CONFIG in draft.without:
        yield from _config_lines(draft)
    if draft.pieces is None:
        return
    gone = sorted(name for name in draft.without if name in draft.folder.names and name != CONFIG)
    yield f"--- {', '.join(gone) or draft.file}"
    yield f"+++ {draft.file}"
    for old, new in _key_lines(draft.pieces):
        yield from (f"-{old}", f"+{new}")


def _config_lines(draft: Draft) -> Iterator[str]:
    from difflib import unified_diff

    document = draft._replace(without=frozenset()).document
    old = document.text if document else ""
    new = draft.config_text()
    for line in unified_diff(old.splitlines(), new.splitlines(), CONFIG, CONFIG, lineterm=""):
        yield line.rstrip("\r\n")


def _key_lines(pieces: tuple[Piece, ...]) -> Iterator[tuple[str, str]]:
    """Old and new names that differ; layers that change alike are told as one."""
    groups: dict[tuple[str, str, tuple[int, ...]], set[int]] = {}
    for piece in pieces:
        if piece.name == piece.source and not piece.turned:
            continue
        (old, numbers), (new, others) = path_shape(piece.source), path_shape(piece.name)
        turned = " (transposed)" if piece.turned else ""
        if numbers and numbers == others:
            groups.setdefault((old, new + turned, numbers[1:]), set()).add(numbers[0])
        else:
            groups[piece.source, piece.name + turned, ()] = set()
    for (old, new, rest), first in groups.items():
        slots = ["{" + number_ranges(first) + "}" if len(first) > 1 else str(*first)] if first else []
        slots += [str(number) for number in rest]
        yield _filled(old, slots), _filled(new, slots)


def _filled(shape: str, slots: list[str]) -> str:
    left = list(slots)
    return ".".join(left.pop(0) if part == "*" and left else part for part in shape.split("."))
