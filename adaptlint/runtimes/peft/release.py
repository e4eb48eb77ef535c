"""One release of PEFT, asked by the names of facts: `release.warns_missing`. The facts are releases.toml."""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import lru_cache

from adaptlint import tables
from adaptlint.hints import Any

RELEASES = "runtimes/peft/releases.toml"
PEFT = "runtimes/peft/peft.toml"
Version = tuple[int, ...]


@lru_cache(maxsize=256)  # a check asks each of the few that the tables name many times
def parse_version(text: str) -> Version:
    """The numbers that a version starts with: (0, 15, 0) of "0.15.0rc1"; empty when it starts with none."""
    found = re.match(r"\d+(?:\.\d+)*", text)
    return tuple(int(part[:9]) for part in found.group().split(".")) if found else ()


class Release:
    """A release of PEFT on a release of transformers; every fact of releases.toml is an attribute."""

    __slots__ = ("card", "facts", "transformers", "version")

    def __init__(self, version: str, transformers: str) -> None:
        self.card: Mapping[str, Any] = tables.load()[RELEASES]
        self.version = parse_version(version)
        self.transformers = parse_version(transformers)
        self.facts = {row["name"]: self._holds(row) for row in self.card["fact"]}

    def __getattr__(self, fact: str) -> bool:
        try:
            return self.facts[fact]
        except KeyError:
            raise AttributeError(f"releases.toml has no fact {fact!r}") from None

    def _holds(self, row: Mapping[str, Any]) -> bool:
        started = self.reached(row.get("since", "0"))
        ended = "until" in row and self.reached(row["until"])
        return started and not ended and self.transformers[:1] >= (row.get("transformers", 0),)

    def reached(self, version: str) -> bool:
        """True for this release of PEFT and all later ones."""
        return self.version >= parse_version(version)

    def has(self, table: str, name: str) -> bool:
        """True if this release has the field, type, initialisation or default target of that name.

        A name that its table does not list is taken to be older than the table.
        """
        gone = self.card.get(f"{table}_gone", {}).get(name)
        return self.reached(self.card[table].get(name, "0")) and (gone is None or not self.reached(gone))

    def has_field(self, field: str, since: Mapping[str, str]) -> bool:
        """True if this release's config has the field: by the method's own table, else by the one of all configs."""
        return self.reached(since[field]) if field in since else self.has("fields", field)

    @property
    def generating_is_inherited(self) -> bool:
        """True if every model of that transformers has prepare_inputs_for_generation (seen up to 4.51.3)."""
        return self.transformers < (4, 52)


def is_modelled(version: str) -> bool:
    """True for releases from the oldest of the table to the newest minor release that was read."""
    oldest: str = tables.load()[RELEASES]["oldest"]
    newest: str = tables.load()[PEFT]["newest"]
    return parse_version(oldest) <= parse_version(version) and parse_version(version)[:2] <= parse_version(newest)[:2]


def transformers_of_its_time(version: str) -> str | None:
    """The transformers that users of an old release ran it on; None where it runs on the newest too."""
    for row in tables.load()[RELEASES]["runs_on"]:
        if parse_version(version) < parse_version(row["until"]):
            found: str = row["transformers"]
            return found
    return None
