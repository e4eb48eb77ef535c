"""On which side a tokenizer pads, as its config says."""

from __future__ import annotations

from adaptlint.artefacts.documents import Document
from adaptlint.artefacts.folders import Folder
from adaptlint.findings import Where

FILE = "tokenizer_config.json"
SMALL = 4 << 20
"""Larger files are passed over."""


def read_padding_side(folder: Folder) -> tuple[str, Where] | None:
    """ "left" or "right" and where the folder's tokenizer_config.json says so; None where it does not."""
    if not 0 < folder.names.get(FILE, 0) <= SMALL:
        return None
    document = folder.json(FILE)
    if not isinstance(document, Document) or not isinstance(document.value, dict):
        return None
    side = document.value.get("padding_side")
    return (side, Where(document.path, ("padding_side",))) if side in ("left", "right") else None
