"""The pickle of a torch checkpoint, made of names, types and shapes: `torch.load` opens it, torch is not needed.

Format: torch.serialization (`_save`, zip layout since 1.6), pickle protocol 2.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable

STORAGES = {
    "F32": ("FloatStorage", 4),
    "F16": ("HalfStorage", 2),
    "BF16": ("BFloat16Storage", 2),
    "F64": ("DoubleStorage", 8),
    "I64": ("LongStorage", 8),
}
"""Storage class and bytes of an element, by dtype."""
ROOT = "archive"
VERSION = b"3\n"


def member(name: str) -> str:
    """The path of an entry within the zip file."""
    return f"{ROOT}/{name}"


def state_dict_pickle(rows: Iterable[tuple[str, str, tuple[int, ...]]]) -> bytes:
    """The entry `data.pkl` of a state dict of (name, dtype, shape); tensor n has its bytes in the entry `data/n`.

    KeyError for a dtype that is not in `STORAGES`.
    """
    ordered = _name("collections", "OrderedDict") + b")R"
    body = b"\x80\x02" + ordered + b"("
    for number, (name, dtype, shape) in enumerate(rows):
        strides, count = [], 1
        for length in reversed(shape):
            strides.append(count)
            count *= length
        storage = (
            b"(" + _text("storage") + _name("torch", STORAGES[dtype][0]) + _text(str(number)) + _text("cpu")
            + _whole(count) + b"tQ"
        )  # fmt: skip
        given = storage + _whole(0) + _sizes(shape) + _sizes(tuple(reversed(strides))) + b"\x89" + ordered
        body += _text(name) + _name("torch._utils", "_rebuild_tensor_v2") + b"(" + given + b"tR"
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
