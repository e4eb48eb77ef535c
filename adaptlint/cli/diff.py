"""`adaptlint diff`: what a change from one adapter, or one base, to another breaks."""

from __future__ import annotations

import click

from adaptlint.cli import CommandLineError, output
from adaptlint.cli.waiting import Waiting
from adaptlint.hints import TYPE_CHECKING
from adaptlint.reporters.showing import counted, shown

if TYPE_CHECKING:
    from adaptlint.comparing import Comparison, Difference

FAIL_ON = ("re-train", "load-compatible")
SENTENCES = {
    "output-compatible": "the new one gives the outputs of the old one",
    "load-compatible": "the new one loads where the old one did, and gives other outputs",
    "unknown": "whether the new one fits cannot be told from here",
    "re-train": "what was trained with the old one does not fit the new one",
}


@click.command("diff")
@click.argument("old")
@click.argument("new")
@click.option("--adapter", metavar="ADAPTER", help="Two bases: only what this adapter of theirs touches.")
@click.option("--base", metavar="MODEL", help="Two adapters: also what PEFT makes of them on this base.")
@click.option("--fail-on", type=click.Choice(FAIL_ON), default="re-train", help="Exit 1 from here up.  [re-train]")
@click.option("--format", "form", type=click.Choice(["text", "json"]), default="text", help="[text]")
@click.option("--offline", is_flag=True, help="Never use the network.")
def command(old: str, new: str, adapter: str | None, base: str | None, fail_on: str, form: str, offline: bool) -> int:
    """Say what changes, and what breaks, when NEW takes the place of OLD: two adapters, or two bases.

    Each difference is output-compatible (the same outputs), load-compatible (loads, other outputs) or re-train (what
    was trained with OLD does not fit NEW).

    Exit status: 0 no breaking change, 1 breaking changes, 2 wrong usage, 3 it cannot be told, 4 a bug of ours.
    """
    from adaptlint.comparing import compare
    from adaptlint.comparing.comparing import TwoKinds

    try:
        with Waiting(f"comparing {old} and {new}"):
            comparison = compare(old, new, adapter=adapter, base=base, offline=offline)
    except TwoKinds as problem:
        raise CommandLineError(shown(f"{problem}; two adapters or two bases can be compared.")) from problem
    if (adapter and comparison.kind == "adapters") or (base and comparison.kind == "bases"):
        raise CommandLineError("--adapter is for two bases, --base for two adapters.")
    if form == "json":
        import json

        from adaptlint.reporters.json import spellable

        output.say(json.dumps(spellable(comparison.to_dict()), indent=2) + "\n")
    else:
        output.say("\n".join(text_of(comparison)) + "\n")
    return comparison.exit_code(fail_on)


def text_of(comparison: Comparison) -> list[str]:
    """The worst category in one sentence, then every difference with both sides and its reason."""
    if comparison.problem:
        return output.prose(f"CANNOT TELL: {comparison.problem}.", "", "    ")
    category = comparison.category
    found = comparison.differences
    number = counted(len(found), "difference") if found else "no difference"
    lines = output.prose(f"{category.upper()}: {SENTENCES[category]} ({number}).", "", "    ")
    for difference in found:
        lines += ["", *_lines(difference)]
    if comparison.not_compared:
        lines += ["", *output.prose(f"not compared: {', '.join(comparison.not_compared)}.", "", "    ")]
    return lines


def _lines(difference: Difference) -> list[str]:
    count = f" ({difference.number} {difference.about}s)" if difference.number > 1 else ""
    return [
        *output.prose(f"{difference.category} {difference.about} {difference.name}{count}", "", "    "),
        *output.prose(f"old: {difference.old}", "  ", "       "),
        *output.prose(f"new: {difference.new}", "  ", "       "),
        *output.prose(f"{difference.reason}.", "  ", "  "),
    ]
