"""Every TOML table and rule card as one mapping, compiled to JSON once because TOML is slow to read.

A wheel carries the compiled bundle (written by hatch_build.py, which loads this file alone: standard library only at
import time). A checkout compiles into the cache under a fingerprint of the files' names, sizes and times.
"""

from __future__ import annotations

import os
import re
from typing import Any

PACKAGE = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
BUNDLE = "bundle.json"
_CARD = re.compile(r"^```toml rule[ \t]*\n(.*?)^```[ \t]*$", re.MULTILINE | re.DOTALL)
_TITLE = re.compile(r"^# +(.+?)[ \t]*$", re.MULTILINE)
_loaded: dict[str, Any] | None = None


class TableError(ValueError):
    """A table or rule page of ours that cannot be read; the message names the file."""


def load() -> dict[str, Any]:
    """All tables by path: "methods/lora.toml" -> table, "rules/shape/AL301-....md" -> {"title": ..., card's fields}.

    Raises TableError for a broken page or table, which only a checkout can have.
    """
    global _loaded
    if _loaded is None:
        _loaded = _shipped_bundle() or _checkout_bundle()
    return _loaded


def compile_tables(sources: dict[str, str]) -> dict[str, Any]:
    """Read the files of `sources` (key in the bundle -> file on disk). Raises TableError."""
    import tomllib

    tables: dict[str, Any] = {}
    for key, path in sorted(sources.items()):
        with open(path, encoding="utf-8") as stream:
            text = stream.read()
        try:
            tables[key] = _read_page(text) if key.endswith(".md") else tomllib.loads(text)
        except (tomllib.TOMLDecodeError, ValueError) as error:
            raise TableError(f"{path}: {error}") from None
    return tables


def find_sources(package: str | None = None) -> dict[str, str]:
    """Bundle key -> file, for every `*.toml` in the package and every rule page beside it (or in its `_rules`)."""
    return {key: path for key, path, _ in _source_rows(package or PACKAGE)}


def _source_rows(package: str) -> list[tuple[str, str, os.stat_result]]:
    shipped = os.path.join(package, "_rules")
    rules = shipped if os.path.isdir(shipped) else os.path.join(os.path.dirname(package), "rules")
    pages = [row for row in _walk(rules, "rules/", ".md") if not row[0].endswith("/README.md")]
    return _walk(package, "", ".toml") + pages


def _read_page(text: str) -> dict[str, Any]:
    import tomllib

    title, card = _TITLE.search(text), _CARD.search(text)
    if title is None or card is None:
        raise ValueError("a rule page needs a `# Title` and a ```toml rule card")
    return {"title": title.group(1), **tomllib.loads(card.group(1))}


def _walk(folder: str, prefix: str, ending: str) -> list[tuple[str, str, os.stat_result]]:
    """(key, path, stat) of files under `folder`, in name order; dot and dunder folders are not looked into."""
    rows: list[tuple[str, str, os.stat_result]] = []
    try:
        entries = sorted(os.scandir(folder), key=lambda entry: entry.name)
    except OSError:
        return rows
    for entry in entries:
        if entry.name.startswith((".", "__", "_rules")):
            continue
        if entry.is_dir(follow_symlinks=False):
            rows += _walk(entry.path, f"{prefix}{entry.name}/", ending)
        elif entry.name.endswith(ending):
            rows.append((prefix + entry.name, entry.path, entry.stat()))
    return rows


def _shipped_bundle() -> dict[str, Any] | None:
    import json

    try:
        with open(os.path.join(PACKAGE, "_rules", BUNDLE), "rb") as stream:
            tables: dict[str, Any] = json.loads(stream.read())
    except (OSError, ValueError):
        return None
    return tables


def _checkout_bundle() -> dict[str, Any]:
    import json
    import zlib

    from adaptlint.tables.files import cache_folder, read_sealed, write_sealed

    rows = _source_rows(PACKAGE)
    marks = "\n".join(f"{key} {stat.st_size} {stat.st_mtime_ns}" for key, _, stat in rows)
    label = f"adaptlint-tables-1 {zlib.crc32(marks.encode()):08x}-{len(marks)}"
    place = os.path.join(cache_folder(), f"tables-{zlib.crc32(PACKAGE.encode()):08x}.json")
    body = read_sealed(place, label)
    if body is None:
        tables = compile_tables({key: path for key, path, _ in rows})
        write_sealed(place, label, json.dumps(tables, separators=(",", ":"), default=str).encode())
        return tables
    cached: dict[str, Any] = json.loads(body)
    return cached
