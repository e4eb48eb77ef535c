"""The words of this room."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from adaptlint.findings import fold_paths
from adaptlint.named_tuple import NamedTuple

NAMES = 6  # folded names that are shown
LENGTH = 200  # characters of a value that are shown
SAME_OUTPUT, LOADS, RETRAIN, UNKNOWN = "output-compatible", "load-compatible", "re-train", "unknown"
CATEGORIES = (SAME_OUTPUT, LOADS, UNKNOWN, RETRAIN)
"""From harmless to breaking.

output-compatible  the new one in the place of the old one gives the same outputs, as far as this difference goes
load-compatible    what was used with the old one loads with the new one, and gives other outputs
unknown            it cannot be told from here which of them holds
re-train           what was trained with the old one does not fit the new one
"""


class Difference(NamedTuple):
    """One difference: both sides as text, and why it counts.

    `about` is "config", "tensor", "module" or "verdict"; `name` may stand for `number` of them, layers folded.
    """

    category: str
    about: str
    name: str
    old: str
    new: str
    reason: str
    number: int = 1


class Comparison(NamedTuple):
    """All differences, the worst first; `not_compared` says what was not looked at, `problem` why nothing was."""

    kind: str  # "adapters" or "bases"
    old: str
    new: str
    differences: tuple[Difference, ...] = ()
    not_compared: tuple[str, ...] = ()
    problem: str = ""

    @property
    def category(self) -> str:
        """The worst of all differences; output-compatible where there is none."""
        return max((d.category for d in self.differences), key=CATEGORIES.index, default=SAME_OUTPUT)

    def exit_code(self, fail_on: str) -> int:
        """0 nothing at or above `fail_on`, 1 something, 3 it cannot be told."""
        if self.problem:
            return 3
        breaking = CATEGORIES.index(fail_on)
        worst = self.category
        if worst == UNKNOWN:
            return 3
        return 1 if CATEGORIES.index(worst) >= breaking else 0

    def to_dict(self) -> dict[str, object]:
        """The comparison as one JSON object; equal input gives equal content."""
        from adaptlint import __version__

        return {
            "schema_version": "1",
            "tool": {"name": "adaptlint", "version": __version__},
            "kind": self.kind,
            "old": self.old,
            "new": self.new,
            "category": None if self.problem else self.category,
            "differences": [difference._asdict() for difference in self.differences],
            "not_compared": list(self.not_compared),
            "problem": self.problem or None,
        }


def listed(names: Sequence[str]) -> str:
    """Names in one line, layers folded, the rest counted."""
    folded = fold_paths(names)
    rest = len(folded) - NAMES
    return ", ".join(folded[:NAMES]) + (f" and {rest} more" if rest > 0 else "")


def sides(old: Mapping[str, object], new: Mapping[str, object], field: str) -> tuple[str, str]:
    """A field's value on both sides, as JSON, cut where it is long."""
    import json

    def shown(given: Mapping[str, object]) -> str:
        if field not in given:
            return "not there"
        text = json.dumps(given[field], ensure_ascii=False, default=str)
        return text if len(text) <= LENGTH else text[: LENGTH - 3] + "..."

    return shown(old), shown(new)


def in_order(differences: list[Difference]) -> tuple[Difference, ...]:
    """The worst first, else by what they are about and by name."""
    key = CATEGORIES.index
    return tuple(sorted(differences, key=lambda d: (-key(d.category), d.about, d.name)))
