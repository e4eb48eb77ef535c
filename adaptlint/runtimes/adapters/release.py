"""One release of AdapterHub's library, asked by the names of facts: `release.opens_safely`. They are releases.toml."""

from __future__ import annotations

from adaptlint import tables
from adaptlint.hints import Any
from adaptlint.runtimes.adapters.sites import Site
from adaptlint.runtimes.peft.release import parse_version

RELEASES = "runtimes/adapters/releases.toml"


class HubRelease:
    """A release of `adapters`; every fact of releases.toml is an attribute."""

    __slots__ = ("facts", "text", "version")

    def __init__(self, version: str) -> None:
        self.text = version
        self.version = parse_version(version)
        self.facts = {row["name"]: self._holds(row.get("since", "0"), row.get("until")) for row in _card()["fact"]}

    def __getattr__(self, fact: str) -> bool:
        try:
            return self.facts[fact]
        except KeyError:
            raise AttributeError(f"releases.toml has no fact {fact!r}") from None

    def _holds(self, since: str, until: str | None) -> bool:
        return self.reached(since) and not (until is not None and self.reached(until))

    def reached(self, version: str) -> bool:
        """True for this release and all later ones."""
        return self.version >= parse_version(version)

    @property
    def transformers(self) -> str:
        """The release of transformers that it pins; "" for releases before those that were read."""
        rows = [row["transformers"] for row in _card()["runs_on"] if self.reached(row["since"])]
        return str(rows[-1]) if rows else ""

    def prefix_width(self, site: Site) -> int:
        """How wide a prefix is in one layer: the heads that this release gives it, times their width."""
        queries, keys = site.heads
        wide = site.width_out // keys if keys else 0
        return (keys if self.prefix_has_key_heads else queries) * wide


def newest() -> str:
    """The newest release that was read."""
    return str(_card()["newest"])


def is_modelled(version: str) -> bool:
    """True for releases from the oldest of the table to the newest minor release that was read."""
    asked = parse_version(version)
    return bool(asked) and asked >= parse_version(_card()["oldest"]) and asked[:2] <= parse_version(newest())[:2]


def _card() -> dict[str, Any]:
    card: dict[str, Any] = tables.load()[RELEASES]
    return card
