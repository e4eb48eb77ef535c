"""How adapters fail in public, and which rules tell it."""

from __future__ import annotations

from adaptlint import tables
from adaptlint.named_tuple import NamedTuple

TABLE = "catalogue/failures.toml"


class FailureClass(NamedTuple):
    """One class: `rules` tell it (codes); `why` says what cannot be told, "" if nothing is left."""

    code: str
    group: str
    title: str
    rules: tuple[str, ...]
    why: str


def failure_classes() -> tuple[FailureClass, ...]:
    """Every class, group by group."""
    card = tables.load()[TABLE]
    return tuple(
        FailureClass(code, group, row["title"], tuple(row.get("rules", ())), card["why"].get(row.get("why"), ""))
        for group, about in card["group"].items()
        for code, row in about["class"].items()
    )


def group_titles() -> dict[str, str]:
    """What each group of classes is about."""
    return {name: about["title"] for name, about in tables.load()[TABLE]["group"].items()}
