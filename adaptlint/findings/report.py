"""Verdict, ledger and report: what one run of adaptlint has to say."""

from __future__ import annotations

from collections.abc import Mapping

from adaptlint.findings.words import Finding, Replay, Suppressed
from adaptlint.named_tuple import NamedTuple

SCHEMA_VERSION = "1"
OUTCOMES = ("works", "fails", "wrong", "unknown")
SITE_STATES = ("healthy", "missing", "mismatched", "unexpected", "unchecked")


class RaisedError(NamedTuple):
    """The exception that the runtime raises: its class's own name and a telling substring of its message."""

    type: str
    match: str


class Mismatch(NamedTuple):
    """A tensor whose shape differs from the parameter it is copied into, keyed as the runtime's message spells it."""

    key: str
    checkpoint_shape: tuple[int, ...]
    model_shape: tuple[int, ...]


class StepResult(NamedTuple):
    """What one step of the plan does; `op` is the plan's word (load, set, ...)."""

    op: str
    adapter: str
    outcome: str
    stage: str | None = None
    error: RaisedError | None = None

    def to_dict(self) -> dict[str, object]:
        """The step as the JSON report has it."""
        return {
            "op": self.op,
            "adapter": self.adapter,
            "outcome": self.outcome,
            "stage": self.stage,
            "error": error_dict(self.error),
        }


class Verdict(NamedTuple):
    """What one runtime will do with the adapters; `why` holds fingerprints of findings.

    `subject` names the adapters where a report joins those of many.
    """

    target: str
    version: str
    transformers: str
    outcome: str
    stage: str | None = None
    error: RaisedError | None = None
    steps: tuple[StepResult, ...] = ()
    missing_keys: tuple[str, ...] = ()
    unexpected_keys: tuple[str, ...] = ()
    left_at_init: tuple[str, ...] = ()
    ignored: tuple[str, ...] = ()
    mismatched_keys: tuple[Mismatch, ...] = ()
    warned: bool = False
    why: tuple[str, ...] = ()
    replay: Replay = Replay()
    subject: str = ""

    def to_dict(self) -> dict[str, object]:
        """The verdict as the JSON report has it."""
        return {
            "target": self.target,
            "version": self.version,
            "transformers": self.transformers,
            "outcome": self.outcome,
            "stage": self.stage,
            "error": error_dict(self.error),
            "steps": [step.to_dict() for step in self.steps],
            "missing_keys": list(self.missing_keys),
            "unexpected_keys": list(self.unexpected_keys),
            "left_at_init": list(self.left_at_init),
            "ignored": list(self.ignored),
            "mismatched_keys": [
                {"key": m.key, "checkpoint_shape": list(m.checkpoint_shape), "model_shape": list(m.model_shape)}
                for m in self.mismatched_keys
            ],
            "warned": self.warned,
            "why": list(self.why),
            "replay": self.replay.to_dict(),
        }


class LedgerLine(NamedTuple):
    """What became of one rule: status is fired, passed, not-run or crashed."""

    rule: str
    status: str
    looked_at: int
    reason: str = ""

    def to_dict(self) -> dict[str, object]:
        """The ledger line as the JSON report has it."""
        return {"rule": self.rule, "status": self.status, "looked_at": self.looked_at, "reason": self.reason or None}


class AdapterSubject(NamedTuple):
    """One adapter as it was given and read."""

    name: str
    path: str
    format: str
    method: str | None
    rank: int | None
    tensors: int

    def to_dict(self) -> dict[str, object]:
        """The adapter as the JSON report has it."""
        return self._asdict()


class Asked(NamedTuple):
    """The arguments of the check that stand nowhere else in the report: with them it can be done again, or replayed.

    `model` is the base's absolute path, or the hub id that it was given as.
    """

    model: str
    model_class: str | None = None
    task: str | None = None
    transformers: str | None = None
    plan: str | None = None
    fusions: tuple[str, ...] = ()
    batch: int | None = None
    seq: int | None = None
    decoder_seq: int | None = None
    mask: str | None = None
    values: str = "none"

    def to_dict(self) -> dict[str, object]:
        """The arguments as the JSON report has them."""
        return {**self._asdict(), "fusions": list(self.fusions)}


