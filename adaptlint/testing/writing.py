"""Safetensors files written from shapes alone: sparse where values do not matter, small and seeded where they do.

Layout of the format: 8 bytes little-endian header length, the JSON header, then the tensors' bytes without holes.
"""

from __future__ import annotations

import json
import os
import random
import re
import struct
from collections.abc import Iterable, Mapping

from adaptlint.named_tuple import NamedTuple

ITEM_BYTES = {
    "BOOL": 1,
    "U8": 1,
    "I8": 1,
    "F8_E4M3": 1,
    "F8_E5M2": 1,
    "F8_E8M0": 1,
    "I16": 2,
    "U16": 2,
    "F16": 2,
    "BF16": 2,
    "I32": 4,
    "U32": 4,
    "F32": 4,
    "I64": 8,
    "U64": 8,
    "F64": 8,
    "C64": 8,
}
NAN_BYTES = {"F16": b"\x00\x7e", "BF16": b"\xc0\x7f", "F32": b"\x00\x00\xc0\x7f", "F64": b"\0\0\0\0\0\0\xf8\x7f"}
FILLS = ("sparse", "zero", "random", "alike", "nan")
HOLES = ("sparse", "zero")


class Entry(NamedTuple):
    """One tensor to be written; `values` is one of FILLS.

    "sparse" leaves a hole, which reads as zeros; "alike" is random and the same in every tensor of one shape.
    """

    name: str
    dtype: str
    shape: tuple[int, ...]
    values: str = "sparse"

    @property
    def size(self) -> int:
        """The tensor's size in bytes; KeyError for a dtype that safetensors does not have."""
        count = 1
        for length in self.shape:
            count *= length
        return count * ITEM_BYTES[self.dtype]


def expand(template: str) -> list[str]:
    """Every path that a template with ranges stands for: "h.{0-1,4}.attn" -> h.0.attn, h.1.attn, h.4.attn."""
    found = re.search(r"\{([^{}]*)\}", template)
    if found is None:
        return [template]
    choices: list[str] = []
    for part in found[1].split(","):
        run = re.fullmatch(r"(\d+)-(\d+)", part)
        choices += [str(n) for n in range(int(run[1]), int(run[2]) + 1)] if run else [part]
    return [path for choice in choices for path in expand(template[: found.start()] + choice + template[found.end() :])]


def header_text(entries: Iterable[Entry], metadata: Mapping[str, str]) -> str:
    """The JSON header, entry by entry, so that a name may occur twice."""
    parts = [f'"__metadata__":{json.dumps(dict(metadata), separators=(",", ":"))}'] if metadata else []
    start = 0
    for entry in entries:
        end = start + entry.size
        body = {"dtype": entry.dtype, "shape": list(entry.shape), "data_offsets": [start, end]}
        parts.append(f"{json.dumps(entry.name)}:{json.dumps(body, separators=(',', ':'))}")
        start = end
    return "{" + ",".join(parts) + "}"


def small_values(dtype: str, size: int, source: random.Random) -> bytes:
    """`size` bytes of finite numbers, floats with a magnitude of about 0.01 to 0.03 (integers: any)."""
    data = bytearray(source.randbytes(size))
    if dtype in ("F32", "BF16", "C64"):
        step = ITEM_BYTES["BF16"] if dtype == "BF16" else ITEM_BYTES["F32"]
        data[step - 1 :: step] = bytes(b & 0x80 | 0x3C for b in data[step - 1 :: step])
    elif dtype == "F16":
        data[1::2] = bytes(b & 0x83 | 0x24 for b in data[1::2])
    elif dtype == "F64":
        data[7::8] = bytes(b & 0x80 | 0x3F for b in data[7::8])
        data[6::8] = bytes(b & 0x0F | 0x80 for b in data[6::8])
    elif dtype == "BOOL" or dtype.startswith("F8"):
        data = bytearray(b & (1 if dtype == "BOOL" else 0xBF) for b in data)
    return bytes(data)


def entry_values(entry: Entry, source: random.Random) -> bytes:
    """The bytes of a tensor that is no hole."""
    own = random.Random(repr(entry.shape)) if entry.values == "alike" else source  # noqa: S311 - no secrets
    data = small_values(entry.dtype, entry.size, own)
    nan = NAN_BYTES.get(entry.dtype, b"") if entry.values == "nan" else b""
    return nan + data[len(nan) :]


def write_safetensors(
    path: str, entries: Iterable[Entry], metadata: Mapping[str, str] | None = None, seed: int = 0
) -> None:
    """Write the file: header, then the filled tensors; everything else stays a hole of the file system."""
    rows = list(entries)
    header = header_text(rows, {"format": "pt"} if metadata is None else metadata).encode()
    header += b" " * (-len(header) % 8)
    start = 8 + len(header)
    source = random.Random(seed)  # noqa: S311 - test data, not secrets
    with open(path, "wb") as file:
        file.write(struct.pack("<Q", len(header)) + header)
        for row in rows:
            if row.values not in HOLES:
                file.seek(start)
                file.write(entry_values(row, source))
            start += row.size
        file.truncate(start)


def write_shards(folder: str, entries: Iterable[Entry], shards: int, seed: int = 0) -> None:
    """A base's checkpoint as the hub has it: one model.safetensors, or numbered shards with their index."""
    rows = list(entries)
    if shards <= 1:
        write_safetensors(os.path.join(folder, "model.safetensors"), rows, seed=seed)
        return
    weight_map: dict[str, str] = {}
    each = -(-len(rows) // shards)
    for number in range(shards):
        name = f"model-{number + 1:05d}-of-{shards:05d}.safetensors"
        part = rows[number * each : (number + 1) * each]
        write_safetensors(os.path.join(folder, name), part, seed=seed + number)
        weight_map.update((row.name, name) for row in part)
    index = {"metadata": {"total_size": sum(row.size for row in rows)}, "weight_map": weight_map}
    with open(os.path.join(folder, "model.safetensors.index.json"), "w", encoding="utf-8") as file:
        json.dump(index, file, indent=2)
