"""Whose files these are: signs from a table, held against names of files, config keys and tensor names."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping

from adaptlint import tables
from adaptlint.hints import Any
from adaptlint.methods import PEFT_PREFIX
from adaptlint.named_tuple import NamedTuple

TABLE = "dialects/dialects.toml"
TENSORS = 200  # names that are looked at, evenly spread
NAME_LENGTH = 300  # characters of a name that are looked at
FILES = 2_000  # names of files that are looked at


class Evidence(NamedTuple):
    """Names of files, keys of adapter_config.json, names of the tensors in the folder's weight file."""

    files: tuple[str, ...] = ()
    config: Collection[str] = ()
    tensors: tuple[str, ...] = ()


class Sighting(NamedTuple):
    """The reason of the first dialect that fits, what gave it away (a file, tensor or config key), that config key."""

    reason: str
    sign: str
    key: str = ""


def recognise(evidence: Evidence) -> Sighting | None:
    """The dialect of a folder; None if no sign of the table holds."""
    names = spread(evidence.tensors)
    for dialect in tables.load()[TABLE]["dialect"]:
        for sign in dialect["signs"]:
            shown = _shown(sign, evidence, names)
            if shown:
                return Sighting(dialect["reason"], shown, next(iter(sign.get("config", ())), ""))
    return None


def readers_of(reason: str) -> frozenset[str]:
    """The targets, besides PEFT's, that read such files themselves."""
    rows = (row for row in tables.load()[TABLE]["dialect"] if row["reason"] == reason)
    return frozenset(reader for row in rows for reader in row.get("read_by", ()))


def spread(names: Iterable[str]) -> list[str]:
    """At most `TENSORS` of the names, evenly spread, each cut to `NAME_LENGTH`."""
    every = list(names)
    step = -(-len(every) // TENSORS) or 1
    return [name[:NAME_LENGTH] for name in every[::step]]


def _shown(sign: Mapping[str, Any], evidence: Evidence, names: list[str]) -> str:
    """What shows that the sign holds; "" if it does not."""
    shown = ""
    if "config" in sign:
        if not all(key in evidence.config for key in sign["config"]):
            return ""
        shown = f"its config has {' and '.join(sign['config'])}"
    if "files" in sign:
        file = _file(sign["files"], evidence.files)
        if not file:
            return ""
        shown = file
    if "tensors" in sign:
        tensor = _tensor(sign["tensors"], names, sign.get("peft_keys", False))
        if not tensor:
            return ""
        shown = tensor
    return "" if "lacks" in sign and _any(sign["lacks"], names) else shown


def _file(globs: Iterable[str], files: Iterable[str]) -> str:
    from fnmatch import fnmatchcase
    from itertools import islice

    listed = list(globs)
    return next((file for file in islice(files, FILES) if any(fnmatchcase(file, pattern) for pattern in listed)), "")


def _tensor(pattern: str, names: list[str], peft_keys: bool) -> str:
    """The first name that matches, if half of all names do."""
    import re

    search = re.compile(pattern).search
    hits = [name for name in names if (peft_keys or PEFT_PREFIX not in name) and search(name)]
    return hits[0] if hits and 2 * len(hits) >= len(names) else ""


def _any(pattern: str, names: list[str]) -> bool:
    import re

    search = re.compile(pattern).search
    return any(search(name) for name in names)
