"""Shape locks: a base's record as a small file that people can read, diff and commit."""

from __future__ import annotations

import json

from adaptlint.bases.base import Base, BaseProblem
from adaptlint.bases.folded import count_modules
from adaptlint.bases.record import FORMAT, is_record
from adaptlint.findings import Where
from adaptlint.hints import Any

LOCK_FORMAT = "adaptlint shape lock"
MAX_MODULES = 300_000
_WIDTH = 118


def is_lock(value: object) -> bool:
    """True if the parsed JSON claims to be a shape lock."""
    return isinstance(value, dict) and value.get("format") == LOCK_FORMAT


def lock_text(base: Base) -> str:
    """The lock as JSON that people can read; equal bases give equal text.

    Shapes that the base's own headers overruled are written as the headers have them.
    """
    record = {**base.record, "tree": base.tree}
    if base.overlay is not None and base.overlay.disagreements:
        record["header_shapes"] = [[name, list(own), list(table)] for name, own, table in base.overlay.disagreements]
    head = {"format": LOCK_FORMAT, "version": FORMAT, "checksum": _checksum(record)}
    return _render({**head, "asked": base.asked, **record}, 0) + "\n"


def read_lock(value: dict[str, Any], path: str) -> tuple[dict[str, Any], str | None] | BaseProblem:
    """The record that a lock holds and the class it was asked for; a BaseProblem for anything not whole."""
    at = Where(path)
    if value.get("version") != FORMAT:
        version = value.get("version")
        told = version if isinstance(version, int | str) else None
        return BaseProblem("lock-version-unknown", {"version": told, "known": FORMAT}, Where(path, ("version",)))
    record = {name: entry for name, entry in value.items() if name not in _HEAD}
    if value.get("checksum") != _checksum(record):
        return BaseProblem("lock-damaged", {"checksum": str(value.get("checksum"))}, Where(path, ("checksum",)))
    asked = value.get("asked")
    if not is_record(record) or not (asked is None or isinstance(asked, str)):
        return BaseProblem("lock-malformed", {}, at)
    try:
        modules = count_modules(record["tree"], MAX_MODULES)
    except (TypeError, ValueError, KeyError, AttributeError, RecursionError):
        return BaseProblem("lock-malformed", {"field": "tree"}, Where(path, ("tree",)))
    if modules > MAX_MODULES:
        return BaseProblem("base-too-large", {"field": "modules", "value": modules, "limit": MAX_MODULES}, at)
    return record, asked


_HEAD = ("format", "version", "checksum", "asked")


def _checksum(record: dict[str, Any]) -> str:
    import zlib

    text = json.dumps(record, separators=(",", ":"), sort_keys=True)
    return f"crc32:{zlib.crc32(text.encode('utf-8', 'surrogatepass')):08x}"


def _render(value: Any, depth: int) -> str:
    """JSON with whatever fits on one line kept on one line."""
    compact = json.dumps(value)
    if not isinstance(value, dict | list) or not value or len(compact) + depth < _WIDTH:
        return compact
    margin = " " * (depth + 1)
    if isinstance(value, dict):
        inner = [f"{margin}{json.dumps(key)}: {_render(entry, depth + 1)}" for key, entry in value.items()]
        return "{\n" + ",\n".join(inner) + "\n" + " " * depth + "}"
    inner = [margin + _render(entry, depth + 1) for entry in value]
    return "[\n" + ",\n".join(inner) + "\n" + " " * depth + "]"
