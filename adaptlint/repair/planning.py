"""The plan: repair after repair, each tried on a draft and kept only if the check says that it helps."""

from __future__ import annotations

from collections.abc import Callable

from adaptlint.drafts.draft import Draft
from adaptlint.drafts.words import UNSAFE
from adaptlint.findings import Report
from adaptlint.named_tuple import NamedTuple
from adaptlint.repair.config_edits import drop_fields, lie_right, mend_text, retarget
from adaptlint.repair.converting import convert
from adaptlint.repair.exporting import export
from adaptlint.repair.files import take_in, unpickle
from adaptlint.repair.keys import rename_keys
from adaptlint.repair.situation import Proposal, Question, Situation, gone, progress, worse
from adaptlint.repair.words import Step

ROUNDS = 16
PLANNERS: tuple[Callable[[Situation], Proposal | None], ...] = (
    convert,
    export,
    take_in,
    mend_text,
    drop_fields,
    unpickle,
    rename_keys,
    retarget,
    lie_right,
)


class Plan(NamedTuple):
    """What is to be done, what would need `--unsafe`, what was tried and is no help (with the reason)."""

    draft: Draft
    steps: tuple[Step, ...]
    offered: tuple[Step, ...]
    refused: tuple[tuple[Step, str], ...]
    before: Report
    after: Report


def plan_for(draft: Draft, question: Question, unsafe: bool) -> Plan:
    """Every repair that helps, in order; those that a person should agree to first only if `unsafe`."""
    situation = Situation(draft, question)
    before = situation.report
    steps: list[Step] = []
    offered: dict[str, Step] = {}
    refused: dict[str, tuple[Step, str]] = {}
    for _ in range(ROUNDS):
        done = None
        for planner in PLANNERS:
            proposal = planner(situation)
            if proposal is None or proposal.step.summary in refused:
                continue
            if proposal.refusal:
                refused[proposal.step.summary] = (proposal.step, proposal.refusal)
                continue
            trial = Situation(proposal.draft, question)
            step = proposal.step._replace(about=gone(situation.report, trial.report))
            reason = _objection(situation, trial, proposal)
            if reason:
                refused[step.summary] = (step, reason)
            elif step.safety == UNSAFE and not unsafe:
                offered[step.summary] = step
            else:
                done = (step, trial)
                break
        if done is None:
            break
        steps.append(done[0])
        situation = done[1]
    report = situation.report
    if steps and _quieter(before, report):
        reason = "all repairs together would make PEFT load what it refuses now, and be wrong without a word"
        none = tuple((step, reason) for step in steps)
        return Plan(draft, (), tuple(offered.values()), (*refused.values(), *none), before, before)
    return Plan(situation.draft, tuple(steps), tuple(offered.values()), tuple(refused.values()), before, report)


def _quieter(before: Report, after: Report) -> bool:
    """True if an exception of now would become a silent fault."""
    pairs = zip(before.verdicts, after.verdicts, strict=True)
    return any(old.outcome == "fails" and new.outcome == "wrong" for old, new in pairs)


def _objection(before: Situation, after: Situation, proposal: Proposal) -> str:
    reason = worse(before.report, after.report)
    if reason or proposal.blind or proposal.step.tidy or progress(before.report, after.report):
        return reason
    return "no finding would go away"
