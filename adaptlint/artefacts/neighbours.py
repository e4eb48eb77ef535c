"""What lies around a folder: asked by name, a bounded number of times, and no link is followed."""

from __future__ import annotations

import os
import stat

from adaptlint.artefacts.folders import Folder

CHILDREN = 64
"""Folders inside a folder that are asked; of more, those with the highest numbers (checkpoint-500 before -100)."""


def has_file(folder: str, name: str) -> bool:
    """True if `folder` (itself no link) has a regular file `name` with something in it."""
    try:
        inside = stat.S_ISDIR(os.lstat(folder).st_mode)
        status = os.lstat(os.path.join(folder, name))
    except (OSError, ValueError):
        return False
    return inside and stat.S_ISREG(status.st_mode) and status.st_size > 0


def below(folder: Folder, name: str) -> str | None:
    """The path of the folder right below that has a file `name`: of several the one with the highest number."""
    children = [child for child, kind in folder.odd.items() if kind == "directory"]
    children.sort(key=_number, reverse=True)
    paths = (os.path.join(folder.path, child) for child in children[:CHILDREN])
    return next((path for path in paths if has_file(path, name)), None)


def above(path: str, name: str) -> str | None:
    """The folder that holds `path`, if it has a file `name`."""
    parent = os.path.dirname(os.path.normpath(path))
    return parent if parent != path and has_file(parent, name) else None


def _number(name: str) -> tuple[int, str]:
    """checkpoint-500 -> 500; names without a number come behind."""
    digits = name.rpartition("-")[2]
    return (int(digits) if digits.isdecimal() and len(digits) < 19 else -1, name)
