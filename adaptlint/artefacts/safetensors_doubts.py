"""Why safetensors 0.8 refuses a header, found in its own order of checks.

The order, from its Rust source (`SafeTensors::read_metadata`): UTF-8; then the JSON as one stream, in which
`__metadata__` is judged as it passes; then every tensor entry in file order; then, in order of their offsets, gap or
overlap before size; last, whether the file ends where the data does. Only reached by headers that are not plain.
"""

from __future__ import annotations

import json
from itertools import pairwise
from typing import cast

from adaptlint.artefacts.positions import Positions
from adaptlint.artefacts.safetensors_header import METADATA, PREFIX, Header, broken
from adaptlint.artefacts.words import BITS, LIMITS, Malformed, TensorRow, refusal, short
from adaptlint.findings import Fact

USIZE = 1 << 64
RECURSION_LIMIT = 127  # serde_json allows 128 levels, the header's own object is one
IN_JSON = "invalid JSON in header: "

Node = object


class Members(tuple[tuple[str, object], ...]):
    """A JSON object with every key it has, repeated ones too, in order."""

    __slots__ = ()


class Inexact(str):
    """A number that serde_json holds as a float: fractions, exponents, -0, and integers beyond 64 bits."""

    __slots__ = ()


class HeaderError(Exception):
    """The library's error while it reads the header: reason slug, its message, the entry at fault."""

    def __init__(self, reason: str, message: str, name: str | None = None, **facts: Fact) -> None:
        super().__init__(message)
        self.reason, self.message, self.name, self.facts = reason, message, name, facts


def slow_header(path: str, raw: bytes, size: int) -> Header | Malformed:
    """The header, or what the library says of it, with the place of the entry at fault."""
    try:
        text = raw.decode()
    except UnicodeDecodeError as error:
        return broken(path, "header-not-utf8", "invalid UTF-8 in header", position=8 + error.start)
    try:
        entries = parse(text)
        metadata, rows = judged(entries)
        order_and_sizes(rows)
        covered = max((row.end for row in rows.values()), default=0)
        if covered != size - 8 - len(raw):
            message = "incomplete metadata, file not fully covered"
            raise HeaderError("file-not-covered", message, None, covered=covered, data=size - 8 - len(raw))
        torch_reads(rows)
    except HeaderError as error:
        return placed(path, text, error)
    except json.JSONDecodeError as error:
        return syntax(path, text, error)
    except RecursionError:
        return broken(path, "header-not-json", IN_JSON + "recursion limit exceeded")
    except ValueError:  # an integer of thousands of digits, which serde_json holds as a float or calls out of range
        return broken(path, "header-not-json", IN_JSON.rstrip())
    longest = max((len(name.encode()) for name in rows), default=0)
    if longest > LIMITS.name_bytes:
        return refusal(path, "tensor-name-too-long", length=longest, limit=LIMITS.name_bytes)
    return Header(rows, metadata, raw, repeated(entries))


def repeated(entries: Members) -> tuple[str, ...]:
    """Names that stand more than once, in the order in which they are met again."""
    seen: set[str] = set()
    again: dict[str, None] = {}
    for name, _ in entries:
        if name in seen:
            again[name] = None
        seen.add(name)
    return tuple(again)


def parse(text: str) -> Members:
    """The header as serde_json sees it, or the error that it raises while the stream passes."""
    if not text.strip(" \t\r\n"):
        raise HeaderError("header-not-json", IN_JSON + "EOF while parsing a value")

    def number(digits: str) -> object:
        value = int(digits) if len(digits) < 40 else USIZE
        return Inexact(digits) if digits == "-0" or not -(USIZE >> 1) <= value < USIZE else value

    def fraction(digits: str) -> Inexact:
        if float(digits) in (float("inf"), float("-inf")):
            raise HeaderError("header-not-json", IN_JSON + "number out of range")
        return Inexact(digits)

    def constant(name: str) -> object:
        raise HeaderError("header-not-json", IN_JSON + ("invalid number" if name[0] == "-" else "expected value"))

    value = json.loads(text, object_pairs_hook=Members, parse_int=number, parse_float=fraction, parse_constant=constant)
    if "\\u" in text:
        no_surrogates(value)
    if depth_beyond(value, RECURSION_LIMIT):
        raise HeaderError("header-not-json", IN_JSON + "recursion limit exceeded")
    if not isinstance(value, Members):
        reason = "header-not-an-object"
        raise HeaderError(reason, IN_JSON + unfit(value, "struct HashMetadata"))
    return value


