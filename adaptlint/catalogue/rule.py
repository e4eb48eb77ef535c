"""A rule: the card of its page; code and name stand in the page's path and nowhere else."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from typing import NamedTuple

from adaptlint import tables

RULES = "rules/"


class Rule(NamedTuple):
    """One rule page's card; `claim` lists the reasons that it speaks for, empty for a rule with a check of its own."""

    code: str
    name: str
    family: str
    title: str
    severity: str
    consequence: str
    grain: str
    needs: tuple[str, ...]
    since: str
    targets: tuple[str, ...]
    claim: tuple[str, ...]
    fold: tuple[str, ...] | None
    says: str
    help: str
    notes: tuple[str, ...]
    path: str


@cache
def load_catalogue() -> tuple[Rule, ...]:
    """Every rule, by code."""
    pages = ((key, card) for key, card in tables.load().items() if key.startswith(RULES))
    return tuple(sorted((_rule(key, card) for key, card in pages), key=lambda rule: rule.code))


def _rule(key: str, card: dict[str, object]) -> Rule:
    _, family, file = key.split("/")
    code, _, name = file.removesuffix(".md").partition("-")

    def texts(field: str) -> tuple[str, ...]:
        value = card.get(field, ())
        return (value,) if isinstance(value, str) else tuple(value)  # type: ignore[arg-type]

    return Rule(
        code=code,
        name=name,
        family=family,
        title=str(card["title"]),
        severity=str(card["severity"]),
        consequence=str(card["consequence"]),
        grain=str(card["grain"]),
        needs=texts("needs"),
        since=str(card["since"]),
        targets=texts("targets"),
        claim=texts("claim"),
        fold=texts("fold") if "fold" in card else None,
        says=str(card["says"]),
        help=str(card["help"]),
        notes=texts("notes"),
        path=key,
    )


def read_page(rule: Rule) -> str:
    """The whole markdown text of a rule's page."""
    with open(tables.find_sources()[rule.path], encoding="utf-8") as page:
        return page.read()


def select(rules: Sequence[Rule], chosen: Sequence[str], ignored: Sequence[str]) -> tuple[Rule, ...]:
    """The rules whose code starts with (or whose name is) one of `chosen`, all if none, without those of `ignored`."""

    def hit(rule: Rule, words: Sequence[str]) -> bool:
        return any(rule.code.startswith(word.upper()) or rule.name == word for word in words)

    return tuple(rule for rule in rules if (not chosen or hit(rule, chosen)) and not hit(rule, ignored))
