"""The words of this room: rows, limits, and the one way to say that a file cannot be read."""

from __future__ import annotations

from collections.abc import Mapping

from adaptlint.findings import Fact, Place
from adaptlint.named_tuple import NamedTuple


class TensorRow(NamedTuple):
    """One tensor as its file declares it.

    `dtype` in safetensors spelling (F32, BF16, F8_E4M3, I8, BOOL, C64 ...; C128, QI8 ... for what only torch has);
    `start` and `end` are bytes relative to `TensorFile.data_start`, (-1, -1) where no dense block of the file holds it.
    """

    dtype: str
    shape: tuple[int, ...]
    start: int
    end: int


class ValueRow(NamedTuple):
    """What a tensor's values are like: elements that are NaN or infinite, whether all looked at are 0, how many."""

    nonfinite: int
    zero: bool
    looked_at: int


class Malformed(NamedTuple):
    """A file that cannot be read, and why.

    `reason` is a slug. `facts["library_type"]` and `facts["library_error"]` hold the exception class's own name and a
    substring of the message of the library that would read this file (safetensors 0.8, `json.load`, torch 2.13's
    `torch.load(weights_only=True)`); both are absent where the refusal is ours alone (a limit, a link out of the
    folder, a FIFO) and the library's answer is not known.
    """

    path: str
    reason: str
    facts: Mapping[str, Fact] = {}
    place: Place | None = None
    excerpt: str = ""


class Limits(NamedTuple):
    """What is refused before it is read. Sizes in bytes."""

    json_bytes: int = 16 << 20
    json_depth: int = 64
    json_values: int = 2_000_000
    header_bytes: int = 100_000_000  # safetensors' own bound
    header_values: int = 8_000_000
    tensors: int = 1_000_000
    name_bytes: int = 4096
    folder_entries: int = 20_000
    shards: int = 10_000
    archive_entries: int = 1_000_000
    directory_bytes: int = 128 << 20
    pickle_bytes: int = 64 << 20
    pickle_steps: int = 4_000_000


LIMITS = Limits()


def refusal(path: str, reason: str, error: tuple[str, str] | None = None, **facts: Fact) -> Malformed:
    """A `Malformed`; `error` is the (type, message) that the real library raises, if it is known."""
    if error is not None:
        facts["library_type"], facts["library_error"] = error
    return Malformed(path, reason, facts)


def short(text: str, width: int = 160) -> str:
    """`text` on one line, cut to `width` characters; control characters are shown as escapes."""
    line = " ".join(text[: 4 * width].split())
    if not line.isprintable():
        line = "".join(c if c.isprintable() else c.encode("unicode_escape", "replace").decode() for c in line)
    return line if len(line) <= width else line[: width - 3] + "..."


_SIZES = (
    (4, "F4"),
    (6, "F6_E2M3 F6_E3M2"),
    (8, "BOOL U8 I8 F8_E5M2 F8_E4M3 F8_E8M0 F8_E4M3FNUZ F8_E5M2FNUZ"),
    (16, "I16 U16 F16 BF16"),
    (32, "I32 U32 F32"),
    (64, "C64 F64 I64 U64"),
)
BITS = {dtype: bits for bits, dtypes in _SIZES for dtype in dtypes.split()}
"""Bits per element of every dtype that safetensors 0.8 knows."""
FLOATS = frozenset(("F64", "F32", "F16", "BF16"))
"""The dtypes that adapters are trained and saved in."""
