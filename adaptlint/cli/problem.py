"""A base that cannot be had, for verbs without a report: in the words of the page that claims the reason."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from adaptlint.reporters.showing import shown

if TYPE_CHECKING:
    from adaptlint.bases import Base, BaseProblem

NOTHING_CHECKED = 3  # exit status of the contract


def base_or_exit(model: str, task: str | None, model_class: str | None, offline: bool, cache: bool) -> Base:
    """The base model's shapes; without them says why and ends the command with the contract's status 3."""
    from adaptlint.bases import Base, load_base

    base = load_base(model, model_class=model_class, task=task, cache=cache, offline=offline)
    if isinstance(base, Base):
        return base
    click.echo(f"{shown(model)}: {explained(base)}", err=True)
    raise click.exceptions.Exit(NOTHING_CHECKED)


def explained(problem: BaseProblem) -> str:
    """What is wrong and what to do, from the page that claims `problem.reason`; without one the bare facts."""
    from adaptlint.catalogue import load_catalogue

    for rule in load_catalogue():
        if problem.reason in rule.claim:
            try:
                return shown(f"{rule.says} {rule.help}".format_map(dict(problem.facts)))
            except (KeyError, IndexError, ValueError):  # the page speaks of facts that only a check knows
                break
    facts = ", ".join(f"{name}: {value}" for name, value in problem.facts.items())
    return shown(problem.reason.replace("-", " ") + (f" ({facts})" if facts else ""))
