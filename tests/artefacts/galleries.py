"""Broken files by name, made in memory; each is what a user may find on disk."""

from __future__ import annotations

import io
import json
import pickle
import tarfile
import zipfile

Entry = dict[str, object]
DATA = b"\0\0\x80?"


def tensor(dtype: object = "F32", shape: object = (1,), offsets: object = (0, 4), **more: object) -> Entry:
    return {"dtype": dtype, "shape": shape, "data_offsets": offsets, **more}


def safetensors(header: object, data: bytes = DATA, length: int | None = None) -> bytes:
    raw = header if isinstance(header, bytes) else json.dumps(header).encode()
    return (len(raw) if length is None else length).to_bytes(8, "little") + raw + data


def one(entry: object) -> bytes:
    return safetensors({"a": entry})


def headers() -> dict[str, bytes]:
    entries: dict[str, object] = {
        "integer": 1,
        "null": None,
        "string": "x",
        "true": True,
        "fraction": 1.5,
        "empty-list": [],
        "list-of-one": [1],
        "empty-object": {},
        "as-list-short": ["F32", [1]],
        "as-list-long": ["F32", [1], [0, 4], 5],
        "dtype-unknown": tensor("F7"),
        "dtype-number": tensor(1),
        "dtype-null": tensor(None),
        "dtype-list": tensor(["F32"]),
        "dtype-map-with-value": tensor({"F32": 1}),
        "dtype-map-of-two": tensor({"F32": None, "x": 1}),
        "shape-null": tensor(shape=None),
        "shape-number": tensor(shape=1),
        "shape-string": tensor(shape="x"),
        "shape-fraction": tensor(shape=[1.0]),
        "shape-negative": tensor(shape=[-1]),
        "shape-of-strings": tensor(shape=["1"]),
        "shape-of-booleans": tensor(shape=[True]),
        "shape-beyond-64-bits": tensor(shape=[2**64]),
        "shape-overflows": tensor(shape=[2**63, 2]),
        "zero-hides-overflow": tensor(shape=[2**40, 2**40, 0], offsets=[0, 0]),
        "offsets-null": tensor(offsets=None),
        "offsets-one": tensor(offsets=[0]),
        "offsets-three": tensor(offsets=[0, 4, 5]),
        "offsets-strings": tensor(offsets=[0, "4"]),
        "offsets-negative": tensor(offsets=[-1, 3]),
        "offsets-reversed": tensor(offsets=[4, 0]),
        "offsets-late": tensor(offsets=[1, 5]),
        "size-too-large": tensor(offsets=[0, 8]),
        "size-too-small": tensor(shape=[2]),
        "half-a-byte": tensor("F4", [1], [0, 1]),
        "f4-odd-in-torch": tensor("F4", [8, 1], [0, 4]),
        "dtype-missing": {"shape": [1], "data_offsets": [0, 4]},
        "offsets-missing": {"shape": [1], "dtype": "F32"},
    }
    texts = {
        "no-bytes": b"",
        "list": b"[]",
        "null": b"null",
        "number": b"1",
        "text": b'"a"',
        "cut": b'{"a"',
        "no-value": b'{"a":}',
        "trailing-comma": b'{"a":1,}',
        "byte-order-mark": b"\xef\xbb\xbf{}",
        "trailing-text": b"{} x",
        "nul-padding": b"{}\0",
        "nan": b'{"a":NaN}',
        "infinity": b'{"a":-Infinity}',
        "out-of-range": b'{"a":1e999}',
        "lone-surrogate": b'{"a":"\\ud800"}',
        "control-character": b'{"a":"\x01"}',
        "too-deep": b'{"a":' + b"[" * 200 + b"]" * 200 + b"}",
        "very-deep": b'{"a":' + b"[" * 50_000 + b"]" * 50_000 + b"}",
        "digits": b'{"a":' + b"9" * 6000 + b"}",
        "minus-zero": b'{"a":{"dtype":"F32","shape":[-0],"data_offsets":[0,0]}}',
        "metadata-list": b'{"__metadata__":[]}',
        "metadata-number": b'{"__metadata__":{"a":1}}',
        "metadata-twice": b'{"__metadata__":{},"__metadata__":{}}',
        "metadata-first": b'{"a":1,"__metadata__":{"a":1}}',
        "field-twice": b'{"a":{"dtype":"F32","dtype":"F32","shape":[1],"data_offsets":[0,4]}}',
        "not-utf8": b'{"a\xff":1}',
        "utf8-cut": b'{"a":"\xe2\x82',
    }
    files = {f"entry-{name}": one(entry) for name, entry in entries.items()}
    files |= {f"header-{name}": safetensors(text, b"") for name, text in texts.items()}
    files["gap-in-second"] = safetensors({"a": tensor(), "b": tensor(offsets=[8, 12])}, DATA * 3)
    files["size-before-gap"] = safetensors({"a": tensor(shape=[2]), "b": tensor(offsets=[8, 12])}, DATA * 3)
    files["dtype-before-gap"] = safetensors({"a": tensor(offsets=[4, 8]), "b": tensor("F7")}, DATA * 2)
    files["same-bytes-twice"] = safetensors({"a": tensor(), "b": tensor()})
    files["f6-unknown-to-torch"] = safetensors({"a": tensor("F6_E2M3", [4], [0, 3])}, b"abc")
    files["trailing-data"] = safetensors({"a": tensor()}, DATA * 2)
    files["data-cut"] = safetensors({"a": tensor()}, b"ab")
    files["data-only"] = safetensors({}, DATA)
    files["length-beyond-file"] = safetensors({"a": tensor()}, length=5000)
    files["length-beyond-limit"] = safetensors({"a": tensor()}, length=100_000_001)
    files["length-all-ones"] = safetensors({"a": tensor()}, length=2**64 - 1)
    files["seven-bytes"] = b"1234567"
    files["empty"] = b""
    files["lfs-pointer"] = b"version https://git-lfs.github.com/spec/v1\noid sha256:" + b"0" * 64 + b"\nsize 99\n"
    files["html"] = b"<!DOCTYPE html><html><body>Entry not found</body></html>"
    files["torch-archive"] = b"PK\x03\x04" + b"\0" * 100
    return files


