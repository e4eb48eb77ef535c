"""What can be done to a healthy adapter folder: edits of its tensor list, and edits of its files."""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Callable, Mapping

from adaptlint.hints import Any
from adaptlint.testing.writing import Entry

Edit = Mapping[str, Any]


def drop(entries: list[Entry], edit: Edit) -> list[Entry]:
    """Leave out the tensors whose name matches."""
    return [entry for entry in entries if not re.search(edit["match"], entry.name)]


def rename(entries: list[Entry], edit: Edit) -> list[Entry]:
    """Replace what matches in every name by `to` (a `re.sub` replacement); `match` = "^" puts a prefix in front."""
    return [entry._replace(name=re.sub(edit["match"], edit["to"], entry.name, count=1)) for entry in entries]


def changed(entries: list[Entry], edit: Edit, **fields: Any) -> list[Entry]:
    """The matching entries with some fields replaced."""
    return [entry._replace(**fields) if re.search(edit["match"], entry.name) else entry for entry in entries]


def duplicate(entries: list[Entry], edit: Edit) -> list[Entry]:
    """Write the matching tensors twice under one name; `shape` gives the second one another shape."""
    twice: list[Entry] = []
    for entry in entries:
        twice.append(entry)
        if re.search(edit["match"], entry.name):
            twice.append(entry._replace(shape=tuple(edit.get("shape", entry.shape))))
    return twice


TENSOR_EDITS: dict[str, Callable[[list[Entry], Edit], list[Entry]]] = {
    "drop": drop,
    "rename": rename,
    "reshape": lambda entries, edit: changed(entries, edit, shape=tuple(edit["shape"])),
    "dtype": lambda entries, edit: changed(entries, edit, dtype=edit["dtype"]),
    "fill": lambda entries, edit: changed(entries, edit, values=edit["values"]),
    "duplicate": duplicate,
}


def truncate(path: str, edit: Edit) -> None:
    """Cut the file to `at` bytes; a negative `at` cuts that many bytes off its end."""
    at = int(edit["at"])
    os.truncate(path, at if at >= 0 else max(0, os.path.getsize(path) + at))


def write(path: str, edit: Edit) -> None:
    """Make the file hold exactly `text` (UTF-8), or the bytes spelled in `hex`."""
    with open(path, "wb") as file:
        file.write(bytes.fromhex(edit["hex"]) if "hex" in edit else edit["text"].encode())


def replace(path: str, edit: Edit) -> None:
    """Replace the text `find` by `with` everywhere in the file; ValueError where it does not occur."""
    with open(path, "rb") as file:
        before = file.read()
    after = before.replace(edit["find"].encode(), edit["with"].encode())
    if after == before:
        raise ValueError(f"{edit['find']!r} does not occur in {os.path.basename(path)}")
    with open(path, "wb") as file:
        file.write(after)


def overwrite(path: str, edit: Edit) -> None:
    """Replace the bytes from `at` on by those spelled in `hex`."""
    with open(path, "r+b") as file:
        file.seek(int(edit["at"]))
        file.write(bytes.fromhex(edit["hex"]))


def append(path: str, edit: Edit) -> None:
    """Put the bytes spelled in `hex` at the end of the file."""
    with open(path, "ab") as file:
        file.write(bytes.fromhex(edit["hex"]))


def remove(path: str, edit: Edit) -> None:
    """Take the file away, or with `file` = "." the folder."""
    del edit
    if os.path.isdir(path):
        shutil.rmtree(os.path.normpath(path))  # rmtree refuses "adapter/."
    else:
        os.unlink(path)


def move(path: str, edit: Edit) -> None:
    """Give the file the name `to`, in a folder below if that has a slash."""
    target = os.path.join(os.path.dirname(path), edit["to"])
    os.makedirs(os.path.dirname(target), exist_ok=True)
    os.replace(path, target)


def pack(path: str, edit: Edit) -> None:
    """Put the `files` beside `path` into a zip under that name, and take them away; dates are fixed."""
    import zipfile

    with zipfile.ZipFile(path, "w") as archive:
        for name in edit["files"]:
            source = os.path.join(os.path.dirname(path), name)
            with open(source, "rb") as file:
                archive.writestr(zipfile.ZipInfo(name), file.read())
            os.unlink(source)


FILE_EDITS: dict[str, Callable[[str, Edit], None]] = {
    "truncate": truncate,
    "write": write,
    "replace": replace,
    "overwrite": overwrite,
    "append": append,
    "remove": remove,
    "move": move,
    "pack": pack,
}
