"""The adapter as a plan would have it: nothing is written, and it can be checked like a real one."""

from __future__ import annotations

import json
import os
import struct
from collections.abc import Mapping, Sequence

from adaptlint.artefacts import BITS, Document, Folder, Malformed, TensorFile, TensorRow, parse_json
from adaptlint.drafts.words import Piece
from adaptlint.graph import Adapter
from adaptlint.graph.scene import CONFIG, WEIGHTS
from adaptlint.hints import Any
from adaptlint.named_tuple import NamedTuple

SAFETENSORS = WEIGHTS[0]
ALIGNED = 8  # bytes: the length that safetensors pads its header to
INDENTS = (2, None, 4, 1)  # of JSON, the usual one first


class Draft(NamedTuple):
    """What the copy will hold: config (None: as it is), tensors (None: as they are), files that it leaves out.

    `file` is the one that the tensors go into, by its ending a safetensors file or a torch checkpoint. `peft` is the
    same adapter in PEFT's terms where this one is another library's.
    """

    folder: Folder
    config: Mapping[str, Any] | None = None
    pieces: tuple[Piece, ...] | None = None
    metadata: Mapping[str, str] = {}
    without: frozenset[str] = frozenset()
    file: str = SAFETENSORS
    peft: Draft | None = None

    @property
    def document(self) -> Document | None:
        """The adapter_config.json of the folder as it is, if it can be read."""
        document = self.folder.json(CONFIG) if CONFIG not in self.without else None
        return document if isinstance(document, Document) else None

    @property
    def settings(self) -> Mapping[str, Any]:
        """The config's fields as they would be; none where there is no object."""
        if self.config is not None:
            return self.config
        value = self.document.value if self.document else None
        return value if isinstance(value, dict) else {}

    @property
    def weights(self) -> TensorFile | None:
        """The tensors as they would be, if they can be read."""
        if self.pieces is not None:
            return self.drawn()
        name = next((name for name in WEIGHTS if name in self.folder.names), None)
        file = None if name is None else self.folder.tensors(name)
        return None if isinstance(file, Malformed) else file

    def with_config(self, **changes: Any) -> Draft:
        """The draft with some fields of its config changed, in their place."""
        return self._replace(config={**self.settings, **changes})

    def without_fields(self, fields: Sequence[str]) -> Draft:
        """The draft with some fields taken out of its config."""
        return self._replace(config={name: value for name, value in self.settings.items() if name not in fields})

    def with_pieces(self, pieces: Sequence[Piece], *left_out: str) -> Draft:
        """The draft with these tensors in adapter_model.safetensors, and without other weight files."""
        metadata = self.metadata or (self.weights.metadata if self.weights else {}) or {"format": "pt"}
        gone = self.without | frozenset(left_out) | frozenset(WEIGHTS[1:])
        return self._replace(pieces=ordered(pieces), metadata=metadata, without=gone)

    def drawn(self) -> TensorFile:
        """What the file of tensors would declare."""
        pieces = self.pieces or ()
        safe = self.file.endswith(".safetensors")
        header = header_of(pieces, self.metadata) if safe else b""
        rows, at = {}, 0
        for piece in pieces:
            rows[piece.name] = TensorRow(piece.dtype, piece.shape, at, at + piece.size)
            at += piece.size
        path = os.path.join(self.folder.path, self.file)
        if not safe:
            return TensorFile(path, "torch-zip", rows)
        start = 8 + len(header)
        return TensorFile(path, "safetensors", rows, dict(self.metadata), data_start=start, header=header)

    def config_text(self) -> str:
        """The text that adapter_config.json would have, in the style of the one there is."""
        document = self.document
        if self.config is None:
            return document.text if document else ""
        ending = "\n" if document is None or document.text.endswith("\n") else ""
        for indent in INDENTS if document else ():
            if json.dumps(document.value, indent=indent) + ending == document.text:  # type: ignore[union-attr]
                return json.dumps(self.config, indent=indent) + ending
        return json.dumps(self.config, indent=INDENTS[0], ensure_ascii=False) + ending

    def adapter(self, name: str) -> Adapter:
        """The adapter as it would be, under this name."""
        made = Adapter(name, self.folder.path, named=False)
        documents, tensors = [], []
        if self.config is not None:
            document = parse_json(os.path.join(self.folder.path, CONFIG), self.config_text().encode())
            documents = [document] if isinstance(document, Document) else []
        if self.pieces is not None:
            tensors = [self.drawn()]
        made.folder = self.folder.drafted(documents, tensors, self.without)
        return made


def pieces_of(file: TensorFile) -> tuple[Piece, ...] | None:
    """The tensors of a file as they are; None where the bytes of one cannot be pointed at, or names repeat."""
    if file.duplicates or any("\ud800" <= letter <= "\udfff" for name in file.tensors for letter in name):
        return None
    pieces = []
    for name, row in file.tensors.items():
        home = file.home(name)
        turned = name in home.turned
        dense = row.start >= 0 or row.shape.count(0) > 0
        if not dense or row.dtype not in BITS or (turned and len(row.shape) != 2):
            return None
        start = home.data_start + max(row.start, 0)
        size = row.end - row.start if row.start >= 0 else 0
        pieces.append(Piece(name, row.dtype, row.shape, home.path, start, start + size, name, turned))
    return tuple(pieces)


def ordered(pieces: Sequence[Piece]) -> tuple[Piece, ...]:
    """Wide types first, so that every tensor begins at a multiple of its own width; else as they come."""
    return tuple(sorted(pieces, key=lambda piece: -BITS[piece.dtype]))


def header_of(pieces: Sequence[Piece], metadata: Mapping[str, str]) -> bytes:
    """The JSON header of a safetensors file with these tensors one after the other, padded."""
    entries: dict[str, object] = {"__metadata__": dict(metadata)} if metadata else {}
    at = 0
    for piece in pieces:
        offsets = [at, at + piece.size]
        entries[piece.name] = {"dtype": piece.dtype, "shape": list(piece.shape), "data_offsets": offsets}
        at += piece.size
    text = json.dumps(entries, separators=(",", ":"), ensure_ascii=False).encode()
    return text + b" " * (-len(text) % ALIGNED)


def file_head(pieces: Sequence[Piece], metadata: Mapping[str, str]) -> bytes:
    """Everything of the file that stands before the tensors' bytes."""
    header = header_of(pieces, metadata)
    return struct.pack("<Q", len(header)) + header