def sound_headers() -> dict[str, bytes]:
    """Odd, but taken by the library."""
    plain = b'{"dtype":"F32","shape":[1],"data_offsets":[0,4]}'
    return {
        "padded": safetensors(b'  {"a":' + plain + b"}  \n"),
        "metadata-null": safetensors(b'{"__metadata__":null,"a":' + plain + b"}"),
        "metadata-key-twice": safetensors(b'{"__metadata__":{"k":"1","k":"2"},"a":' + plain + b"}"),
        "more-fields": one(tensor(x={"y": [1]})),
        "as-list": one(["F32", [1], [0, 4]]),
        "dtype-as-map": one(tensor({"F32": None})),
        "scalar": one(tensor(shape=[])),
        "empty-tensor": safetensors({"a": tensor(), "e": tensor("F64", [0, 3], [4, 4])}),
        "name-twice": safetensors(b'{"a":' + plain + b',"a":' + plain + b"}"),
        "unordered": safetensors({"b": tensor(offsets=[4, 8]), "a": tensor()}, DATA * 2),
        "escaped-name": safetensors(b'{"\\u0061.\\ud83d\\ude00":' + plain + b"}"),
        "f64": safetensors({"a": tensor("F64", [1], [0, 8])}, DATA * 2),
        "no-tensors": safetensors({}, b""),
    }


def configs() -> dict[str, bytes]:
    return {
        "empty": b"",
        "space": b"  \n",
        "cut": b'{"r": 8,\n "x"',
        "trailing-comma": b'{\r\n  "r": 8,\r\n}',
        "comment": b"// config\n{}",
        "single-quotes": b"{'r': 8}",
        "byte-order-mark": b'\xef\xbb\xbf{"r": 8}',
        "utf16": '{"r": 8}'.encode("utf-16"),
        "latin1": b'{"author": "Ren\xe9"}',
        "cut-in-a-character": b'{"author": "Ren\xc3',
        "lfs-pointer": b"version https://git-lfs.github.com/spec/v1\noid sha256:0\n",
        "html": b"<html>\n</html>",
        "two-values": b"{}\n{}",
        "control-character": b'{"a": "x\ty"}',
        "digits": b'{"r": ' + b"9" * 6000 + b"}",
        "very-deep": b"[" * 60_000 + b"]" * 60_000,
        "nul": b"\0\0\0\0",
    }


def rezipped(archive: bytes, **changes: bytes | None) -> bytes:
    """A torch archive with records replaced (names with _ for . and /) or, where None, left out."""
    out = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(archive)) as old, zipfile.ZipFile(out, "w") as new:
        for info in old.infolist():
            record = info.filename.partition("/")[2]
            content = changes.get(record.replace(".", "_").replace("/", "_"), old.read(info))
            if content is not None:
                new.writestr(info.filename, content)
    return out.getvalue()


def tar() -> bytes:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as archive:
        info = tarfile.TarInfo("storages")
        info.size = 3
        archive.addfile(info, io.BytesIO(b"abc"))
    return out.getvalue()


class Calls:
    """Pickles as a call of a function by name, which nobody may make."""

    def __init__(self, function: object, *args: object) -> None:
        self.call = (function, args)

    def __reduce__(self) -> tuple[object, tuple[object, ...]]:
        return self.call


def pickled(value: object, protocol: int = 2) -> bytes:
    return pickle.dumps(value, protocol)
