"""Torch checkpoints written from shapes alone, without torch: a zip with one pickle of opcodes and a file per tensor.

Format: torch.serialization (`_save`, zip layout since 1.6), pickle protocol 2.
"""

from __future__ import annotations

import random
import struct
import zipfile
from collections.abc import Iterable

from adaptlint.testing.writing import HOLES, Entry, entry_values

STORAGES = {"F32": "FloatStorage", "F16": "HalfStorage", "BF16": "BFloat16Storage", "F64": "DoubleStorage",
            "I64": "LongStorage"}  # fmt: skip
ITEMS = {"F32": 4, "F16": 2, "BF16": 2, "F64": 8, "I64": 8}


def write_torch(path: str, entries: Iterable[Entry], seed: int = 0) -> None:
    """Write a state dict as `torch.save` does. KeyError for a dtype that has no storage here."""
    rows = list(entries)
    source = random.Random(seed)  # noqa: S311 - test data, not secrets
    with zipfile.ZipFile(path, "w", zipfile.ZIP_STORED) as archive:
        _put(archive, "data.pkl", _pickled(rows))
        _put(archive, "byteorder", b"little")
        for number, row in enumerate(rows):
            data = bytes(row.size) if row.values in HOLES else entry_values(row, source)
            _put(archive, f"data/{number}", data)
        _put(archive, "version", b"3\n")


def _put(archive: zipfile.ZipFile, name: str, data: bytes) -> None:
    archive.writestr(zipfile.ZipInfo(f"archive/{name}"), data)


def _pickled(rows: list[Entry]) -> bytes:
    ordered = _name("collections", "OrderedDict") + b")R"
    body = b"\x80\x02" + ordered + b"("
    for number, row in enumerate(rows):
        strides, step = [], 1
        for length in reversed(row.shape):
            strides.append(step)
            step *= length
        storage = (
            b"(" + _text("storage") + _name("torch", STORAGES[row.dtype]) + _text(str(number)) + _text("cpu")
            + _whole(row.size // ITEMS[row.dtype]) + b"tQ"
        )  # fmt: skip
        given = storage + _whole(0) + _sizes(row.shape) + _sizes(tuple(reversed(strides))) + b"\x89" + ordered
        body += _text(row.name) + _name("torch._utils", "_rebuild_tensor_v2") + b"(" + given + b"tR"
    return body + b"u."


def _name(module: str, name: str) -> bytes:
    return f"c{module}\n{name}\n".encode()


def _text(text: str) -> bytes:
    data = text.encode()
    return b"X" + struct.pack("<I", len(data)) + data


def _whole(number: int) -> bytes:
    return b"J" + struct.pack("<i", number)


def _sizes(sizes: tuple[int, ...]) -> bytes:
    return b"(" + b"".join(_whole(size) for size in sizes) + b"t"
