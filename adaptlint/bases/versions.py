"""Which releases are installed, read from folder names: `importlib.metadata` costs more than a whole warm check."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable
from functools import lru_cache

_ENDINGS = (".dist-info", ".egg-info")


def installed_versions(names: Iterable[str]) -> dict[str, str]:
    """Release of each named distribution that the running interpreter would import, without its local part
    ("2.13.0", not "2.13.0+cpu"); those not installed are left out.

    `names` are normalised ones ("huggingface_hub"). The first folder of sys.path wins, as for imports.
    """
    return dict(_releases(tuple(sys.path), frozenset(names)))


@lru_cache(maxsize=16)
def _releases(folders: tuple[str, ...], wanted: frozenset[str]) -> tuple[tuple[str, str], ...]:
    """Looked up once per process and search path: what is imported does not change under a running interpreter."""
    found: dict[str, str] = {}
    for folder in folders:
        try:
            entries = os.listdir(folder or ".")
        except OSError:
            continue
        for entry in entries:
            if entry.endswith(_ENDINGS):
                name, _, release = entry.rpartition(".")[0].partition("-")
                name = name.lower().replace(".", "_")
                if name in wanted:
                    found.setdefault(name, release.partition("-")[0].partition("+")[0])
        if wanted == found.keys():
            break
    return tuple(found.items())
