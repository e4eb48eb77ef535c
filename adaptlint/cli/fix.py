"""`adaptlint fix`: a repaired copy of an adapter, proved before it is kept."""

from __future__ import annotations

import os

import click

from adaptlint.cli import NOTHING_CHECKED, CommandLineError, output
from adaptlint.cli.inspect import said
from adaptlint.cli.waiting import Waiting
from adaptlint.hints import TYPE_CHECKING
from adaptlint.reporters.showing import counted, shown, shown_path

if TYPE_CHECKING:
    from adaptlint.findings import Finding, Report, Verdict
    from adaptlint.repair import Outcome, Step


@click.command("fix")
@click.argument("adapter")
@click.option("--base", "model", metavar="MODEL", help="The base.  [the one that the config names, if it is at hand]")
@click.option("--target", "targets", multiple=True, metavar="RUNTIME[==VERSION]", help="Who will load it.  [peft]")
@click.option("--transformers", metavar="VERSION", help="The transformers release beside it.")
@click.option("--diff", is_flag=True, help="Show what would change, write nothing.")
@click.option("--unsafe", is_flag=True, help="Make repairs too that a person should agree to first.")
@click.option("--in-place", is_flag=True, help="Replace the adapter; the old one is kept beside it.")
@click.option("--output", "place", metavar="DIR", help="Where the copy goes.  [ADAPTER-fixed]")
@click.option("--offline", is_flag=True, help="Never use the network.")
@click.option("--no-cache", is_flag=True, help="Neither read nor write the cache of base shapes.")
def command(
    adapter: str,
    model: str | None,
    targets: tuple[str, ...],
    transformers: str | None,
    diff: bool,
    unsafe: bool,
    in_place: bool,
    place: str | None,
    offline: bool,
    no_cache: bool,
) -> int:
    """Write a repaired copy of ADAPTER, proved before it is kept; ADAPTER itself is left alone.

    Exit status: 0 nothing to repair, or nothing left to repair; 1 errors stay (or, with --diff, changes would be made);
    2 wrong usage; 3 there is no adapter; 4 a bug of ours.
    """
    from adaptlint.artefacts import Malformed
    from adaptlint.repair import RepairError, Wish, repair

    if in_place and place is not None:
        raise CommandLineError("--in-place and --output exclude each other.")
    usual = f"{os.path.abspath(adapter)}-fixed"
    wanted = None if diff or in_place else place or usual
    try:
        swapped = in_place and not diff
        wish = Wish(adapter, model, targets or ("peft",), transformers, unsafe, swapped, wanted, offline, not no_cache)
        with Waiting(f"repairing {adapter}"):
            outcome = repair(wish)
    except RepairError as problem:
        raise CommandLineError(shown(f"{problem}.")) from problem
    if isinstance(outcome, Malformed):
        click.echo(said(outcome), err=True)
        return NOTHING_CHECKED
    output.say("\n".join(text_of(outcome, adapter, diff)) + "\n")
    return status_of(outcome, diff)


def status_of(outcome: Outcome, diff: bool) -> int:
    """1 while something is wrong with what there is now: errors, changes that were only shown, a copy not kept.

    3 where a base was named and none is known.
    """
    if outcome.model and outcome.report.subject.model_source is None:
        return NOTHING_CHECKED
    unconverted = any(step.kind == "convert" for step, _ in outcome.plan.refused)
    if outcome.problem or unconverted or (diff and outcome.plan.steps):
        return 1
    return 1 if any(finding.severity == "error" for finding in _left(outcome)) else 0


def _left(outcome: Outcome) -> list[Finding]:
    """Findings that stay; that no base was given is none of the adapter's."""
    return [f for f in outcome.report.findings if outcome.model or f.code != "AL901"]


def text_of(outcome: Outcome, adapter: str, diff: bool) -> list[str]:
    """What was repaired, how it was proved, where it stands, and what is left."""
    plan = outcome.plan
    lines = output.prose(_headline(outcome, adapter, diff), "", "  ")
    for step in plan.steps:
        lines += _step_lines(step, step.safety)
    if diff:
        from adaptlint.repair.changes import diff_lines

        lines += ["", *map(shown, diff_lines(plan.draft))] if plan.steps else []
    if outcome.kept or outcome.checked:
        lines += ["", *_proof(outcome)]
    if outcome.problem:
        lines += output.prose(f"not kept: {outcome.problem}. Nothing was changed.", "", "  ")
    for step in plan.offered:
        lines += ["", *_step_lines(step, "offered, with --unsafe")]
    for step, reason in plan.refused:
        lines += ["", *_step_lines(step, "not done"), *output.prose(reason, "    because ", "    ")]
    return lines + _remaining(outcome)


def _headline(outcome: Outcome, adapter: str, diff: bool) -> str:
    steps = outcome.plan.steps
    if not steps:
        return f"{adapter}: nothing to repair" + (" by itself" if _left(outcome) else "") + "."
    verb = "would be made" if diff else "made on a copy"
    return f"{adapter}: {counted(len(steps), 'repair')} {verb}."


def _step_lines(step: Step, word: str) -> list[str]:
    about = f" ({', '.join(step.about)})" if step.about else ""
    return output.prose(f"{word}: {step.summary}{about}", "  ", "    ")


def _proof(outcome: Outcome) -> list[str]:
    lines = []
    if outcome.held:
        pieces = outcome.plan.draft.pieces or ()
        taken, turned = [piece for piece in pieces if not piece.made], any(piece.turned for piece in pieces)
        how = "byte by byte, the transposed ones turned back" if turned else "byte by byte"
        lines.append(f"proved: {counted(len(taken), 'tensor')} of the copy identical to the original, {how}")
    if outcome.held and outcome.plan.draft.peft is not None:
        lines.append("proved: converted back to PEFT it has the same matrices and scales")
    lines += [f"check:  {text}" for text in _verdicts(outcome.plan.before, outcome.report)]
    if outcome.kept:
        lines += output.prose(_near(outcome.kept), "kept:   ")
    if outcome.backup:
        lines += output.prose(f"{_near(outcome.backup)}, the adapter as it was", "backup: ")
    if outcome.leftover:
        lines += output.prose(f"came into being meanwhile and is left there: {outcome.leftover}", "", "        ")
    for name in outcome.left_out:
        lines += output.prose(f"not in the copy: {name}", "", "        ")
    return lines


def _near(path: str) -> str:
    """A path from the current folder on, if it lies below it."""
    return shown_path(path, output.style().here)


def _verdicts(before: Report, after: Report) -> list[str]:
    pairs = zip(before.verdicts, after.verdicts, strict=True)
    return [f"{_named(new)}: {old.outcome} before, {new.outcome} now" for old, new in pairs]


def _named(verdict: Verdict) -> str:
    return shown(f"{verdict.target} {verdict.version}".rstrip())


def _remaining(outcome: Outcome) -> list[str]:
    """Findings that stay, each with why it is left to the user."""
    never = dict(outcome.never)
    lines: list[str] = []
    for finding in _left(outcome):
        if finding.severity == "note":
            continue
        lines += [
            "",
            *output.prose(f"{finding.severity} {finding.code} {finding.name} stays: {finding.message}", "", "  "),
        ]
        if finding.code in never:
            lines += output.prose(f"never repaired by itself: {never[finding.code]}.", "  ", "  ")
        label = "display" if finding.fix and finding.fix[0] == "display" else "help"
        lines += output.prose(f"{label}: {finding.help}", "  ", "  ")
    return lines
