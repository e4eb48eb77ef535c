"""One line per finding, `path:line:column: CODE severity message`, and one line per verdict: for grep and editors."""

from __future__ import annotations

from adaptlint.findings import Finding, Report
from adaptlint.reporters import Background, Style
from adaptlint.reporters.sentences import verdict_sentence
from adaptlint.reporters.showing import inert, shown, shown_path


def render(report: Report, style: Style, background: Background) -> str:
    """Findings in the report's order, then the verdicts; `style.quiet` leaves the findings out."""
    lines = [] if style.quiet else [finding_line(finding, report, style.here) for finding in report.findings]
    lines += [verdict_sentence(verdict, report.known_findings) for verdict in report.verdicts]
    return inert(lines)


def finding_line(finding: Finding, report: Report, here: str) -> str:
    """A finding without a known line stands at 1:1 of what it is about, so that every line has the same form."""
    line, column = (finding.place.line, finding.place.column) if finding.place else (1, 1)
    path = finding.where.file if finding.where else _subject_path(finding.adapter, report)
    return f"{shown_path(path, here)}:{line}:{column}: {finding.code} {finding.severity} {shown(finding.message)}"


def _subject_path(adapter: str, report: Report) -> str:
    paths = [known.path for known in report.subject.adapters if known.name == adapter]
    return paths[0] if paths else report.subject.model_ref
