"""A short name for what the files of an adapter, or of a base, hold: by it a run record finds what it is about."""

from __future__ import annotations

import os

from adaptlint.artefacts.opening import open_regular, read_at
from adaptlint.artefacts.words import Malformed

ENDS = 1 << 20
"""Bytes at either end of a file that are looked at, beside its size."""
PARTS = ("adapter", "head")  # how the names of an adapter's own files begin or end
WEIGHTS = (".safetensors",)  # and those of a base's weights


def folder_mark(path: str, parts: tuple[str, ...] = PARTS) -> str:
    """A digest of the names, sizes and ends of the files whose names have one of these parts; "" where none has."""
    from hashlib import blake2b

    marks = [mark for file in _files(path, parts) if (mark := _mark(file))]
    return blake2b(b"\0".join(marks), digest_size=12).hexdigest() if marks else ""


def _files(path: str, parts: tuple[str, ...]) -> list[str]:
    if os.path.isfile(path):
        return [path]
    try:
        names = sorted(name for name in os.listdir(path) if any(part in name for part in parts))
    except OSError:
        return []
    return [os.path.join(path, name) for name in names]


def _mark(file: str) -> bytes:
    descriptor = open_regular(file)
    if isinstance(descriptor, Malformed):
        return b""
    try:
        size = os.fstat(descriptor).st_size
        ends = read_at(descriptor, 0, min(size, ENDS))
        if size > ENDS:
            start = max(ENDS, size - ENDS)
            ends += read_at(descriptor, start, size - start)
        return f"{os.path.basename(file)} {size} ".encode("utf-8", "surrogateescape") + ends
    except OSError:
        return b""
    finally:
        os.close(descriptor)
