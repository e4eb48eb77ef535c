"""Torch checkpoints (`.bin`, `.pt`) as `torch.load(weights_only=True)` of torch 2.13 would take or refuse them."""

from __future__ import annotations

import io
import os
from math import prod
from struct import error as StructError  # noqa: N812
from struct import unpack

from adaptlint.artefacts.opening import not_opened, open_regular, pointer_facts, read_at, stand_in
from adaptlint.artefacts.tensor_files import TensorFile
from adaptlint.artefacts.torch_archive import Archive, CheckpointError
from adaptlint.artefacts.torch_pickle import Pickle, ascii_text
from adaptlint.artefacts.torch_symbols import (
    Global,
    Storage,
    Tensor,
    beyond,
    bytes_needed,
    dense,
    row_major,
    storage_dtype,
    width,
)
from adaptlint.artefacts.words import LIMITS, Malformed, TensorRow, refusal, short
from adaptlint.findings import Fact
from adaptlint.hints import Any

MAGIC = 0x1950A86A20F9469CFC6C
PROTOCOL = 1001
SERIALIZATION_ID = ".data/serialization_id"
PYTHON_ERRORS = (
    EOFError,
    IndexError,
    KeyError,
    TypeError,
    ValueError,
    AttributeError,
    OverflowError,
    StructError,
)
"""What Python raises inside torch's loop, and so inside ours, for opcodes that make no sense."""


def read_checkpoint(path: str) -> TensorFile | Malformed:
    """The torch checkpoint at `path`, zip archive or the older stream of pickles."""
    descriptor = open_regular(path)
    if isinstance(descriptor, Malformed):
        return descriptor
    try:
        size = os.fstat(descriptor).st_size
        head = read_at(descriptor, 0, 512)
        try:
            if head.startswith(b"PK\x03\x04"):
                return read_zip(path, descriptor, size)
            return read_legacy(path, descriptor, size, head)
        except CheckpointError as error:
            error.facts |= pointer_facts(head)
            return told(path, named(error.reason, head, size), error)
        except PYTHON_ERRORS as error:
            text = str(error).partition("\n")[0][:200]
            if isinstance(error, UnicodeDecodeError):
                text = text.partition(" in position")[0]  # torch may decode a longer text with the same byte in it
            facts = pointer_facts(head)
            return refusal(path, named("pickle-broken", head, size), (type(error).__name__, text), **facts)
    except OSError as error:
        return not_opened(path, error)
    finally:
        os.close(descriptor)


def told(path: str, reason: str, error: CheckpointError) -> Malformed:
    """The error as a `Malformed`. torch wraps the unpickler's own words, which come late in a long message: those
    are the fact `library_detail`, and `library_error` is how the message begins."""
    facts = dict(error.facts)
    message = error.message
    if error.library_type == "UnpicklingError":
        facts["library_detail"], message = message[:300], "Weights only load failed"
    return refusal(path, reason, None if error.library_type is None else (error.library_type, message), **facts)


def named(reason: str, head: bytes, size: int) -> str:
    """The slug that says what the file is, where that says more than how torch stumbles over it."""
    if not size:
        return "empty-file"
    if head[8:9] == b"{" and int.from_bytes(head[:8], "little") <= size - 8:
        return "safetensors-named-torch-checkpoint"
    if reason == "pickle-broken" and not head.startswith((b"\x80", b"PK")):
        return stand_in(head) or "not-a-torch-checkpoint"
    return reason


def read_zip(path: str, descriptor: int, size: int) -> TensorFile:
    """A zip checkpoint; raises `CheckpointError` and `PYTHON_ERRORS`."""
    archive = Archive(descriptor, size)
    identity = check_version(archive)
    if "constants.pkl" in archive.names():
        message = "Cannot use ``weights_only=True`` with TorchScript archives"
        raise CheckpointError("torchscript-archive", "RuntimeError", message)
    if archive.entry(".format_version"):
        archive.read(".format_version", 64)
    order = archive.read("byteorder", 64) if archive.entry("byteorder") else b"little"
    if order not in (b"little", b"big"):
        raise CheckpointError("torch-archive-corrupted", "ValueError", "Unknown endianness type: " + order.decode())
    if archive.entry(".storage_alignment"):
        int(archive.read(".storage_alignment", 64))
    starts: dict[str, int] = {}

    def find_storage(pid: tuple[Any, ...]) -> Storage:
        cls, key, _, count = pid[1:]
        dtype, key = storage_dtype(cls), str(key)
        if type(count) is not int:
            raise beyond("a storage's size")
        if key not in starts:
            starts[key] = record_start(archive, key, count * width(dtype))
        return Storage(dtype, key, count, bound=count * width(dtype))

    value = Pickle(io.BytesIO(archive.read("data.pkl", LIMITS.pickle_bytes)), find_storage).load()
    identity.decode()  # torch makes text of it last of all
    if order == b"big":
        starts = dict.fromkeys(starts, -1)
    return state_dict(path, "torch-zip", value, starts)


