"""Our own files in the user's cache folder: written whole or not at all, and never believed when damaged."""

from __future__ import annotations

import os
import zlib


def cache_folder() -> str:
    """Where adaptlint keeps what it can make again: $ADAPTLINT_CACHE, else adaptlint/ in the XDG cache folder."""
    chosen = os.environ.get("ADAPTLINT_CACHE")
    if chosen:
        return os.path.abspath(chosen)
    shared = os.environ.get("XDG_CACHE_HOME") or os.path.join(os.path.expanduser("~"), ".cache")
    return os.path.join(shared, "adaptlint")


def write_atomic(path: str, content: bytes) -> None:
    """Write `content` beside `path` and rename it into place, so that a reader sees the old file or the new one.

    Raises OSError.
    """
    folder = os.path.dirname(path)
    os.makedirs(folder or ".", exist_ok=True)
    beside = f"{path}.{os.getpid()}-{os.urandom(4).hex()}.part"
    descriptor = os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o666)
    try:
        with os.fdopen(descriptor, "wb") as stream:
            stream.write(content)
        os.replace(beside, path)
    except BaseException:
        os.unlink(beside)
        raise


def write_sealed(path: str, label: str, body: bytes) -> bool:
    """Write a cache entry; False where the cache cannot be written (full or read-only disk)."""
    try:
        write_atomic(path, _seal(label, body) + body)
    except OSError:
        return False
    return True


def read_sealed(path: str, label: str) -> bytes | None:
    """The body of a cache entry that `write_sealed` wrote under the same label; None for anything else."""
    try:
        with open(path, "rb") as stream:
            content = stream.read()
    except OSError:
        return None
    line, _, body = content.partition(b"\n")
    return body if line + b"\n" == _seal(label, body) else None


def _seal(label: str, body: bytes) -> bytes:
    return f"{label} {len(body)} {zlib.crc32(body):08x}\n".encode()