def judged(entries: Members) -> tuple[dict[str, str], dict[str, TensorRow]]:
    """Metadata and rows; raises `HeaderError` for the first entry that does not fit, metadata before tensors."""
    found = [value for name, value in entries if name == METADATA]
    metadata: dict[str, str] = {}
    for value in found[:1]:
        if value is not None:
            metadata = strings(value)
    if len(found) > 1:
        raise HeaderError("header-metadata-invalid", f"{IN_JSON}duplicate field `{METADATA}`", METADATA)
    rows = {name: row_of(name, value) for name, value in entries if name != METADATA}
    return metadata, rows


def strings(value: Node) -> dict[str, str]:
    """`__metadata__` as a map of strings to strings."""
    reason = "header-metadata-invalid"
    if not isinstance(value, Members):
        raise HeaderError(reason, IN_JSON + unfit(value, "a map"), METADATA)
    for key, item in value:
        if type(item) is not str:
            message = IN_JSON + unfit(item, "a string")
            raise HeaderError(reason, message, METADATA, key=short(key))
    return {key: str(item) for key, item in value}


def row_of(name: str, entry: Node) -> TensorRow:
    """One tensor's row. A list of three stands for the object, as serde's derived readers have it."""
    fields: dict[str, Node] = {}
    if isinstance(entry, list):
        fields = dict(zip(("dtype", "shape", "data_offsets"), entry, strict=False))
    elif isinstance(entry, Members):
        for key, value in entry:
            if key in ("dtype", "shape", "data_offsets"):
                if key in fields:
                    raise entry_error(name, f"duplicate field `{key}`")
                fields[key] = read_field(name, key, value)
    else:
        raise entry_error(name, unfit(entry, "struct TensorInfo"))
    if isinstance(entry, list):
        for key, value in fields.items():
            fields[key] = read_field(name, key, value)
        if len(entry) < 3:
            raise entry_error(name, f"invalid length {len(entry)}, expected struct TensorInfo with 3 elements")
        if len(entry) > 3:
            raise entry_error(name, f"invalid length {len(entry)}, expected 3 elements in sequence")
    for key in ("dtype", "shape", "data_offsets"):
        if key not in fields:
            raise entry_error(name, f"missing field `{key}`")
    shape, offsets = fields["shape"], fields["data_offsets"]
    return TensorRow(str(fields["dtype"]), cast("tuple[int, ...]", shape), *cast("tuple[int, int]", offsets))


def read_field(name: str, key: str, value: Node) -> Node:
    """One field of an entry, judged by its type."""
    if key == "dtype":
        return dtype_of(name, value)
    expected = "a sequence" if key == "shape" else "a tuple of size 2"
    if not isinstance(value, list):
        raise entry_error(name, unfit(value, expected))
    sizes: list[int] = []
    for item in value if key == "shape" else value[:2]:
        if type(item) is int and item >= 0:
            sizes.append(item)
            continue
        raise entry_error(name, unfit(item, "usize"))
    if key != "shape" and len(value) != 2:
        wanted = expected if len(value) < 2 else "2 elements in sequence"
        raise entry_error(name, f"invalid length {len(value)}, expected {wanted}")
    return tuple(sizes)


def dtype_of(name: str, value: Node) -> str:
    """A dtype's spelling; serde also takes {"F32": null} for "F32"."""
    if isinstance(value, Members):
        if len(value) != 1:
            raise entry_error(name, "invalid value: map, expected map with a single key")
        value, unit = value[0]
        if value in BITS and unit is not None:
            raise entry_error(name, unfit(unit, "unit"))
    if type(value) is not str:
        raise entry_error(name, unfit(value, "string or map"))
    if value not in BITS:
        message = f"{IN_JSON}unknown variant `{value}`, expected one of"
        raise HeaderError("header-dtype-unknown", message, name, tensor=short(name), dtype=short(value))
    return value