def check_version(archive: Archive) -> bytes:
    """torch's reader wants a version between 1 and 10; it reads the archive's id, which is returned, first."""
    identity = archive.read(SERIALIZATION_ID, 4096) if archive.entry(SERIALIZATION_ID) else b""
    name = ".data/version" if archive.entry(".data/version") else "version"
    if archive.entry(name) is None:
        message = 'Expected hasRecord("version") to be true, but got false'
        raise CheckpointError("torch-record-missing", "RuntimeError", message, record="version")
    text = archive.read(name, 64)
    digits = text.strip()[: len(text.strip()) - len(text.strip().lstrip(b"0123456789"))]
    if not digits:
        message = "Couldn't parse the version"
        raise CheckpointError("torch-archive-corrupted", "RuntimeError", message, version=short(text.decode()))
    if not 1 <= int(digits) <= 10:
        message = f"Attempted to read a PyTorch file with version {int(digits)}"
        raise CheckpointError("torch-version-unknown", "RuntimeError", message, version=int(digits))
    return identity


def record_start(archive: Archive, key: str, size: int) -> int:
    """The byte at which the storage `key` of `size` bytes begins; -1 if its record is compressed."""
    name = f"data/{key}"
    entry = archive.entry(name)
    if entry is None:
        message = f"PytorchStreamReader failed locating file {name}: file not found"
        raise CheckpointError("torch-record-missing", "RuntimeError", message, record=short(name))
    if entry.size != size:
        message = f"record size ({entry.size} bytes) does not match expected size ({size} bytes"
        raise CheckpointError(
            "torch-record-size-disagrees", "RuntimeError", message, record=short(name), size=entry.size, needs=size
        )
    start = archive.start(entry, name)
    return -1 if entry.method else start


class Bounded:
    """A file read forward, of which no more than `LIMITS.pickle_bytes` are taken."""

    def __init__(self, descriptor: int) -> None:
        self._file = io.BufferedReader(io.FileIO(descriptor, closefd=False))
        self._left = LIMITS.pickle_bytes

    def read(self, size: int, /) -> bytes:
        """`size` bytes, fewer at the end."""
        data = self._file.read(min(size, self._left + 1))
        self._spend(len(data))
        return data

    def readline(self, /) -> bytes:
        """Bytes up to the next newline, at most what a name may be long."""
        line = self._file.readline(LIMITS.name_bytes)
        self._spend(len(line))
        if len(line) == LIMITS.name_bytes:
            raise CheckpointError("pickle-too-long", None, limit=LIMITS.name_bytes)
        return line

    def at(self) -> int:
        """The byte that is read next."""
        return self._file.tell()

    def _spend(self, size: int) -> None:
        self._left -= size
        if self._left < 0:
            raise CheckpointError("pickle-too-long", None, limit=LIMITS.pickle_bytes)


def read_legacy(path: str, descriptor: int, size: int, head: bytes) -> TensorFile:
    """A checkpoint from before torch 1.6: five pickles, then the storages one after the other."""
    if is_tar(head):
        reason = "torch-legacy-tar" if head.strip(b"\0") else "zero-filled-file"
        message = "Cannot use ``weights_only=True`` with files saved in the legacy .tar format"
        raise CheckpointError(reason, "RuntimeError", message)
    stream = Bounded(descriptor)
    if Pickle(stream, None).load() != MAGIC:
        raise CheckpointError("not-a-torch-checkpoint", "RuntimeError", "Invalid magic number; corrupt file?")
    version = Pickle(stream, None).load()
    if version != PROTOCOL:
        raise CheckpointError("not-a-torch-checkpoint", "RuntimeError", "Invalid protocol version")
    Pickle(stream, None).load()
    sizes: dict[str, tuple[int, int]] = {}

    def find_storage(pid: tuple[Any, ...]) -> Storage:
        cls, key, _, count, view = pid[1:]
        if isinstance(cls, Global) and cls.path.startswith("torch.storage."):  # of a dtype that has no storage class
            message = f"'{cls.path}' has no attribute 'dtype'"
            raise CheckpointError("torch-legacy-untyped", "AttributeError", message, storage=cls.path)
        dtype, key = storage_dtype(cls), str(ascii_text(key))
        if type(count) is not int or not (view is None or (type(view) is tuple and len(view) == 3)):
            raise beyond("a storage's size")
        sizes.setdefault(key, (count, width(dtype)))
        return Storage(dtype, key, count) if view is None else Storage(dtype, key, int(view[2]), int(view[1]))

    value = Pickle(stream, find_storage).load()
    keys = Pickle(stream, None).load()
    if not isinstance(keys, (list, tuple)):
        raise beyond("the list of storages")
    starts = legacy_starts([str(key) for key in keys], sizes, descriptor, stream.at(), size)
    return state_dict(path, "torch-legacy", value, starts)


