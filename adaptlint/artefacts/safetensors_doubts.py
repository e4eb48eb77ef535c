"""Why safetensors 0.8 refuses a header, found in its own order of checks.

The order, from its Rust source (`SafeTensors::read_metadata`): UTF-8; then the JSON as one stream, in which
`__metadata__` is judged as it passes; then every tensor entry in file order; then, in order of their offsets, gap or
overlap before size; last, whether the file ends where the data does. Only reached by headers that are not plain.
"""

from __future__ import annotations

import json
from itertools import pairwise

from adaptlint.artefacts.positions import Positions
from adaptlint.artefacts.safetensors_header import METADATA, PREFIX, Header, broken
from adaptlint.artefacts.strict_json import IN_JSON, USIZE, HeaderError, Members, Node, parse, unfit
from adaptlint.artefacts.words import BITS, LIMITS, Malformed, TensorRow, refusal, short
from adaptlint.findings import Fact
from adaptlint.hints import cast


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
            data = size - 8 - len(raw)
            gap = {"missing": covered - data} if covered > data else {"surplus": data - covered}
            raise HeaderError("file-not-covered", message, None, covered=covered, data=data, **gap)
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
        if row.dtype.startswith("F6_"):
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
    found = broken(path, reason, IN_JSON.rstrip(), syntax=error.msg, position=8 + error.pos)
    return found._replace(place=place, excerpt=positions.cut(max(error.pos - 60, 0), error.pos + 60))
