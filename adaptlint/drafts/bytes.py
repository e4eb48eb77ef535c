"""The bytes of a draft's tensors, from the files that they lie in now."""

from __future__ import annotations

import os
from collections.abc import Iterator

from adaptlint.artefacts.opening import open_regular, read_at
from adaptlint.artefacts.words import Malformed
from adaptlint.drafts.words import Piece, RepairError
from adaptlint.hints import Literal

CHUNK = 1 << 20  # bytes that are held at a time
TURNED = 256 << 20  # bytes of a tensor whose axes change places, which is held whole
CODES: dict[int, Literal["B", "H", "I", "Q"]] = {1: "B", 2: "H", 4: "I", 8: "Q"}


def piece_bytes(piece: Piece) -> Iterator[bytes]:
    """The bytes of a tensor in the order that its shape says, in chunks. Raises RepairError where the file lacks them.

    A tensor whose axes change places is read whole.
    """
    if piece.made:
        yield piece.made
        return
    descriptor = open_regular(piece.path)
    if isinstance(descriptor, Malformed):
        raise RepairError(f"{piece.path} cannot be read any more ({descriptor.reason.replace('-', ' ')})")
    try:
        step = piece.size if piece.turned else CHUNK
        for at in range(piece.start, piece.end, step or 1):
            data = read_at(descriptor, at, min(step, piece.end - at))
            if len(data) < min(step, piece.end - at):
                raise RepairError(f"{piece.path} ends within the tensor {piece.source}; was it changed meanwhile?")
            yield turn(data, piece.shape) if piece.turned else data
    finally:
        os.close(descriptor)


def turn(data: bytes, shape: tuple[int, ...]) -> bytes:
    """A matrix of `shape` in row-major order, from bytes that have its columns one after the other."""
    rows, columns = shape
    if len(data) > TURNED:
        raise RepairError(f"a matrix of {len(data):,} bytes has to be transposed; at most {TURNED:,} are held at once")
    elements = memoryview(data).cast(CODES[len(data) // (rows * columns)])
    return b"".join(elements[row::rows].tobytes() for row in range(rows))
