"""An adapter or model folder: listed once, nothing followed out of it."""

from __future__ import annotations

import os
from collections.abc import Collection

from adaptlint.artefacts.documents import Document, read_json
from adaptlint.artefacts.opening import kind_of, not_opened, not_regular
from adaptlint.artefacts.tensor_files import INDEX_SUFFIX, TensorFile, read_sharded, read_tensors
from adaptlint.artefacts.words import LIMITS, Malformed, refusal


class Folder:
    """What lies in a folder.

    names  regular files -> size in bytes; links into the folder itself or its hub cache's `blobs` count as files
    odd    everything else -> "directory", "symlink-outside", "symlink-dangling", "fifo", "device", "socket",
           "unreadable"
    """

    __slots__ = ("_documents", "_tensors", "names", "odd", "path")

    def __init__(self, path: str, names: dict[str, int], odd: dict[str, str]) -> None:
        self.path, self.names, self.odd = path, names, odd
        self._documents: dict[str, Document | Malformed] = {}
        self._tensors: dict[str, TensorFile | Malformed] = {}

    def json(self, name: str) -> Document | Malformed:
        """The JSON file `name`, parsed once."""
        found = self._documents.get(name)
        if found is None:
            found = self._documents[name] = self._refused(name) or read_json(os.path.join(self.path, name))
        return found

    def tensors(self, name: str) -> TensorFile | Malformed:
        """The tensor file or index `name`, read once."""
        found = self._tensors.get(name)
        if found is None:
            found = self._tensors[name] = self._refused(name) or self._read_tensors(name)
        return found

    def drafted(self, documents: list[Document], tensors: list[TensorFile], without: Collection[str]) -> Folder:
        """The folder as it would be with these files in it, by the names of their paths, and `without` some it has."""
        paths = [*(document.path for document in documents), *(file.path for file in tensors)]
        made = dict.fromkeys(map(os.path.basename, paths), 0)
        names = {name: size for name, size in self.names.items() if name not in without} | made
        odd = {name: kind for name, kind in self.odd.items() if name not in without and name not in made}
        folder = Folder(self.path, dict(sorted(names.items())), odd)
        folder._documents = {os.path.basename(document.path): document for document in documents}
        folder._tensors = {os.path.basename(file.path): file for file in tensors}
        return folder

    def opened(self) -> list[Document | TensorFile | Malformed]:
        """Everything read so far."""
        return [*self._documents.values(), *self._tensors.values()]

    def _read_tensors(self, name: str) -> TensorFile | Malformed:
        path = os.path.join(self.path, name)
        return read_sharded(path, frozenset(self.names)) if name.endswith(INDEX_SUFFIX) else read_tensors(path)

    def _refused(self, name: str) -> Malformed | None:
        """Why `name` is not opened, None if it may be."""
        if name in self.names:
            return None
        path, kind = os.path.join(self.path, name), self.odd.get(name)
        if kind == "symlink-outside":
            return refusal(path, "outside-folder")
        if kind in (None, "symlink-dangling"):
            return refusal(path, "missing-file", ("FileNotFoundError", "No such file or directory"))
        if kind == "unreadable":
            return refusal(path, "unreadable-file")
        return not_regular(path, kind or "")


def open_folder(path: str) -> Folder | Malformed:
    """The folder at `path`; `Malformed` where there is none or it cannot be listed."""
    names: dict[str, int] = {}
    odd: dict[str, str] = {}
    try:
        roots: tuple[str, ...] = ()
        with os.scandir(path) as entries:
            for entry in entries:
                if len(names) + len(odd) >= LIMITS.folder_entries:
                    return refusal(path, "folder-too-large", limit=LIMITS.folder_entries)
                if entry.is_symlink():
                    roots = roots or allowed_roots(path)
                    kind = link_kind(entry.path, roots)
                    if kind:
                        odd[entry.name] = kind
                        continue
                try:
                    status = entry.stat()
                except OSError:
                    odd[entry.name] = "unreadable"
                    continue
                kind = kind_of(status.st_mode)
                if kind:
                    odd[entry.name] = kind
                else:
                    names[entry.name] = status.st_size
    except NotADirectoryError:
        return refusal(path, "not-a-folder")
    except (OSError, ValueError) as error:
        found = not_opened(path, error)
        return refusal(path, "missing-folder" if found.reason == "missing-file" else "unreadable-folder")
    return Folder(path, dict(sorted(names.items())), dict(sorted(odd.items())))


def link_kind(path: str, roots: tuple[str, ...]) -> str:
    """What is odd about the link at `path`; "" if it stays below one of `roots`."""
    target = os.path.realpath(path)
    if not target.startswith(roots):
        return "symlink-outside"
    return "" if os.path.exists(target) else "symlink-dangling"


def allowed_roots(path: str) -> tuple[str, ...]:
    """Where links may lead: below the folder, and for a snapshot of huggingface_hub's cache its sibling `blobs`."""
    real = os.path.realpath(path)
    roots = (real + os.sep,)
    head = real
    for _ in range(8):  # an adapter may lie some folders below its snapshot
        head, tail = os.path.split(head)
        if tail == "snapshots":
            return (*roots, os.path.join(head, "blobs") + os.sep)
    return roots
