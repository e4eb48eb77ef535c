"""A report for an adapter's author: markdown that can be posted as it is, and needs no weights to be understood."""

from __future__ import annotations

from adaptlint.findings import SEVERITIES, AdapterSubject, Finding, Report
from adaptlint.named_tuple import NamedTuple
from adaptlint.reporters import Style
from adaptlint.reporters.markdown import code, prose
from adaptlint.reporters.sentences import effect, outcome_word, runtime, spot, verdict_sentence
from adaptlint.reporters.showing import shown, shown_path

MOST_FINDINGS = 8
MOST_ISSUES = 12
LONGEST = 12_000  # characters


class Issue(NamedTuple):
    """Title and body of an issue about one adapter."""

    adapter: str
    title: str
    body: str


def issues(report: Report, style: Style, command: str) -> list[Issue]:
    """One for every adapter that has an error or a warning."""
    told = []
    for adapter in report.subject.adapters:
        mine = [f for f in report.findings if f.adapter == adapter.name and f.severity != "note"]
        if mine:
            told.append(_issue(report, adapter, sorted(mine, key=_weight), style, command))
    return told[:MOST_ISSUES]


def _weight(finding: Finding) -> int:
    return SEVERITIES.index(finding.severity)


def _issue(report: Report, adapter: AdapterSubject, findings: list[Finding], style: Style, command: str) -> Issue:
    base = shown_path(report.subject.model_ref, style.here)
    worst = next((verdict for verdict in report.verdicts if verdict.outcome != "works"), None)
    outcome = f"{outcome_word(worst)} with {runtime(worst)}" if worst else "should be looked at"
    title = f"{shown(adapter.name)}: {outcome} on {base} ({findings[0].code})"
    kind = ", ".join(shown(part) for part in (adapter.method, adapter.format) if part)
    rank = f", rank {adapter.rank}" if adapter.rank is not None else ""
    lines = [
        "### What happens",
        "",
        *(f"- {prose(verdict_sentence(v, report.known_findings))}" for v in report.verdicts),
    ]
    lines += ["", f"Adapter: {code(shown(adapter.name))} ({prose(kind)}{rank}, {adapter.tensors} tensors)."]
    lines += [f"Base: {code(base)} ({prose(report.subject.model_class or 'class unknown')}).", "", "### Why"]
    for finding in findings[:MOST_FINDINGS]:
        lines += ["", f"**{finding.code} {finding.name}** ({finding.severity}): {prose(finding.message)}", ""]
        lines += [f"- {prose(note)} ({code(spot(w, place, adapter.path))})" for w, place, note in finding.because]
        lines += [f"- effect: {prose(effect(finding, report.verdicts))}"]
        lines += [f"- what helps: {prose(finding.help)}"] if finding.help else []
    if len(findings) > MOST_FINDINGS:
        lines += ["", f"And {len(findings) - MOST_FINDINGS} more findings."]
    lines += ["", "### How to see it", "", "Config and tensor headers are enough; no weights are loaded."]
    lines += ["", *([f"    {shown(command)}"] if command else []), "", f"adaptlint {shown(report.version)}"]
    return Issue(shown(adapter.name), title, "\n".join(lines)[:LONGEST] + "\n")