class Subject(NamedTuple):
    """What was checked: the base model, the adapters, and for whom."""

    model_ref: str
    model_type: str | None
    model_class: str | None
    model_source: str | None
    adapters: tuple[AdapterSubject, ...]
    targets: tuple[str, ...]
    attn: str | None = None  # the attention backend that was asked about
    compose: str | None = None  # AdapterHub's expression over the adapters' names
    asked: Asked | None = None

    def to_dict(self) -> dict[str, object]:
        """The subject as the JSON report has it."""
        return {
            "model": {
                "ref": self.model_ref,
                "model_type": self.model_type,
                "class": self.model_class,
                "source": self.model_source,
            },
            "adapters": [adapter.to_dict() for adapter in self.adapters],
            "compose": self.compose,
            "attn": self.attn,
            "targets": list(self.targets),
            **({} if self.asked is None else {"asked": self.asked.to_dict()}),
        }


class IgnoreUse(NamedTuple):
    """An ignore of the configuration that a check has tried: what it names, and whether it set anything aside.

    `number` counts the entries of `ignores` from 0, `adapter` is the glob that it has.
    """

    number: int
    rules: tuple[str, ...]
    adapter: str
    used: bool


class SiteState(NamedTuple):
    """What becomes of one module of an adapter: `state` is one of SITE_STATES, `note` says more about it."""

    adapter: str
    module: str
    state: str
    note: str = ""


class Report(NamedTuple):
    """The result of one check: verdicts per target, findings, and a ledger line for every rule."""

    version: str
    subject: Subject
    verdicts: tuple[Verdict, ...]
    findings: tuple[Finding, ...]
    ledger: tuple[LedgerLine, ...]
    phases: tuple[tuple[str, float], ...]  # (phase, milliseconds)
    unchecked: bool = False  # nothing could be checked: no adapter found, or base unknown
    shapes: Mapping[str, object] | None = None  # of one forward, where a composition was told
    composition: Mapping[str, object] | None = None  # its nodes and edges
    sites: tuple[SiteState, ...] = ()  # module by module, for the first target; only where it was asked for
    suppressed: tuple[Suppressed, ...] = ()  # set aside by an ignore or the baseline
    ignores: tuple[IgnoreUse, ...] = ()  # those of the configuration whose rules were all run here
    stale: tuple[str, ...] = ()  # fingerprints in the baseline of what is not found any more

    @property
    def known_findings(self) -> tuple[Finding, ...]:
        """Every finding, those set aside included: a verdict's `why` may name any of them."""
        return (*self.findings, *(row.finding for row in self.suppressed))

    @property
    def crashed(self) -> bool:
        """True if a rule or reader of ours crashed; the rest was still checked."""
        return any(line.status == "crashed" for line in self.ledger)

    def exit_code(self, fail_on: str = "error") -> int:
        """Exit status of the contract: 4 ours crashed, 3 nothing checked, 1 findings at or above `fail_on`, else 0.

        A finding that a replay refuted counts no more.
        """
        if self.crashed:
            return 4
        if self.unchecked:
            return 3
        levels = {"error": ("error",), "warning": ("error", "warning"), "note": ("error", "warning", "note")}[fail_on]
        return 1 if any(f.severity in levels and f.replay.status != "refuted" for f in self.findings) else 0

    def to_dict(self) -> dict[str, object]:
        """The JSON report of the contract; equal input gives equal content but for `timing`."""
        return {
            "schema_version": SCHEMA_VERSION,
            "tool": {"name": "adaptlint", "version": self.version},
            "subject": self.subject.to_dict(),
            "verdicts": [verdict.to_dict() for verdict in self.verdicts],
            **{name: part for name in ("shapes", "composition") if (part := getattr(self, name)) is not None},
            "findings": [finding.to_dict() for finding in self.findings],
            "suppressed": [row.to_dict() for row in self.suppressed],
            "stale": list(self.stale),
            "ledger": [line.to_dict() for line in self.ledger],
            "timing": {
                "total_ms": round(sum(ms for _, ms in self.phases), 3),
                "phases": {phase: round(ms, 3) for phase, ms in self.phases},
            },
        }


def error_dict(error: RaisedError | None) -> dict[str, str] | None:
    """A raised error as the JSON report has it."""
    return None if error is None else {"type": error.type, "match": error.match}
