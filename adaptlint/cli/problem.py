"""What cannot be read, for verbs without a report: with the help of the rule page that claims the reason."""

from __future__ import annotations

from adaptlint.cli import NothingToSay
from adaptlint.cli.waiting import Waiting
from adaptlint.hints import TYPE_CHECKING
from adaptlint.reporters.showing import shown

if TYPE_CHECKING:
    from collections.abc import Mapping

    from adaptlint.bases import Base
    from adaptlint.findings import Fact


def base_or_stop(model: str, task: str | None, model_class: str | None, offline: bool, cache: bool) -> Base:
    """The base model's shapes. Raises NothingToSay with the reason where there are none."""
    from adaptlint.bases import Base, load_base

    with Waiting(f"reading {model}"):
        base = load_base(model, model_class=model_class, task=task, cache=cache, offline=offline)
    if isinstance(base, Base):
        return base
    raise NothingToSay(shown(f"{model}: {explained(base.reason, base.facts)}"))


def explained(reason: str, facts: Mapping[str, Fact]) -> str:
    """What is wrong and what to do, in the words of the page that claims `reason`."""
    from adaptlint.catalogue import load_catalogue, problem_of
    from adaptlint.engine.claims import spoken

    words = {name: spoken(value) for name, value in facts.items()}
    problem = problem_of(reason, facts, words) or reason.replace("-", " ")
    for rule in load_catalogue():
        if reason in rule.claim:
            try:
                return f"{problem}. {rule.help.format_map(words)}"
            except KeyError:  # the page's advice needs facts that only a check knows
                break
    return f"{problem}."
