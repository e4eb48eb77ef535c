"""A list of adapters in a file: JSON Lines, `{"adapter": FOLDER, "base": MODEL}`, the base where it is known."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator

LINES = 1_000_000
LINE = 100_000  # characters of one line
ENDINGS = (".jsonl", ".ndjson")


def read_manifest(path: str) -> Iterator[tuple[str, str | None]]:
    """(adapter folder, base or None) of every line; paths of the file count from its own folder.

    Raises ValueError with file and line for what is no such list.
    """
    home = os.path.dirname(path)
    try:
        with open(path, encoding="utf-8") as lines:
            for number, line in enumerate(iter(lambda: lines.readline(LINE), ""), 1):
                if number > LINES or len(line) == LINE:
                    raise ValueError(f"{path}:{number}: a manifest has up to {LINES} lines of {LINE} characters")
                if line.strip():
                    yield _entry(line, home, f"{path}:{number}")
    except (OSError, UnicodeDecodeError) as error:
        raise ValueError(f"{path} cannot be read: {getattr(error, 'strerror', None) or 'it is not UTF-8'}") from error


def _entry(line: str, home: str, at: str) -> tuple[str, str | None]:
    try:
        row = json.loads(line)
    except (ValueError, RecursionError) as error:
        raise ValueError(f"{at}: is not valid JSON") from error
    adapter = row.get("adapter") if isinstance(row, dict) else None
    base = row.get("base") if isinstance(row, dict) else None
    if not isinstance(adapter, str) or not adapter or not (base is None or isinstance(base, str)):
        raise ValueError(f'{at}: is not {{"adapter": FOLDER}} or {{"adapter": FOLDER, "base": MODEL}}')
    local = os.path.join(home, base) if base else None
    return os.path.join(home, adapter), local if local and os.path.exists(local) else base
