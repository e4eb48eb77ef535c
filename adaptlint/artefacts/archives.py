"""What a file is by its first bytes, and the names inside a zip; nothing is unpacked."""

from __future__ import annotations

import os
import struct

from adaptlint.artefacts.opening import open_regular, read_at
from adaptlint.artefacts.words import Malformed

DIRECTORY_BYTES = 1 << 20
"""Bytes of a zip's directory that are looked at; an archive with a larger one is known by its first bytes alone."""

TAIL = 22 + 65535  # the end record and the longest comment behind it
ENTRY = 46  # bytes of a directory entry without its name

_FIRST_BYTES = (
    (b"GGUF", "gguf"),
    (b"PK\x03\x04", "zip"),
    (b"PK\x05\x06", "zip"),
    (b"\x1f\x8b", "gzip"),
    (b"7z\xbc\xaf\x27\x1c", "7z"),
    (b"Rar!", "rar"),
    (b"\x28\xb5\x2f\xfd", "zstd"),
    (b"\xfd7zXZ", "xz"),
)
_TAR_MARK = (257, b"ustar")


def container_of(path: str) -> str:
    """gguf, zip, gzip, xz, 7z, rar, zstd or tar; "" for anything else and for what is not a readable file."""
    descriptor = open_regular(path)
    if isinstance(descriptor, Malformed):
        return ""
    try:
        head = read_at(descriptor, 0, 264)
    except OSError:
        return ""
    finally:
        os.close(descriptor)
    offset, mark = _TAR_MARK
    if head[offset : offset + len(mark)] == mark:
        return "tar"
    return next((kind for start, kind in _FIRST_BYTES if head.startswith(start)), "")


def names_in_zip(path: str) -> tuple[str, ...]:
    """Names of the members of the zip at `path`, in its directory's order; () where there is none to be read."""
    descriptor = open_regular(path)
    if isinstance(descriptor, Malformed):
        return ()
    try:
        return _listed(_directory(descriptor, os.fstat(descriptor).st_size))
    except OSError:
        return ()
    finally:
        os.close(descriptor)


def _directory(descriptor: int, size: int) -> bytes:
    """The bytes of the zip's directory; b"" if there is none, or more of it than is looked at."""
    tail = read_at(descriptor, max(0, size - TAIL), min(size, TAIL))
    end = tail.rfind(b"PK\x05\x06")
    if end < 0 or end + 22 > len(tail):
        return b""
    length, start = struct.unpack("<II", tail[end + 12 : end + 20])
    return read_at(descriptor, start, length) if length <= DIRECTORY_BYTES and start + length <= size else b""


def _listed(directory: bytes) -> tuple[str, ...]:
    names, at = [], 0
    while directory[at : at + 4] == b"PK\x01\x02" and at + ENTRY <= len(directory):
        name, extra, comment = struct.unpack("<HHH", directory[at + 28 : at + 34])
        names.append(directory[at + ENTRY : at + ENTRY + name].decode("utf-8", "replace"))
        at += ENTRY + name + extra + comment
    return tuple(names)
