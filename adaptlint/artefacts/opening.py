"""Opening a file that a stranger made: told what it is before it is opened, never hung on, never read past a limit."""

from __future__ import annotations

import os
import stat

from adaptlint.artefacts.words import Malformed, refusal
from adaptlint.findings import Fact

KINDS = {
    stat.S_IFDIR: "directory",
    stat.S_IFIFO: "fifo",
    stat.S_IFCHR: "device",
    stat.S_IFBLK: "device",
    stat.S_IFSOCK: "socket",
}


def kind_of(mode: int) -> str:
    """The word for a file that is not regular: directory, fifo, device, socket; "" for a regular file."""
    return "" if stat.S_ISREG(mode) else KINDS.get(stat.S_IFMT(mode), "device")


def open_regular(path: str) -> int | Malformed:
    """A read-only descriptor of a regular file; the caller closes it.

    The stat comes first because opening a device may already do something, and the descriptor is asked again
    because the name may have changed hands in between.
    """
    try:
        kind = kind_of(os.stat(path).st_mode)
        if not kind:
            descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC | os.O_NOCTTY)
            kind = kind_of(os.fstat(descriptor).st_mode)
            if not kind:
                return descriptor
            os.close(descriptor)
    except (OSError, ValueError) as error:
        return not_opened(path, error)
    return not_regular(path, kind)


def not_opened(path: str, error: OSError | ValueError) -> Malformed:
    """The operating system's refusal as a `Malformed`; ValueError is a NUL inside the path."""
    if isinstance(error, (FileNotFoundError, NotADirectoryError)):
        return refusal(path, "missing-file", ("FileNotFoundError", "No such file or directory"))
    text = error.strerror or str(error) if isinstance(error, OSError) else str(error)
    return refusal(path, "unreadable-file", (type(error).__name__, text), message=text)


def not_regular(path: str, kind: str) -> Malformed:
    """A refusal to open something that is not a file. Only for a directory is the readers' answer certain."""
    if kind != "directory":
        return refusal(path, "not-a-regular-file", kind=kind)
    # safetensors opens the directory and fails to map it; Python's open() refuses at once.
    error = ("OSError", "No such device") if path.endswith(".safetensors") else ("IsADirectoryError", "Is a directory")
    return refusal(path, "not-a-regular-file", error, kind=kind)


def read_whole(path: str, limit: int) -> bytes | Malformed:
    """All bytes of a regular file of at most `limit` bytes."""
    descriptor = open_regular(path)
    if isinstance(descriptor, Malformed):
        return descriptor
    try:
        size = os.fstat(descriptor).st_size
        if size > limit:
            return refusal(path, "file-too-large", size=size, limit=limit)
        return read_at(descriptor, 0, size)
    except OSError as error:
        return not_opened(path, error)
    finally:
        os.close(descriptor)


def read_at(descriptor: int, start: int, size: int) -> bytes:
    """`size` bytes from `start`, fewer only where the file ends."""
    data = os.pread(descriptor, size, start)
    while len(data) < size:
        more = os.pread(descriptor, size - len(data), start + len(data))
        if not more:
            break
        data += more
    return data


def pointer_facts(head: bytes) -> dict[str, Fact]:
    """`real_size`, the bytes of the file that a git-lfs pointer stands for; nothing for other files."""
    if stand_in(head) != "lfs-pointer":
        return {}
    digits = head.partition(b"\nsize ")[2].partition(b"\n")[0].strip()
    return {"real_size": int(digits)} if digits.isdigit() and len(digits) < 19 else {}


def stand_in(head: bytes) -> str:
    """The slug for what often lies in the place of the real file: a git-lfs pointer, a web page; "" for neither."""
    if head.startswith(b"version https://git-lfs.github.com/spec/"):
        return "lfs-pointer"
    start = head[:256].lstrip().lower()
    return "html-page" if start.startswith((b"<!doctype html", b"<html", b"<?xml", b"<head")) else ""