def order_and_sizes(rows: dict[str, TensorRow]) -> None:
    """Gap, overlap and size of each tensor in the order of offsets; raises `HeaderError` for the first fault."""
    at = 0
    by_offset = sorted(rows.items(), key=lambda item: item[1][2:])
    twins = {left[1][2:] for left, right in pairwise(by_offset) if left[1][2:] == right[1][2:]}
    for name, row in by_offset:
        facts: dict[str, Fact] = {"tensor": short(name), "dtype": row.dtype, "shape": list(row.shape)}
        facts |= {"start": row.start, "end": row.end}
        if row.start != at or row.end < row.start:
            # Of two tensors with equal offsets the library names one by chance.
            message = "invalid offset for tensor" + ("" if row[2:] in twins else f" `{name}`")
            raise HeaderError("tensor-offsets-invalid", message, name, expected_start=at, **facts)
        at = row.end
        bits = 1
        for factor in (*row.shape, BITS[row.dtype]):
            bits *= factor
            if bits >= USIZE:
                message = "overflow computing buffer size from shape and/or element type"
                raise HeaderError("tensor-size-overflows", message, name, **facts)
        if bits % 8:
            message = "The slice is slicing for subbytes dtypes, and the slice does not end up at a byte boundary"
            raise HeaderError("tensor-size-disagrees", message, name, needs_bits=bits, **facts)
        if bits // 8 != row.end - row.start:
            message = "invalid shape, data type, or offset for tensor"
            raise HeaderError("tensor-size-disagrees", message, name, needs=bits // 8, **facts)


def torch_reads(rows: dict[str, TensorRow]) -> None:
    """The two refusals that come after the header, when `safetensors.torch` makes the tensors."""
    for name, row in rows.items():
        if row.dtype.startswith("F6"):
            facts: dict[str, Fact] = {"tensor": short(name), "dtype": row.dtype}
            raise HeaderError("dtype-unknown-to-torch", "Dtype not understood: F6", name, **facts)
        if row.dtype == "F4" and row.shape[-1] % 2:
            facts = {"tensor": short(name), "shape": list(row.shape)}
            message = "f4_x2 dtype requires that the last dim be divisible by 2 in torch"
            raise HeaderError("dtype-unknown-to-torch", message, name, **facts)


def entry_error(name: str, message: str) -> HeaderError:
    """An entry that is no tensor description."""
    return HeaderError("header-entry-invalid", IN_JSON + message, name, tensor=short(name))


def placed(path: str, text: str, error: HeaderError) -> Malformed:
    """The error with the place and the text of the entry it is about."""
    message = error.message if error.reason == "dtype-unknown-to-torch" else PREFIX + error.message
    found = refusal(path, error.reason, ("SafetensorError", message), **error.facts)
    if error.name is None:
        return found
    positions = Positions(text, 8)
    span = positions.find((error.name,))
    if span is None:
        return found
    place = positions.place(span.key_start, span.value_end)
    return found._replace(place=place, excerpt=positions.cut(span.key_start, span.value_end))


def syntax(path: str, text: str, error: json.JSONDecodeError) -> Malformed:
    """Text that is no JSON for anybody. Which words serde_json finds for it is not told, only that it refuses."""
    positions = Positions(text, 8)
    place = positions.place(error.pos, min(error.pos + 1, len(text)))
    reason = "header-start-invalid" if text[:1] != "{" else "header-not-json"
    found = broken(path, reason, IN_JSON.rstrip(), message=error.msg, position=8 + error.pos)
    return found._replace(place=place, excerpt=positions.cut(max(error.pos - 60, 0), error.pos + 60))


def no_surrogates(value: Node) -> None:
    """serde_json refuses escaped lone surrogates, which Python accepts."""
    waiting = [value]
    while waiting:
        node = waiting.pop()
        if isinstance(node, Members):
            waiting += [part for pair in node for part in pair]
        elif isinstance(node, list):
            waiting += node
        elif isinstance(node, str) and any("\ud800" <= char <= "\udfff" for char in node):
            raise HeaderError("header-not-json", IN_JSON.rstrip())


def depth_beyond(value: Node, limit: int) -> bool:
    """True if containers nest deeper than `limit`."""
    level = [value]
    for _ in range(limit + 1):
        inner: list[Node] = []
        for node in level:
            if isinstance(node, Members):
                inner += [item for _, item in node]
            elif isinstance(node, list):
                inner += node
        level = [node for node in inner if isinstance(node, (Members, list))]
        if not level:
            return False
    return True


def unfit(value: Node, expected: str) -> str:
    """serde's words for a value of the wrong type, cut before what Rust and Python spell differently."""
    if isinstance(value, Inexact):
        return "invalid type: floating point"
    if isinstance(value, bool):
        return f"invalid type: boolean `{str(value).lower()}`, expected {expected}"
    if isinstance(value, int):
        kind = "value" if expected == "usize" else "type"  # a negative one, else it would have fitted
        return f"invalid {kind}: integer `{value}`, expected {expected}"
    if isinstance(value, str):
        plain = value.isalnum() and value.isascii()
        return f'invalid type: string "{value}", expected {expected}' if plain else "invalid type: string"
    word = "null" if value is None else "map" if isinstance(value, Members) else "sequence"
    return f"invalid type: {word}, expected {expected}"