def is_tar(head: bytes) -> bool:
    """True if Python's tarfile takes the first block: a right checksum, or nothing but zeros (an empty archive)."""
    if len(head) < 512:
        return False
    stated = head[148:156].strip(b" \0")
    if not head.strip(b"\0"):
        return True
    try:
        return int(stated or b"0", 8) == 256 + sum(head[:148]) + sum(head[156:])
    except ValueError:
        return False


def legacy_starts(
    keys: list[str], sizes: dict[str, tuple[int, int]], descriptor: int, at: int, size: int
) -> dict[str, int]:
    """Where each storage of `sizes` (elements, bytes per element) begins: an 8-byte element count stands before it."""
    starts: dict[str, int] = {}
    for key in keys:
        if key not in sizes:
            message = f"storage key {key!r} not found in deserialized_objects"
            raise CheckpointError("pickle-broken", "AssertionError", message)
        count, width = sizes[key]
        wanted = 8
        if at + 8 <= size:
            if unpack("<q", read_at(descriptor, at, 8))[0] != count:
                message = "storage has wrong byte size"
                raise CheckpointError("torch-record-size-disagrees", "RuntimeError", message, record=key, needs=count)
            wanted += count * width
        starts[key] = at + 8
        at += wanted
        if at > size:
            message = f"unexpected EOF, expected {at - size} more bytes"
            raise CheckpointError("torch-legacy-truncated", "RuntimeError", message, missing=at - size)
    return starts


def state_dict(path: str, container: str, value: object, starts: dict[str, int]) -> TensorFile:
    """The checkpoint's own dict as rows; keys that hold no tensor are told apart."""
    if not isinstance(value, dict):
        word = type(value).__name__.lower()
        raise CheckpointError("not-a-state-dict", None, holds=word)
    if len(value) > LIMITS.tensors:
        raise CheckpointError("too-many-tensors", None, tensors=len(value), limit=LIMITS.tensors)
    tensors: dict[str, TensorRow] = {}
    others: list[str] = []
    turned: list[str] = []
    for key, item in value.items():
        if isinstance(item, Tensor) and isinstance(key, str):
            in_order = row_major(item)
            tensors[key] = row_of(key, item, starts, in_order)
            if not in_order:
                turned.append(key)
        else:
            others.append(short(str(key)))
    return TensorFile(path, container, tensors, others=tuple(others), turned=frozenset(turned))


def row_of(name: str, tensor: Tensor, starts: dict[str, int], in_order: bool) -> TensorRow:
    """The row of a tensor; its bytes are known where its elements fill one block, in whatever order of axes."""
    storage, size = tensor.storage, width(tensor.dtype)
    start = -1 if storage is None else starts.get(storage.key, -1)
    count = prod(tensor.shape)
    if storage is not None and storage.bound < 0 and bytes_needed(tensor) > storage.elements * width(storage.dtype):
        # torch grows such a storage, and then finds that the file has less for it.
        facts: dict[str, Fact] = {"tensor": short(name), "needs": bytes_needed(tensor)}
        raise CheckpointError("torch-storage-too-small", "RuntimeError", "storage has wrong byte size", **facts)
    if storage is None or start < 0 or not count or not (in_order or dense(tensor)):
        return TensorRow(tensor.dtype, tensor.shape, -1, -1)
    first = start + storage.first * width(storage.dtype) + tensor.offset * size
    return TensorRow(tensor.dtype, tensor.shape, first, first + count * size)


__all__ = ["read_checkpoint"]
