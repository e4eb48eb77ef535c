"""Bytes in, documents out: the only room that opens users' files."""

from __future__ import annotations

from collections.abc import Iterable

from adaptlint.artefacts.documents import Document, parse_json, read_json
from adaptlint.artefacts.folders import Folder, open_folder
from adaptlint.artefacts.tensor_files import TensorFile, read_tensors
from adaptlint.artefacts.words import BITS, LIMITS, Limits, Malformed, TensorRow, ValueRow

__all__ = [
    "BITS",
    "LIMITS",
    "Document",
    "Folder",
    "Limits",
    "Malformed",
    "TensorFile",
    "TensorRow",
    "ValueRow",
    "added_token_ids",
    "open_folder",
    "parse_json",
    "read_json",
    "read_tensors",
    "scan_values",
]


def scan_values(file: TensorFile, names: Iterable[str], full: bool) -> dict[str, ValueRow]:
    """What the values of `names` are like; all of them, or (not `full`) blocks from head, middle and tail.

    Tensors whose bytes cannot be looked at (no dense block in the file, file gone or cut short) are absent.
    """
    from adaptlint.artefacts.values import scan

    return scan(file, names, full)


def added_token_ids(folder: Folder) -> tuple[str, tuple[int, ...]]:
    """The file of a folder that says which tokens were added to its tokenizer, and their ids; ("", ()) if none does."""
    from adaptlint.artefacts.added_tokens import read_added_token_ids

    return read_added_token_ids(folder)
