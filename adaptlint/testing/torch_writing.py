"""Torch checkpoints written from shapes alone, without torch: a zip with one pickle and a file per tensor."""

from __future__ import annotations

import random
import zipfile
from collections.abc import Iterable

from adaptlint.artefacts.torch_writing import VERSION, member, state_dict_pickle
from adaptlint.testing.writing import HOLES, Entry, entry_values


def write_torch(path: str, entries: Iterable[Entry], seed: int = 0) -> None:
    """Write a state dict as `torch.save` does. KeyError for a dtype that has no storage here."""
    rows = list(entries)
    source = random.Random(seed)  # noqa: S311 - test data, not secrets
    with zipfile.ZipFile(path, "w", zipfile.ZIP_STORED) as archive:
        _put(archive, "data.pkl", state_dict_pickle((row.name, row.dtype, row.shape) for row in rows))
        _put(archive, "byteorder", b"little")
        for number, row in enumerate(rows):
            data = bytes(row.size) if row.values in HOLES else entry_values(row, source)
            _put(archive, f"data/{number}", data)
        _put(archive, "version", VERSION)


def _put(archive: zipfile.ZipFile, name: str, data: bytes) -> None:
    archive.writestr(zipfile.ZipInfo(member(name)), data)
