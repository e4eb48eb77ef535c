"""A rule: the card of its page; code and name stand in the page's path and nowhere else."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cache

from adaptlint import tables
from adaptlint.findings import Fact
from adaptlint.named_tuple import NamedTuple

RULES = "rules/"


class Rule(NamedTuple):
    """One rule page's card; `claim` lists the reasons that it speaks for, empty for a rule with a check of its own.

    `fold` names the facts in which faults of one finding are equal, `gather` those of which it lists all values.
    `problem` has the words for a reason, told as {problem} in `says`: one template, or several of which the first is
    taken whose facts are all known. `when` lists fields of the adapter's config of which one must be set for the rule's
    own check to be run; empty: always. `fix` says what `adaptlint fix` does about faults that it can undo.
    """

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
    gather: tuple[str, ...]
    says: str
    help: str
    notes: tuple[str, ...]
    problem: Mapping[str, tuple[str, ...]]
    when: tuple[str, ...]
    fix: str
    path: str


@cache
def load_catalogue() -> tuple[Rule, ...]:
    """Every rule, by code."""
    compiled = tables.load()
    pages = (_rule(key, compiled[key]) for key in compiled if key.startswith(RULES))
    return tuple(sorted(pages, key=lambda rule: rule.code))


def _rule(key: str, card: dict[str, object]) -> Rule:
    _, family, file = key.split("/")
    code, _, name = file.removesuffix(".md").partition("-")

    def texts(field: str) -> tuple[str, ...]:
        return _texts(card.get(field, ()))

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
        gather=texts("gather"),
        says=str(card["says"]),
        help=str(card["help"]),
        notes=texts("notes"),
        problem={reason: _texts(words) for reason, words in card.get("problem", {}).items()},  # type: ignore[attr-defined]
        when=texts("when"),
        fix=str(card.get("fix", "")),
        path=key,
    )


def _texts(value: object) -> tuple[str, ...]:
    return (value,) if isinstance(value, str) else tuple(value)  # type: ignore[arg-type]


@cache
def problems() -> dict[str, tuple[str, ...]]:
    """The words for every reason that some page has words for."""
    return {reason: words for rule in load_catalogue() for reason, words in rule.problem.items()}


def problem_of(reason: str, facts: Mapping[str, Fact], spoken: Mapping[str, str]) -> str:
    """What is wrong, in the words that a page has for the fact `fault`, else for `reason`; "" where none has any.

    `spoken` has the facts as text. A `fault` is told inside the words for the reason, as {fault}, if they ask for it.
    """
    words = dict(spoken)
    fault = facts.get("fault")
    if isinstance(fault, str):
        words["fault"] = _first_complete(problems().get(fault, ()), words) or fault.replace("-", " ")
    return _first_complete(problems().get(reason, ()), words) or words.get("fault", "")


def _first_complete(templates: Sequence[str], words: Mapping[str, str]) -> str:
    for template in templates:
        try:
            return template.format_map(words)
        except KeyError:
            continue
    return ""


def read_page(rule: Rule) -> str:
    """The whole markdown text of a rule's page."""
    with open(tables.find_sources()[rule.path], encoding="utf-8") as page:
        return page.read()


def select(rules: Sequence[Rule], chosen: Sequence[str], ignored: Sequence[str]) -> tuple[Rule, ...]:
    """The rules whose code starts with (or whose name is) one of `chosen`, all if none, without those of `ignored`."""
    return tuple(rule for rule in rules if (not chosen or is_named(rule, chosen)) and not is_named(rule, ignored))


def is_named(rule: Rule, words: Sequence[str]) -> bool:
    """True if the rule's code starts with one of `words`, or its name is one of them."""
    return any(rule.code.startswith(word.upper()) or rule.name == word for word in words)
