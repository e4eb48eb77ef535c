"""Markdown for a comment on a pull request or a job's summary (GitHub's and GitLab's dialect)."""

from __future__ import annotations

import re

from adaptlint.findings import SEVERITIES, Finding, Report
from adaptlint.reporters import Background, Style
from adaptlint.reporters.sentences import effect, ledger_line, spot, subject_line, tally, verdict_sentence
from adaptlint.reporters.showing import shown

CUT = r"\1<!-- -->\2"

_MEANINGFUL = re.compile(r"([\\`*_\[\]|~$])")
_OPENING = re.compile(r"^(\d*)([-+#=:.)])")
_LINKS = re.compile(r"(?i)(https?|ftp|mailto|xmpp|www)([:.])")
_MENTIONS = re.compile(r"([@#!])(?=[\w/])")
_IN_CODE = re.compile(r"[^\w\s,/.:(){}=-]|(?<![A-Za-z0-9])_|_(?![A-Za-z0-9])")  # what markup there may begin with


def render(report: Report, style: Style, background: Background) -> str:
    """Verdicts as sentences, findings as a table with their details below, and what was not checked."""
    lines = ["### adaptlint", ""]
    lines += [f"- {prose(verdict_sentence(verdict, report.known_findings))}" for verdict in report.verdicts]
    if not style.quiet:
        findings = sorted(report.findings, key=lambda finding: SEVERITIES.index(finding.severity))
        lines += ["", *_table(findings, style.here)] if findings else []
        for finding in findings:
            lines += ["", *_details(finding, report, style.here)]
    said = f"{tally(report.findings)}; {subject_line(report, style.here)}; {ledger_line(report, reasons_told=True)}"
    return "\n".join([*lines, "", prose(said), *_unchecked(report)]) + "\n"


def _unchecked(report: Report) -> list[str]:
    reasons: dict[str, list[str]] = {}
    for line in report.ledger:
        if line.status in ("not-run", "crashed"):
            why = f"our own rule crashed: {line.reason}" if line.status == "crashed" else line.reason
            reasons.setdefault(why or "no reason given", []).append(line.rule)
    if not reasons:
        return []
    items = [f"- {prose(why)}: {', '.join(rules)}" for why, rules in reasons.items()]
    return ["", "<details><summary>What was not checked</summary>", "", *items, "", "</details>"]


def _table(findings: list[Finding], here: str) -> list[str]:
    from tabulate import tabulate

    rows = [
        (f.severity, f"{f.code} {f.name}", code(spot(f.where, f.place, here)) if f.where else "", code(f.module))
        for f in findings
    ]
    table: str = tabulate(rows, ("severity", "rule", "where", "module"), "pipe", disable_numparse=True)
    return table.split("\n")


def _details(finding: Finding, report: Report, here: str) -> list[str]:
    """A paragraph that opens on a click, so that a hundred findings are still a short comment."""
    lines = [f"<details><summary>{finding.severity} {finding.code} {finding.name}</summary>", ""]
    lines.append(prose(finding.message))
    items = [f"because: {prose(note)} ({code(spot(w, place, here))})" for w, place, note in finding.because]
    items += [f"effect: {prose(effect(finding, report.verdicts))}"]
    items += [f"help: {prose(finding.help)}"] if finding.help else []
    return [*lines, "", *(f"- {item}" for item in items), "", "</details>"]


def prose(text: str) -> str:
    """Text that markdown shows as it is: no markup, no HTML, no link, no mention, no reference to an issue.

    What a server looks for in the finished page (`@name`, `#1`, `https:`) is cut in two by an empty comment.
    """
    plain = shown(text).replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    plain = _LINKS.sub(CUT, _MEANINGFUL.sub(r"\\\1", plain))
    return _OPENING.sub(r"\1\\\2", _MENTIONS.sub(r"\1<!-- -->", plain).strip())


def code(text: str) -> str:
    """Text as code, in a table too; backticks would need a fence, and a table looks for pipes before it sees one."""
    said = _IN_CODE.sub(lambda found: f"&#{ord(found[0])};", shown(text))
    return f"<code>{_LINKS.sub(CUT, said)}</code>" if said else ""
