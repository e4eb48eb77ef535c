"""Why not one name of a file is the one that PEFT looks for: the known wrappers, tried one after the other."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable
from itertools import chain

from adaptlint import tables
from adaptlint.bases import Base

TABLE = "runtimes/peft/wrapper_prefixes.toml"
UNKNOWN = "another class, library or release, which gives the modules other names"
NAME_LENGTH = 1_000  # characters; longer names are no module paths


def cause_of(found: str, wanted: Collection[str], base: Base) -> str:
    """What turns `found` into a wanted name, in words: one known wrapper, or two."""
    if len(found) > NAME_LENGTH:
        return UNKNOWN
    once = list(_repaired(found, base, general=False))
    twice = ((again, f"{cause}; and {more}") for name, cause in once for again, more in _repaired(name, base, False))
    for name, cause in chain(once, twice, _repaired(found, base, general=True)):
        if name in wanted:
            return cause
    theirs, ours = _leaves([found]), _leaves(wanted)
    if theirs and not theirs & ours:
        return f"the file adapts {', '.join(sorted(theirs))} and the config {', '.join(sorted(ours))}"
    return UNKNOWN


def _repaired(name: str, base: Base, general: bool) -> Iterable[tuple[str, str]]:
    body = str(base.features.get("base_model_prefix") or "")
    for row in tables.load()[TABLE]["wrapper"]:
        if row.get("general", False) != general or ("{body}" in row["match"] + row["to"] and not body):
            continue
        pattern = row["match"].replace("{body}", re.escape(body))
        repaired = re.sub(pattern, row["to"].replace("{body}", body), name)
        if repaired != name:
            yield repaired, row["cause"].replace("{body}", body)


def _leaves(names: Iterable[str]) -> set[str]:
    return {name.partition(".lora_")[0].rpartition(".")[2] for name in names if ".lora_" in name}
