"""The cache of built bases: one file per config, class and library release, read without torch."""

from __future__ import annotations

import json
import os

from adaptlint.bases.record import FORMAT, NOTED, is_record
from adaptlint.bases.versions import installed_versions
from adaptlint.hints import Any
from adaptlint.tables import cache_folder, read_sealed, write_sealed

LIBRARIES = ("transformers", "torch")
_LABEL = f"adaptlint-base-{FORMAT}.{NOTED}"


def base_key(config: dict[str, Any], asked: str | None) -> str:
    """Fingerprint of what a build depends on besides the libraries: the config's content and the class asked for."""
    text = json.dumps([FORMAT, config, asked], separators=(",", ":"))
    return _digest(text.encode("utf-8", "surrogatepass"))


def cached_record(key: str) -> dict[str, Any] | None:
    """The entry made with the installed releases; where they are not installed, the one of the newest transformers."""
    found = installed_versions(LIBRARIES)
    if len(found) == len(LIBRARIES):
        return _read(_entry_path(key, found), key)
    for name in _entries_newest_first(key):
        record = _read(os.path.join(_folder(), name), key)
        if record is not None:
            return record
    return None


def keep_record(key: str, record: dict[str, Any]) -> None:
    """Write the entry; a cache that cannot be written is no error."""
    body = json.dumps(record, separators=(",", ":")).encode("utf-8", "surrogatepass")
    write_sealed(_entry_path(key, record["made_with"]), f"{_LABEL} {key}", body)


def _read(path: str, key: str) -> dict[str, Any] | None:
    body = read_sealed(path, f"{_LABEL} {key}")
    if body is None:
        return None
    try:
        record: object = json.loads(body)
    except ValueError:
        return None
    return record if isinstance(record, dict) and is_record(record) else None


def _folder() -> str:
    return os.path.join(cache_folder(), "bases")


def _entry_path(key: str, made_with: dict[str, str]) -> str:
    return os.path.join(_folder(), f"{key}_{made_with['transformers']}_{made_with['torch']}.json")


def _entries_newest_first(key: str) -> list[str]:
    try:
        names = os.listdir(_folder())
    except OSError:
        return []
    ours = [name for name in names if name.startswith(key + "_") and name.endswith(".json")]
    return sorted(ours, key=_release, reverse=True)


def _release(name: str) -> tuple[list[int], str]:
    release = name.split("_")[1]
    return [int(part) if part.isdecimal() else -1 for part in release.split(".")], name


def _digest(content: bytes) -> str:
    try:
        from _blake2 import blake2b  # hashlib would load OpenSSL: 3 ms
    except ImportError:
        from hashlib import blake2b
    return blake2b(content, digest_size=20).hexdigest()
