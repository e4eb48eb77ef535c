"""GitLab's code quality report: https://docs.gitlab.com/ci/testing/code_quality/#code-quality-report-format."""

from __future__ import annotations

import json

from adaptlint.findings import Finding, Report
from adaptlint.reporters import Background, Style
from adaptlint.reporters.showing import shown
from adaptlint.reporters.spots import file_of, line_of, path_from

_SEVERITIES = {"error": "critical", "warning": "minor", "note": "info"}


def render(report: Report, style: Style, background: Background) -> str:
    """A list with an object for every finding; GitLab takes two with one fingerprint for the same."""
    return json.dumps([_violation(finding, report, style.here) for finding in report.findings], indent=1) + "\n"


def _violation(finding: Finding, report: Report, here: str) -> dict[str, object]:
    blocks = finding.severity == "error" and finding.consequence == "load-fails"
    return {
        "description": f"{finding.code} {finding.name}: {shown(finding.message)}",
        "check_name": finding.code,
        "fingerprint": finding.fingerprint,
        "severity": "blocker" if blocks else _SEVERITIES[finding.severity],
        "location": {"path": path_from(file_of(finding, report), here), "lines": {"begin": line_of(finding)}},
    }
