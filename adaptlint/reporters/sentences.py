"""The sentences that every format for people shares: a verdict, an effect, a spot, a summary."""

from __future__ import annotations

from collections.abc import Iterable

from adaptlint.findings import SEVERITIES, Finding, Place, Replay, Report, Verdict, Where
from adaptlint.reporters.showing import counted, shown, shown_path

OUTCOME_WORDS = {"works": "WORKS", "fails": "FAILS", "wrong": "SILENTLY WRONG", "unknown": "CANNOT TELL"}


def runtime(verdict: Verdict) -> str:
    """Who was asked: "peft 0.21.2 (transformers 5.23.0)"."""
    beside = f" (transformers {verdict.transformers})" if verdict.transformers else ""
    about = f"{verdict.subject}: " if verdict.subject else ""
    return shown(about + f"{verdict.target} {verdict.version}".rstrip() + beside)


def outcome_word(verdict: Verdict) -> str:
    """The outcome in capitals; it is silent only if the runtime does not say so itself."""
    return "WRONG" if verdict.outcome == "wrong" and verdict.warned else OUTCOME_WORDS[verdict.outcome]


def verdict_sentence(verdict: Verdict, findings: Iterable[Finding]) -> str:
    """The whole verdict in one plain sentence; `findings` are the report's, whose fingerprints `why` names."""
    stage = f" at {verdict.stage}" if verdict.stage else ""
    head = f"{runtime(verdict)}: {outcome_word(verdict)}"
    if verdict.outcome == "works":
        return f"{head}, every adapter tensor takes effect as saved."
    if verdict.outcome == "unknown":
        return f"{head}{stage}: {_missing(verdict, findings)}"
    if verdict.outcome == "fails":
        if verdict.error is None:
            return f"{head}{stage}."
        match = f": {shown(verdict.error.match)}" if verdict.error.match else ""
        return f"{head}{stage} with {shown(verdict.error.type)}{match}"
    return f"{head}{stage}: nothing is raised, but {_losses(verdict)}; {_warning(verdict)}."


def _missing(verdict: Verdict, findings: Iterable[Finding]) -> str:
    """What the answer lacks: the first sentence of the first finding that the verdict names."""
    for finding in findings:
        if finding.fingerprint in verdict.why:
            return shown(finding.message).partition(". ")[0].rstrip(".") + "."
    return "something is missing that the answer depends on."


def _losses(verdict: Verdict) -> str:
    losses: list[str] = []
    if verdict.ignored:
        verb = "ends" if len(verdict.ignored) == 1 else "end"
        losses.append(f"{counted(len(verdict.ignored), 'tensor')} of the checkpoint {verb} up nowhere")
    if verdict.left_at_init:
        verb = "keeps its initial value" if len(verdict.left_at_init) == 1 else "keep their initial values"
        losses.append(f"{counted(len(verdict.left_at_init), 'adapter parameter')} {verb}")
    return " and ".join(losses) or "what runs is not what was saved"


def _warning(verdict: Verdict) -> str:
    return f"{shown(verdict.target)} only warns" if verdict.warned else f"{shown(verdict.target)} says nothing"


def effect(finding: Finding, verdicts: Iterable[Verdict]) -> str:
    """What will happen because of this finding, in the words of the verdicts that rest on it."""
    resting = [verdict for verdict in verdicts if finding.fingerprint in verdict.why]
    if resting and all(verdict.outcome == "unknown" for verdict in resting):
        return "there is no verdict"
    raising = [verdict for verdict in resting if verdict.outcome == "fails" and verdict.error is not None]
    if finding.consequence == "load-fails":
        said = [
            f"{shown(verdict.target)} {shown(verdict.version)} raises {shown(verdict.error.type)}"
            + (f" at {verdict.stage}" if verdict.stage else "")
            for verdict in raising
            if verdict.error is not None
        ]
        unasked = any(verdict.outcome == "fails" and verdict.stage == "compose" for verdict in resting)
        return "; ".join(said) or ("there is no forward" if unasked else "the adapter cannot be loaded")
    if finding.consequence == "silently-wrong":
        wrong = [verdict for verdict in resting if verdict.outcome == "wrong"]
        if wrong:
            return "nothing is raised, but what runs is not what was saved; " + "; ".join(map(_warning, wrong))
        return "nothing is raised, but the result may not be what was meant"
    return {"degraded": "it works, but not as well as it could", "untidy": "nothing breaks"}[finding.consequence]


