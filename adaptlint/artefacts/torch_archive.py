"""The zip archive of a torch checkpoint: its directory, read and judged as torch 2.13's reader (miniz) does.

Only bytes of the directory and of small records are read; nothing is inflated beyond a bound.
"""

from __future__ import annotations

import struct

from adaptlint.artefacts.opening import read_at
from adaptlint.artefacts.words import LIMITS
from adaptlint.findings import Fact
from adaptlint.named_tuple import NamedTuple

TAIL = 4096  # miniz looks for the end record in blocks of this size, overlapping by 3 bytes
FURTHEST = 65535 + 22
ENTRY_SIZE = 46  # a central directory entry without its name
READER = "PytorchStreamReader failed "


class Entry(NamedTuple):
    """One record of the archive. Sizes in bytes."""

    name: bytes
    flags: int
    method: int
    packed: int
    size: int
    header: int


class CheckpointError(Exception):
    """What torch raises for this file: reason slug, exception class's own name, a substring of its message."""

    def __init__(self, reason: str, library_type: str | None, message: str = "", **facts: Fact) -> None:
        super().__init__(message)
        self.reason, self.library_type, self.message, self.facts = reason, library_type, message, facts


def unsound(message: str, reason: str = "torch-archive-corrupted", **facts: Fact) -> CheckpointError:
    """An archive that miniz refuses."""
    return CheckpointError(reason, "RuntimeError", f"{READER}reading zip archive: {message}", **facts)


class Archive:
    """The records of a torch zip archive by name, without the archive's own top folder."""

    __slots__ = ("_descriptor", "_size", "entries", "records", "top")

    def __init__(self, descriptor: int, size: int) -> None:
        """Reads the directory; raises `CheckpointError` where torch would refuse the archive."""
        self._descriptor, self._size = descriptor, size
        entries = self.entries = self._directory(self._end_record())
        if not entries:
            raise CheckpointError("torch-archive-corrupted", "RuntimeError", "archive does not contain any files")
        self.top, slash, _ = entries[0].name.partition(b"/")
        if not slash:
            message = "file in archive is not in a subdirectory: "
            first = entries[0].name.decode()
            raise CheckpointError("not-a-torch-checkpoint", "RuntimeError", message, first=first[:160])
        # miniz finds the last of two records of one name, ASCII letters compared without case.
        self.records = {entry.name.lower(): entry for entry in entries}

    def entry(self, name: str) -> Entry | None:
        """The record `name` ("data.pkl", "data/0"), None if there is none."""
        return self.records.get((self.top + b"/" + name.encode("utf-8", "replace")).lower())

    def names(self) -> list[str]:
        """All records' names; raises what torch raises for one outside the top folder or not in UTF-8."""
        top = self.top + b"/"
        for entry in self.entries:
            if not entry.name.startswith(top):
                message = "file in archive is not in a subdirectory"
                stray = entry.name.decode()  # torch's message fails to be made of a name that is not UTF-8, as here
                raise CheckpointError("torch-archive-corrupted", "RuntimeError", message, record=stray[:160])
        return [entry.name[len(top) :].decode() for entry in self.entries]

    def start(self, entry: Entry, name: str) -> int:
        """The byte of the file at which the record's content begins; raises `CheckpointError` if it is not readable."""
        doubt = "unsupported method" if entry.method not in (0, 8) else "unsupported encryption"
        if doubt == "unsupported method" or entry.flags & 0x41:
            message = f"{READER}retrieving file meta-data for {name}: {doubt}"
            raise CheckpointError("torch-archive-corrupted", "RuntimeError", message, record=name)
        if entry.flags & 0x20:
            message = f"{READER}retrieving file meta-data for {name}: unsupported feature"
            raise CheckpointError("torch-archive-corrupted", "RuntimeError", message, record=name)
        head = read_at(self._descriptor, entry.header, 30)
        name_size, extra_size = struct.unpack_from("<HH", head.ljust(30, b"\0"), 26)
        start = int(entry.header + 30 + name_size + extra_size)
        if head[:4] != b"PK\x03\x04" or start + entry.packed > self._size:
            message = f"{READER}reading file {name}: invalid header or archive is corrupted"
            raise CheckpointError("torch-archive-corrupted", "RuntimeError", message, record=name)
        return start

    def read(self, name: str, limit: int) -> bytes:
        """The content of a small record; raises `CheckpointError` if it is missing, broken or beyond `limit`."""
        entry = self.entry(name)
        if entry is None:
            message = f"{READER}locating file {name}: file not found"
            raise CheckpointError("torch-record-missing", "RuntimeError", message, record=name)
        if max(entry.size, entry.packed) > limit:
            raise CheckpointError("torch-record-too-large", None, record=name, size=entry.size, limit=limit)
        data = read_at(self._descriptor, self.start(entry, name), entry.packed)
        if entry.method == 8:
            import zlib

            try:
                data = zlib.decompressobj(-15).decompress(data, entry.size + 1)
            except zlib.error as error:
                raise CheckpointError("torch-archive-corrupted", "RuntimeError", READER, record=name) from error
        if len(data) != entry.size:
            raise CheckpointError("torch-archive-corrupted", "RuntimeError", READER, record=name)
        return data

    def _end_record(self) -> int:
        """Offset of the end-of-directory record, looked for as miniz does."""
        size = self._size
        if size < 22:
            raise unsound("not a ZIP archive", "torch-archive-truncated", size=size)
        at = max(size - TAIL, 0)
        while True:
            block = read_at(self._descriptor, at, min(TAIL, size - at))
            found = block.rfind(b"PK\x05\x06", 0, min(len(block), size - at - 22 + 4))
            if found >= 0:
                return at + found
            if at == 0 or size - at >= FURTHEST:
                raise unsound("failed finding central directory", "torch-archive-truncated", size=size)
            if at < TAIL - 3:  # miniz's unsigned arithmetic wraps here, and the seek fails
                raise CheckpointError("torch-archive-truncated", "OSError", "[Errno 22] Invalid argument", size=size)
            at -= TAIL - 3

    def _directory(self, end: int) -> list[Entry]:
        """All entries of the central directory that the end record at `end` describes."""
        record = read_at(self._descriptor, end, 22)
        this_disk, first_disk, here, total, size, offset = struct.unpack_from("<HHHHII", record, 4)
        locator = read_at(self._descriptor, end - 20, 20) if end >= 76 else b""
        if locator[:4] == b"PK\x06\x07":
            at = int.from_bytes(locator[8:16], "little")
            if at > self._size - 56:
                raise unsound("not a ZIP archive")
            wide = read_at(self._descriptor, at, 56)
            if wide[:4] == b"PK\x06\x06":
                refuse_wide(wide, locator)
                this_disk, first_disk, here, total, size, offset = struct.unpack_from("<IIQQQQ", wide, 16)
        if here != total or ((this_disk or first_disk) and (this_disk, first_disk) != (1, 1)):
            raise unsound("unsupported multidisk archive")
        if total > LIMITS.archive_entries or size > LIMITS.directory_bytes:
            known = "RuntimeError" if size + offset > self._size else None
            raise CheckpointError("torch-archive-too-large", known, entries=total, limit=LIMITS.archive_entries)
        if size < total * ENTRY_SIZE or offset + size > self._size:
            raise unsound("invalid header or archive is corrupted")
        data = read_at(self._descriptor, offset, size)
        entries: list[Entry] = []
        at = 0
        for _ in range(total):
            entry, at = self._entry(data, at)
            entries.append(entry)
        return entries

    def _entry(self, data: bytes, at: int) -> tuple[Entry, int]:
        """The directory entry at `at`, and where the next one begins."""
        if at + ENTRY_SIZE > len(data):
            raise unsound("invalid header or archive is corrupted")
        signature, flags, method, packed, size, name_size, extra_size, note_size, disk, header = parts(data, at)
        name_at = at + ENTRY_SIZE
        after = name_at + name_size + extra_size + note_size
        if signature != b"PK\x01\x02":
            raise unsound("invalid header or archive is corrupted")
        if 0xFFFFFFFF in (packed, size, header):
            extra = data[name_at + name_size : name_at + name_size + extra_size]
            size, packed, header = widened(extra, size, packed, header)
        if (not method and packed != size) or (size and not packed):
            raise unsound("invalid header or archive is corrupted")
        if disk not in (0, 1):
            raise unsound("unsupported multidisk archive")
        if header + 30 + packed > self._size:
            raise unsound("invalid header or archive is corrupted")
        if flags & 0x2000:
            raise unsound("unsupported encryption")
        if after > len(data):
            raise unsound("invalid header or archive is corrupted")
        return Entry(data[name_at : name_at + name_size], flags, method, packed, size, header), after


