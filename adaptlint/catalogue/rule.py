"""A rule: the card of its page; code and name stand in the page's path and nowhere else."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cache

from adaptlint import tables
from adaptlint.findings import Fact
from adaptlint.hints import Any
from adaptlint.tables.bundle import SHORT


class Rule:
    """One rule page's card; `claim` lists the reasons that it speaks for, empty for a rule with a check of its own.

    `when` lists fields of the adapter's config of which one must be set for the rule's own check to be run; empty:
    always. `reasons` are those that the page has words for. Everything else is read from the card when it is asked for,
    since a check asks it of the few rules that fire.
    """

    __slots__ = ("_card", "claim", "code", "family", "grain", "name", "needs", "path", "reasons", "when")

    def __init__(self, path: str, short: Mapping[str, Any]) -> None:
        """`short` is the rule's row of the bundle's table of rules."""
        _, self.family, file = path.split("/")
        self.code, _, name = file.partition("-")
        self.name, self.path = name.removesuffix(".md"), path
        self._card: dict[str, Any] | None = None
        self.grain: str = short["grain"]
        self.needs: tuple[str, ...] = tuple(short["needs"])
        self.claim: tuple[str, ...] = tuple(short["claim"])
        self.when: tuple[str, ...] = tuple(short["when"])
        self.reasons: tuple[str, ...] = tuple(short["reasons"])

    @property
    def card(self) -> dict[str, Any]:
        """The page's card, with its title."""
        if self._card is None:
            self._card = tables.load()[self.path]
        return self._card

    @property
    def title(self) -> str:
        """The page's first line."""
        return str(self.card["title"])

    @property
    def severity(self) -> str:
        """error, warning or note."""
        return str(self.card["severity"])

    @property
    def consequence(self) -> str:
        """What comes of the fault, in one of the fixed words."""
        return str(self.card["consequence"])

    @property
    def since(self) -> str:
        """Our release that had it first."""
        return str(self.card["since"])

    @property
    def targets(self) -> tuple[str, ...]:
        """The runtimes that it is about."""
        return texts_of(self.card.get("targets", ()))

    @property
    def fold(self) -> tuple[str, ...] | None:
        """The facts in which faults of one finding are equal; None where each is told by itself."""
        return texts_of(self.card["fold"]) if "fold" in self.card else None

    @property
    def gather(self) -> tuple[str, ...]:
        """The facts of which a finding lists all values."""
        return texts_of(self.card.get("gather", ()))

    @property
    def says(self) -> str:
        """The message's template."""
        return str(self.card["says"])

    @property
    def help(self) -> str:
        """What to do, as a template."""
        return str(self.card["help"])

    @property
    def notes(self) -> tuple[str, ...]:
        """What follows the message."""
        return texts_of(self.card.get("notes", ()))

    @property
    def fix(self) -> str:
        """What `adaptlint fix` does about faults that it can undo; "" where it does nothing."""
        return str(self.card.get("fix", ""))

    def problem(self, reason: str) -> tuple[str, ...]:
        """The words for a reason, told as {problem} in `says`: of these templates the first that has all facts."""
        return texts_of(self.card.get("problem", {}).get(reason, ()))


@cache
def load_catalogue() -> tuple[Rule, ...]:
    """Every rule, by code."""
    short = tables.load()[SHORT]
    return tuple(sorted([Rule(path, row) for path, row in short.items()], key=_code))


def _code(rule: Rule) -> str:
    return rule.code


def texts_of(value: Any) -> tuple[str, ...]:
    """One text or several, as a card has them."""
    return (value,) if isinstance(value, str) else tuple(value)


@cache
def spokesmen() -> dict[str, Rule]:
    """The rule that has words for a reason, by reason."""
    return {reason: rule for rule in load_catalogue() for reason in rule.reasons}


def problem_of(reason: str, facts: Mapping[str, Fact], spoken: Mapping[str, str]) -> str:
    """What is wrong, in the words that a page has for the fact `fault`, else for `reason`; "" where none has any.

    `spoken` has the facts as text. A `fault` is told inside the words for the reason, as {fault}, if they ask for it.
    """
    words = dict(spoken)
    fault = facts.get("fault")
    if isinstance(fault, str):
        words["fault"] = _first_complete(_words_for(fault), words) or fault.replace("-", " ")
    return _first_complete(_words_for(reason), words) or words.get("fault", "")


def _words_for(reason: str) -> tuple[str, ...]:
    rule = spokesmen().get(reason)
    return rule.problem(reason) if rule is not None else ()


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
