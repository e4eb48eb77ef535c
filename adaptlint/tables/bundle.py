"""Every TOML table and rule card as one mapping, compiled to JSON once because TOML is slow to read.

A compiled bundle has a line for each table: its key, a tab, its JSON. A table is parsed when it is asked for, so that a
check pays for those that it reads, however many there are.

A wheel carries the compiled bundle (written by hatch_build.py, which loads this file alone: standard library only at
import time). A checkout compiles into the cache under a fingerprint of the files' names, sizes and times.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any
else:
    Any = object

PACKAGE = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
BUNDLE = "bundle.jsonl"
RULES = "rules/"
SHORT = "catalogue/short.toml"  # a table made of the rules' cards: what every check asks of every rule
_CARD = r"(?ms)^```toml rule[ \t]*\n(.*?)^```[ \t]*$"
_TITLE = r"(?m)^# +(.+?)[ \t]*$"
_loaded: Mapping[str, Any] | None = None


class TableError(ValueError):
    """A table or rule page of ours that cannot be read; the message names the file."""


class Tables(Mapping[str, Any]):
    """The tables of a compiled bundle; ValueError for one that is damaged."""

    def __init__(self, compiled: bytes) -> None:
        lines = (line.partition(b"\t") for line in compiled.split(b"\n") if line)
        self._texts = {key.decode(): text for key, _, text in lines}
        self._parsed: dict[str, Any] = {}

    def __getitem__(self, key: str) -> Any:
        if key not in self._parsed:
            import json

            self._parsed[key] = json.loads(self._texts[key])
        return self._parsed[key]

    def __iter__(self) -> Iterator[str]:
        return iter(self._texts)

    def __len__(self) -> int:
        return len(self._texts)


def load() -> Mapping[str, Any]:
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
    return {**tables, SHORT: {key: _short(card) for key, card in tables.items() if key.startswith(RULES)}}


def _short(card: Mapping[str, Any]) -> dict[str, Any]:
    lists = {field: card.get(field, []) for field in ("needs", "claim", "when")}
    texts = {field: [each] if isinstance(each, str) else each for field, each in lists.items()}
    return {"grain": card.get("grain", ""), **texts, "reasons": [*card.get("problem", {})]}


def compiled(tables: Mapping[str, Any]) -> bytes:
    """The bundle of these tables, as `Tables` reads it."""
    import json

    rows = (f"{key}\t{json.dumps(table, separators=(',', ':'), default=str)}" for key, table in tables.items())
    return "\n".join(rows).encode()


def find_sources(package: str | None = None) -> dict[str, str]:
    """Bundle key -> file, for every `*.toml` in the package and every rule page beside it (or in its `_rules`)."""
    return {key: path for key, path, _ in _source_rows(package or PACKAGE)}


def _source_rows(package: str) -> list[tuple[str, str, os.stat_result]]:
    shipped = os.path.join(package, "_rules")
    rules = shipped if os.path.isdir(shipped) else os.path.join(os.path.dirname(package), "rules")
    pages = [row for row in _walk(rules, RULES, ".md") if not row[0].endswith("/README.md")]
    return _walk(package, "", ".toml") + pages


def _read_page(text: str) -> dict[str, Any]:
    import re
    import tomllib

    title, card = re.search(_TITLE, text), re.search(_CARD, text)
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


def _shipped_bundle() -> Tables | None:
    try:
        with open(os.path.join(PACKAGE, "_rules", BUNDLE), "rb") as stream:
            return Tables(stream.read())
    except OSError:
        return None


def _checkout_bundle() -> Tables:
    import zlib

    from adaptlint.tables.files import cache_folder, read_sealed, write_sealed

    rows = _source_rows(PACKAGE)
    marks = "\n".join(f"{key} {stat.st_size} {stat.st_mtime_ns}" for key, _, stat in rows)
    label = f"adaptlint-tables-3 {zlib.crc32(marks.encode()):08x}-{len(marks)}"
    place = os.path.join(cache_folder(), f"tables-{zlib.crc32(PACKAGE.encode()):08x}.jsonl")
    body = read_sealed(place, label)
    if body is None:
        body = compiled(compile_tables({key: path for key, path, _ in rows}))
        write_sealed(place, label, body)
    return Tables(body)
