"""What tensor values are like, from bytes alone: NaN, infinite, all zero. No torch, no numpy."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator

from adaptlint.artefacts.opening import open_regular, read_at
from adaptlint.artefacts.tensor_files import TensorFile
from adaptlint.artefacts.words import Malformed, TensorRow, ValueRow

BLOCK = 4096
"""Bytes of each of the three blocks (head, middle, tail) that a sample looks at."""

CHUNK = 1 << 20
"""Bytes that a full scan reads at a time."""

MASKS = {
    "F16": (2, 0x7C00),
    "BF16": (2, 0x7F80),
    "F32": (4, 0x7F800000),
    "F64": (8, 0x7FF0000000000000),
    "C32": (2, 0x7C00),
    "C64": (4, 0x7F800000),
    "C128": (8, 0x7FF0000000000000),
}
"""dtype -> bytes of a real part, and the exponent bits that are all ones in NaN and infinity."""

NONFINITE_BYTES = {
    "F8_E4M3": bytes((0x7F, 0xFF)),
    "F8_E5M2": bytes(code for code in range(256) if code & 0x7C == 0x7C),
    "F8_E4M3FNUZ": bytes((0x80,)),
    "F8_E5M2FNUZ": bytes((0x80,)),
    "F8_E8M0": bytes((0xFF,)),
}
"""The one-byte codes that are NaN or infinite (OCP 8-bit formats; FNUZ has one NaN, E4M3 no infinity)."""

SIGNED_ZERO = {"F16": 2, "BF16": 2, "F32": 4, "F64": 8, "C32": 2, "C64": 4, "C128": 8, "F8_E4M3": 1, "F8_E5M2": 1}
"""dtype -> bytes of a real part, for formats in which the sign bit alone is minus zero."""

ALL_ONES_F16 = bytes(code for code in range(256) if code & 0x7C == 0x7C)


def scan(file: TensorFile, names: Iterable[str], full: bool) -> dict[str, ValueRow]:
    """`scan_values` of this room; each file is opened once."""
    found: dict[str, ValueRow] = {}
    by_file: dict[str, tuple[TensorFile, list[str]]] = {}
    for name in names:
        home = file.home(name)
        by_file.setdefault(home.path, (home, []))[1].append(name)
    for path, (home, wanted) in by_file.items():
        descriptor = open_regular(path)
        if isinstance(descriptor, Malformed):
            continue
        try:
            for name in wanted:
                row = home.tensors.get(name)
                looked = None if row is None else look(descriptor, home.data_start, row, full)
                if looked is not None:
                    found[name] = looked
        except OSError:
            continue
        finally:
            os.close(descriptor)
    return found


def look(descriptor: int, base: int, row: TensorRow, full: bool) -> ValueRow | None:
    """One tensor's values; None where its bytes are not there to be read."""
    if row.start < 0 or row.dtype.startswith(("F4", "F6_", "BITS")):
        return None
    elements = 1
    for dim in row.shape:
        elements *= dim
    size = row.end - row.start
    width = size // elements if elements else 1
    nonfinite = seen = 0
    zero = True
    for start, length in blocks(size, width, full):
        data = read_at(descriptor, base + row.start + start, length)
        if len(data) < length:
            return None
        nonfinite += count_nonfinite(data, row.dtype)
        zero = zero and all_zero(data, row.dtype)
        seen += length // width
    return ValueRow(nonfinite, zero, seen)


def blocks(size: int, width: int, full: bool) -> Iterator[tuple[int, int]]:
    """The (start, length) pieces to look at, in whole elements."""
    if full:
        for start in range(0, size, CHUNK):
            yield start, min(CHUNK, size - start)
        return
    if size <= 3 * BLOCK:
        yield 0, size
        return
    middle = (size // 2) // width * width
    yield 0, BLOCK
    yield middle, BLOCK
    yield size - BLOCK, BLOCK


def count_nonfinite(data: bytes, dtype: str) -> int:
    """Elements that are NaN or infinite; a complex one counts once per part."""
    codes = NONFINITE_BYTES.get(dtype)
    if codes is not None:
        return len(data) - len(data.translate(None, codes))
    part = MASKS.get(dtype)
    if part is None:
        return 0
    width, mask = part
    # The exponent's high seven bits are the last byte's; only where they are all ones is the number itself looked at.
    top = data[width - 1 :: width]
    if width == 2 and mask == 0x7C00:
        return len(top) - len(top.translate(None, ALL_ONES_F16))  # the whole exponent lies in this byte
    if b"\x7f" not in top and b"\xff" not in top:
        return 0
    view = memoryview(data)
    numbers = view.cast("H") if width == 2 else view.cast("I") if width == 4 else view.cast("Q")
    return sum(1 for number in numbers if number & mask == mask)


def all_zero(data: bytes, dtype: str) -> bool:
    """True if every element is 0, minus zero included."""
    if data == bytes(len(data)):
        return True
    width = SIGNED_ZERO.get(dtype)
    if width is None or data[:64].strip(b"\x00\x80"):
        return False
    rest = bytearray(data)
    rest[width - 1 :: width] = bytes(len(data) // width)
    return not rest.strip(b"\0") and not data[width - 1 :: width].strip(b"\x00\x80")
