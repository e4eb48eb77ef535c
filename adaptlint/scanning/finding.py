"""Adapter folders below a folder."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence

from adaptlint.graph.scene import CONFIG, WEIGHTS
from adaptlint.settings.globs import covers, inside

ADAPTER_FILES = frozenset((CONFIG, *WEIGHTS))
PASSED_OVER = frozenset(("node_modules", "__pycache__", "site-packages"))
FOLDERS = 1_000_000  # folders that one walk looks into


def is_adapter_folder(path: str) -> bool:
    """True for a folder with a file that an adapter is known by, whatever is in that file."""
    return any(os.path.lexists(os.path.join(path, name)) for name in sorted(ADAPTER_FILES))


def adapter_folders(top: str, exclude: Sequence[str] = (), root: str = "") -> Iterator[str]:
    """Adapter folders at and below `top`, in the order of their paths; links are not followed.

    Hidden folders, environments and what `exclude` covers (globs that count from `root`) are passed over.
    """
    seen = 0
    for path, folders, files in os.walk(top):
        seen += 1
        if seen > FOLDERS or any(covers(pattern, inside(root or top, path)) for pattern in exclude):
            folders.clear()
            continue
        folders[:] = sorted(name for name in folders if name[:1] != "." and name not in PASSED_OVER)
        if "pyvenv.cfg" in files:
            folders.clear()
        elif not ADAPTER_FILES.isdisjoint(files):
            yield path
