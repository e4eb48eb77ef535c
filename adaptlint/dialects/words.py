"""The word of this room."""

from __future__ import annotations

from collections.abc import Mapping

from adaptlint.findings import Fact, Where
from adaptlint.named_tuple import NamedTuple


class Insight(NamedTuple):
    """What an adapter really is.

    `explains` are the reasons of the faults that it takes the place of; with one of `unless` among the adapter's
    faults, and none of the others, it is no news.
    """

    reason: str
    facts: Mapping[str, Fact]
    explains: tuple[str, ...]
    unless: tuple[str, ...] = ()
    at: Where | None = None
    repair: str = ""  # as in Fault