def refuse_wide(wide: bytes, locator: bytes) -> None:
    """miniz's own bounds on the 64-bit end record."""
    disks = int.from_bytes(locator[16:20], "little")
    (length,) = struct.unpack_from("<Q", wide, 4)
    here, total, size = struct.unpack_from("<QQQ", wide, 24)
    if length < 44:
        raise unsound("invalid header or archive is corrupted")
    if disks != 1:
        raise unsound("unsupported multidisk archive")
    if max(here, total) > 0xFFFFFFFF:
        raise unsound("too many files")
    if size > 0xFFFFFFFF:
        raise unsound("unsupported central directory size")


def parts(data: bytes, at: int) -> tuple[bytes, int, int, int, int, int, int, int, int, int]:
    """The fixed fields of a central directory entry."""
    flags, method = struct.unpack_from("<HH", data, at + 8)
    packed, size, name, extra, note, disk = struct.unpack_from("<IIHHHH", data, at + 20)
    (header,) = struct.unpack_from("<I", data, at + 42)
    return data[at : at + 4], flags, method, packed, size, name, extra, note, disk, header


def widened(extra: bytes, size: int, packed: int, header: int) -> tuple[int, int, int]:
    """Sizes and offset with the 64-bit values of the zip64 extra field (id 1) in place of the all-ones ones."""
    at = 0
    while at + 4 <= len(extra):
        kind, length = struct.unpack_from("<HH", extra, at)
        if kind == 1:
            field = extra[at + 4 : at + 4 + length]
            wide = [int.from_bytes(field[i : i + 8], "little") for i in range(0, len(field) - 7, 8)]
            return tuple(wide.pop(0) if v == 0xFFFFFFFF and wide else v for v in (size, packed, header))  # type: ignore[return-value]
        at += 4 + length
    return size, packed, header