def replayed(mark: Replay) -> str:
    """What the real library was seen to do: "confirmed on cpu: KeyError at load: ..."."""
    device = f" on {shown(mark.device)}" if mark.device else ""
    return f"{mark.status}{device}: {shown(mark.observed or '')}"


def spot(where: Where, place: Place | None, here: str) -> str:
    """A spot as `file:line:column`, or the file and the way down to it when the line is not known."""
    file = shown_path(where.file, here)
    if place is not None:
        return f"{file}:{place.line}:{place.column}"
    route = ".".join(str(step) for step in where.route)
    return f"{file} at {shown(route)}" if route else file


def tally(findings: Iterable[Finding]) -> str:
    """How many findings of each severity: "1 error, 2 warnings"; "no findings" if none."""
    counts = dict.fromkeys(SEVERITIES, 0)
    for finding in findings:
        counts[finding.severity] += 1
    return ", ".join(counted(count, severity) for severity, count in counts.items() if count) or "no findings"


def suppressed(report: Report) -> str:
    """What is set aside, and baseline entries that nothing fits any more: "; 3 set aside (2 by ignores, 1 by the ...)".

    "" where there is neither.
    """
    by = [row.suppression.by for row in report.suppressed]
    ways = [("ignore", "by ignores"), ("baseline", "by the baseline")]
    parts = [f"{by.count(way)} {words}" for way, words in ways if way in by]
    said = f"; {len(by)} set aside ({', '.join(parts)})" if by else ""
    if report.stale:
        said += f"; {counted(len(report.stale), 'baseline finding')} gone (--prune-baseline)"
    return said


def subject_line(report: Report, here: str) -> str:
    """What was checked against what: "1 adapter against llama-2-13b (LlamaForCausalLM, from a lock)"."""
    subject = report.subject
    facts = [subject.model_class or subject.model_type or ""]
    if subject.model_source:
        facts.append(f"shapes from {_SOURCES.get(subject.model_source, subject.model_source)}")
    said = ", ".join(fact for fact in facts if fact)
    adapters = counted(len(subject.adapters), "adapter")
    return f"{adapters} against {shown_path(subject.model_ref, here)}" + (shown(f" ({said})") if said else "")


_SOURCES = {
    "meta": "the meta device",
    "shipped": "a table that ships with adaptlint",
    "lock": "a shape lock",
    "cache": "the cache",
    "headers": "the base's own headers",
    "live": "the model in memory",
}


REASONS_SHOWN = 2  # more reasons than that fill the screen for every broken file


def ledger_line(report: Report, reasons_told: bool = False) -> str:
    """What became of the rules: "12 rules: 1 fired, 9 passed, 2 not run (needs values: 2)"; --verbose has all.

    With `reasons_told` they stand elsewhere, and the line does without.
    """
    counts: dict[str, int] = {}
    reasons: dict[str, int] = {}
    for line in report.ledger:
        counts[line.status] = counts.get(line.status, 0) + 1
        if line.status == "not-run":
            reason = line.reason or "no reason given"
            reasons[reason] = reasons.get(reason, 0) + 1
    parts = []
    for status, words in (("fired", "fired"), ("passed", "passed"), ("not-run", "not run"), ("crashed", "crashed")):
        if counts.get(status):
            parts.append(f"{counts[status]} {words}")
            if status == "not-run" and not reasons_told:
                told = "; ".join(f"{shown(reason)}: {number}" for reason, number in reasons.items())
                parts[-1] += f" ({told if len(reasons) <= REASONS_SHOWN else '--verbose says why'})"
    return f"{counted(len(report.ledger), 'rule')}: {', '.join(parts)}" if parts else "no rules were run"
