"""The baseline: findings that were known when it was written, so that only new ones are told.

A JSON file: `{"schema_version": "1", "adapters": {PATH: [{"code", "fingerprint", "message"}]}}`, paths counted from the
file's own folder. The message is for whoever reads the file; fingerprints decide.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping

from adaptlint.hints import Any
from adaptlint.named_tuple import NamedTuple
from adaptlint.settings.globs import inside

SCHEMA_VERSION = "1"
MESSAGE = 200  # characters of a message that are kept
_KEYS = ("code", "fingerprint", "message")

Entries = Mapping[str, tuple[Mapping[str, str], ...]]


class Baseline(NamedTuple):
    """What one baseline file says; `adapters` has entries by adapter path as seen from the file's folder."""

    path: str
    adapters: Entries

    def of(self, adapter: str) -> tuple[Mapping[str, str], ...]:
        """The entries of the adapter in this folder."""
        return self.adapters.get(self.key(adapter), ())

    def key(self, adapter: str) -> str:
        """The name of an adapter folder in the file."""
        return inside(os.path.dirname(os.path.abspath(self.path)), adapter)


def read_baseline(path: str) -> Baseline:
    """A baseline file. Raises ValueError with the reason in one sentence where it is missing or none of ours."""
    from adaptlint.artefacts import Document, read_json

    if not os.path.exists(path):
        raise ValueError(f"the baseline {path} does not exist; --write-baseline makes it")
    document = read_json(path)
    value = document.value if isinstance(document, Document) else None
    adapters = value.get("adapters") if isinstance(value, dict) and value.get("schema_version") == "1" else None
    if not isinstance(adapters, dict) or not all(map(_is_listed, adapters.values())):
        raise ValueError(f"{path} is no baseline of adaptlint")
    return Baseline(path, {key: tuple(entries) for key, entries in adapters.items()})


def updated(baseline: Baseline, adapter: str, now: Iterable[Mapping[str, str]], gone: Iterable[str]) -> Baseline:
    """The baseline with `now` as further entries of an adapter and without those whose fingerprints are `gone`."""
    dropped = set(gone)
    kept = {entry["fingerprint"]: entry for entry in baseline.of(adapter) if entry["fingerprint"] not in dropped}
    kept |= {entry["fingerprint"]: entry for entry in now}
    ordered = tuple(sorted(kept.values(), key=lambda entry: (entry["code"], entry["fingerprint"])))
    others = {key: entries for key, entries in baseline.adapters.items() if key != baseline.key(adapter)}
    return baseline._replace(adapters={**others, **({baseline.key(adapter): ordered} if ordered else {})})


def write_baseline(baseline: Baseline) -> None:
    """Write the file whole or not at all. Raises OSError."""
    import json

    from adaptlint.tables import write_atomic

    document = {"schema_version": SCHEMA_VERSION, "adapters": dict(sorted(baseline.adapters.items()))}
    text = json.dumps(document, indent=1) + "\n"
    write_atomic(os.path.realpath(baseline.path), text.encode())


def _is_listed(entries: Any) -> bool:
    return isinstance(entries, list) and all(
        isinstance(entry, dict) and all(isinstance(entry.get(key), str) for key in _KEYS) for entry in entries
    )
