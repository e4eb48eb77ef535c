"""A safetensors header read by range, as fast as `json.loads` allows; every doubt goes to `safetensors_doubts`."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from itertools import chain, repeat
from math import prod

from adaptlint.artefacts.opening import not_opened, open_regular, pointer_facts, read_at, stand_in
from adaptlint.artefacts.words import BITS, LIMITS, Malformed, TensorRow, refusal
from adaptlint.findings import Fact
from adaptlint.hints import cast

PREFIX = "Error while deserializing header: "
METADATA = "__metadata__"
BYTES = {dtype: bits // 8 for dtype, bits in BITS.items() if bits >= 8}


class Header:
    """A sound header: rows in file order, its text, and the keys that it repeats."""

    __slots__ = ("data_start", "duplicates", "metadata", "raw", "rows")

    def __init__(
        self, rows: dict[str, TensorRow], metadata: dict[str, str], raw: bytes, duplicates: tuple[str, ...]
    ) -> None:
        self.rows, self.metadata, self.raw, self.duplicates = rows, metadata, raw, duplicates
        self.data_start = 8 + len(raw)


def broken(path: str, reason: str, message: str, **facts: Fact) -> Malformed:
    """What safetensors says of this header: `message` is the variant's own text."""
    return refusal(path, reason, ("SafetensorError", PREFIX + message), **facts)


def read_header(path: str) -> Header | Malformed:
    """The header of the safetensors file at `path`; no tensor data is read."""
    descriptor = open_regular(path)
    if isinstance(descriptor, Malformed):
        return descriptor
    try:
        size = os.fstat(descriptor).st_size
        head = read_at(descriptor, 0, min(size, 512))
        refused = bad_length(path, head, size)
        if refused is not None:
            return refused
        length = int.from_bytes(head[:8], "little")
        raw = head[8 : 8 + length] if length <= len(head) - 8 else read_at(descriptor, 8, length)
    except OSError as error:
        return not_opened(path, error)
    finally:
        os.close(descriptor)
    if len(raw) < length:  # cut short while being read
        return broken(path, "header-length-invalid", "invalid header length", length=length, size=size)
    return parse_header(path, raw, size)


def bad_length(path: str, head: bytes, size: int) -> Malformed | None:
    """The faults that the first 8 bytes (the header's length, little-endian) show by themselves."""
    slug = stand_in(head)
    if size < 8:
        return broken(path, slug or ("header-too-small" if size else "empty-file"), "header too small", size=size)
    length = int.from_bytes(head[:8], "little")
    if head.startswith((b"PK\x03\x04", b"\x80\x02")):
        slug = "torch-checkpoint-named-safetensors"
    if length > LIMITS.header_bytes:
        facts: dict[str, Fact] = {"length": length, "limit": LIMITS.header_bytes, **pointer_facts(head)}
        return broken(path, slug or "header-too-large", "header too large", **facts)
    if length > size - 8:
        return broken(path, slug or "header-length-invalid", "invalid header length", length=length, size=size)
    return None


def parse_header(path: str, raw: bytes, size: int) -> Header | Malformed:
    """`raw` as the header of a file of `size` bytes."""
    if len(raw) > 40 * LIMITS.tensors and raw.count(b'"dtype"') > LIMITS.tensors:  # no entry is shorter than that
        return refusal(path, "too-many-tensors", limit=LIMITS.tensors)
    if len(raw) > LIMITS.header_values and raw.count(b",") > LIMITS.header_values:
        return refusal(path, "header-too-many-values", limit=LIMITS.header_values)
    header = fast_header(raw, size)
    if header is not None:
        return header
    from adaptlint.artefacts.safetensors_doubts import slow_header

    return slow_header(path, raw, size)


def fast_header(raw: bytes, size: int) -> Header | None:
    """The header if it is plainly sound, None at the least doubt.

    Plain means: no escapes, no minus zero, every entry has exactly dtype, shape and data_offsets, no key repeats
    (every key shows as `":` once, so their count tells), and the rows tile the data section. Whole columns are
    compared at a time, because a loop per tensor costs more than parsing does.
    """
    if b"\\" in raw or (b"-" in raw and b"-0" in raw):
        return None
    try:
        entries = json.loads(raw.decode())
        keys = METADATA in entries
        metadata = entries.pop(METADATA, None)
        metadata = {} if metadata is None else metadata
        values = entries.values()
        dtypes = [entry["dtype"] for entry in values]
        shapes = [tuple(entry["shape"]) for entry in values]
        offsets = [tuple(entry["data_offsets"]) for entry in values]
        if not tiled(dtypes, shapes, offsets, size - 8 - len(raw)):
            return None
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError):
        return None
    if type(metadata) is not dict or not all(type(value) is str for value in metadata.values()):
        return None
    if raw.count(b'":') != 4 * len(entries) + keys + len(metadata) or not {*map(len, values)} <= {3}:
        return None
    if entries and max(map(len, entries)) * 4 > LIMITS.name_bytes:
        return None
    make = cast("Callable[[type[TensorRow], object], TensorRow]", tuple.__new__)  # skips the NamedTuple's own __new__
    starts, ends = zip(*offsets, strict=True) if offsets else ((), ())
    rows = dict(zip(entries, map(make, repeat(TensorRow), zip(dtypes, shapes, starts, ends, strict=True)), strict=True))
    return Header(rows, metadata, raw, ())


def tiled(dtypes: list[str], shapes: list[tuple[int, ...]], offsets: list[tuple[int, ...]], size: int) -> bool:
    """True if the tensors, in order of their offsets, cover [0, size) without gap or overlap, each of its own size.

    A zero in a shape counts as doubt, because it can hide an overflow; so do F4 and F6, which have rules of their own.
    Raises KeyError, TypeError or ValueError for what is no tensor description at all.
    """
    if not {*map(type, chain(chain.from_iterable(shapes), chain.from_iterable(offsets)))} <= {int}:
        return False
    if min(chain.from_iterable(shapes), default=1) <= 0:
        return False
    spans = [end - start for start, end in offsets]
    if spans != [BYTES[dtype] * prod(shape) for dtype, shape in zip(dtypes, shapes, strict=True)]:
        return False
    edges = [0, *chain.from_iterable(offsets), size]
    if edges[::2] != edges[1::2]:
        edges = [0, *chain.from_iterable(sorted(offsets)), size]
    return edges[::2] == edges[1::2]
