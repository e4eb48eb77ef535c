"""GitHub's workflow commands: annotations on the changed files of a pull request.

https://docs.github.com/en/actions/reference/workflows-and-actions/workflow-commands; what a message and a property have
to escape is what the runner takes back (actions/runner, src/Runner.Common/ActionCommand.cs).
"""

from __future__ import annotations

from adaptlint.findings import SEVERITIES, Finding, Report
from adaptlint.reporters import Background, Style
from adaptlint.reporters.sentences import outcome_word, runtime, verdict_sentence
from adaptlint.reporters.showing import shown
from adaptlint.reporters.spots import file_of, is_text, path_from

_COMMANDS = {"error": "error", "warning": "warning", "note": "notice"}
_VERDICTS = {"works": "notice", "fails": "error", "wrong": "error", "unknown": "warning"}


def render(report: Report, style: Style, background: Background) -> str:
    """A command for every verdict, then for every finding, errors first: GitHub shows ten of each kind per step."""
    lines = [
        _command(_VERDICTS[verdict.outcome], {"title": f"{runtime(verdict)}: {outcome_word(verdict)}"}, said)
        for verdict, said in ((v, verdict_sentence(v, report.known_findings)) for v in report.verdicts)
    ]
    if not style.quiet:
        findings = sorted(report.findings, key=lambda finding: SEVERITIES.index(finding.severity))
        lines += [_finding(finding, report, style.here) for finding in findings]
    for line in report.ledger:
        if line.status == "crashed":
            lines.append(_command("error", {"title": f"{line.rule} crashed"}, f"our own rule: {shown(line.reason)}"))
    return "\n".join(lines) + "\n" if lines else ""


def _finding(finding: Finding, report: Report, here: str) -> str:
    file = file_of(finding, report)
    properties = {"file": path_from(file, here)}
    if finding.place is not None and is_text(file):
        properties |= {"line": str(finding.place.line), "col": str(finding.place.column)}
    properties["title"] = f"{finding.code} {finding.name}"
    said = "\n".join([shown(finding.message), *([f"help: {shown(finding.help)}"] if finding.help else [])])
    return _command(_COMMANDS[finding.severity], properties, said)


def _command(name: str, properties: dict[str, str], text: str) -> str:
    """`::name key=value,...::text` on one line of its own; `text` has line ends of ours alone."""
    listed = ",".join(f"{key}={_property(value)}" for key, value in properties.items())
    return f"::{name} {listed}::{_data(text)}"


def _data(text: str) -> str:
    return text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def _property(text: str) -> str:
    return _data(shown(text)).replace(":", "%3A").replace(",", "%2C")
