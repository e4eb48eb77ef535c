"""What a planner sees: the draft so far, the report on it, and what its load leaves open."""

from __future__ import annotations

from functools import cached_property

from adaptlint.bases import Base, BaseProblem
from adaptlint.drafts.draft import Draft
from adaptlint.engine.checking import check_scene
from adaptlint.findings import Report
from adaptlint.graph import Scene
from adaptlint.named_tuple import NamedTuple
from adaptlint.repair.words import Step
from adaptlint.runtimes import Request

RANKS = {"fails": 0, "wrong": 1, "unknown": 2, "works": 3}
TENSORS = ("AL201", "AL202")  # what is told of single tensors where AL203 tells that none arrives
LOUD = ("error", "warning")
NAME = "default"


class Question(NamedTuple):
    """On which base and for whom an adapter is checked."""

    model: str
    base: Base | BaseProblem
    targets: tuple[str, ...]
    transformers: str | None = None

    @property
    def request(self) -> Request:
        """The question to the first target."""
        return Request(self.targets[0], self.transformers)


class Situation:
    """One draft under one question; everything about it is worked out when it is asked for."""

    def __init__(self, draft: Draft, question: Question) -> None:
        self.draft, self.question = draft, question

    @cached_property
    def scene(self) -> Scene:
        """The base with the adapter as drafted."""
        return Scene(self.question.model, self.question.base, (self.draft.adapter(NAME),))

    @cached_property
    def report(self) -> Report:
        """The check of the draft."""
        return check_scene(self.scene, self.question.request, self.question.targets)

    @property
    def base(self) -> Base | None:
        """The base, where it is known."""
        return self.scene.known_base

    @property
    def codes(self) -> frozenset[str]:
        """Codes of the findings."""
        return frozenset(finding.code for finding in self.report.findings)


class Proposal(NamedTuple):
    """A repair and the draft that it makes; `blind` where its worth shows only together with a later one.

    `refusal` says why it is not made, though it is what was asked for.
    """

    step: Step
    draft: Draft
    blind: bool = False
    refusal: str = ""


def gone(before: Report, after: Report) -> tuple[str, ...]:
    """Codes of the findings that are no more."""
    kept = {finding.code for finding in after.findings}
    return tuple(dict.fromkeys(finding.code for finding in before.findings if finding.code not in kept))


def worse(before: Report, after: Report) -> str:
    """How the one report is worse than the other, in words; "" if it is not.

    What shows only because the runtime gets further than before is no loss, nor are tensors that were of no use
    before and are named one by one now.
    """
    better, told = False, TENSORS if _nearer(before, after) else ()
    for one, other in zip(before.verdicts, after.verdicts, strict=True):
        if RANKS[other.outcome] < RANKS[one.outcome] or (other.outcome == "unknown" and one.outcome != "unknown"):
            error = f" ({other.error.type}: {other.error.match})" if other.error else ""
            return f"{other.target} would then give {other.outcome} in place of {one.outcome}{error}"
        better |= RANKS[other.outcome] > RANKS[one.outcome]
    known = {finding.code for finding in before.findings}
    for finding in after.findings:
        if finding.severity in LOUD and finding.code not in (*known, *told) and not better:
            return f"{finding.code} would be new: {finding.message}"
    return ""


def _nearer(before: Report, after: Report) -> bool:
    """True if no further tensor is missing or ignored anywhere, and fewer are somewhere."""
    pairs = list(zip(before.verdicts, after.verdicts, strict=True))
    kept = all(
        {*new.missing_keys} <= {*old.missing_keys} and len(new.ignored) <= len(old.ignored) for old, new in pairs
    )
    return kept and any(
        len(new.missing_keys) < len(old.missing_keys) or len(new.ignored) < len(old.ignored) for old, new in pairs
    )


def progress(before: Report, after: Report) -> bool:
    """True if a finding is gone, an outcome better, or fewer tensors are without use."""
    if gone(before, after):
        return True
    pairs = zip(before.verdicts, after.verdicts, strict=True)
    return _nearer(before, after) or any(RANKS[new.outcome] > RANKS[old.outcome] for old, new in pairs)
