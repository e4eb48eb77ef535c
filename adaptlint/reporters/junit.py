"""JUnit XML, for the test tabs of build servers: a case for every verdict and for every rule.

No standard says what it is; the elements and attributes are those that Jenkins' schema of the format has
(xunit plugin, junit-10.xsd), and the text is XML 1.0 with everything that is not printable spelled out.
"""

from __future__ import annotations

from collections.abc import Sequence
from html import escape

from adaptlint.findings import Finding, LedgerLine, Report, Verdict
from adaptlint.named_tuple import NamedTuple
from adaptlint.reporters import Background, Style
from adaptlint.reporters.sentences import effect, outcome_word, runtime, spot, verdict_sentence
from adaptlint.reporters.showing import shown

_PROLOGUE = '<?xml version="1.0" encoding="UTF-8"?>'


class Case(NamedTuple):
    """One test case: `kind` is "", failure, error or skipped; `text` is the body of that, or the case's output."""

    group: str
    name: str
    kind: str = ""
    message: str = ""
    text: str = ""


def render(report: Report, style: Style, background: Background) -> str:
    """A suite of verdicts and a suite of rules; only findings of severity error are failures."""
    verdicts = [_verdict_case(verdict, report) for verdict in report.verdicts]
    rules = [_rule_case(line, report, style, background) for line in report.ledger]
    suites = [("adaptlint.verdicts", verdicts), ("adaptlint.rules", rules)]
    counts = _counts([case for _, cases in suites for case in cases])
    lines = [_PROLOGUE, f'<testsuites name="adaptlint" {_attributes(counts, "skipped")}>']
    for name, cases in suites:
        lines.append(f'  <testsuite name="{name}" {_attributes(_counts(cases))}>')
        for case in cases:
            lines += _lines(case)
        lines.append("  </testsuite>")
    return "\n".join([*lines, "</testsuites>"]) + "\n"


def _verdict_case(verdict: Verdict, report: Report) -> Case:
    kind = {"works": "", "unknown": "skipped"}.get(verdict.outcome, "failure")
    said = verdict_sentence(verdict, report.known_findings)
    return Case("adaptlint.verdicts", runtime(verdict), kind, said, f"{outcome_word(verdict)}\n{said}")


def _rule_case(line: LedgerLine, report: Report, style: Style, background: Background) -> Case:
    found = [finding for finding in report.findings if finding.code == line.rule]
    page = background.rules.get(line.rule)
    name = page.name if page else next((finding.name for finding in found), "")
    group = f"adaptlint.rules.{page.family}" if page else "adaptlint.rules"
    case = Case(group, f"{line.rule} {name}".rstrip())
    if line.status == "crashed":
        return case._replace(kind="error", message=f"our own rule crashed: {line.reason}")
    if line.status == "not-run":
        return case._replace(kind="skipped", message=line.reason or "not run")
    text = "\n\n".join(_told(finding, report.verdicts, style.here) for finding in found)
    errors = [finding for finding in found if finding.severity == "error"]
    if not errors:
        return case._replace(text=text)
    more = f" (and {len(errors) - 1} more)" if len(errors) > 1 else ""
    return case._replace(kind="failure", message=errors[0].message + more, text=text)


def _told(finding: Finding, verdicts: Sequence[Verdict], here: str) -> str:
    at = f" {spot(finding.where, finding.place, here)}" if finding.where else ""
    lines = [f"{finding.severity} {finding.code} {finding.name}{at}", shown(finding.message)]
    lines += [f"because: {shown(note)} ({spot(where, place, here)})" for where, place, note in finding.because]
    lines += [f"effect: {effect(finding, verdicts)}", *([f"help: {shown(finding.help)}"] if finding.help else [])]
    return "\n".join([*lines, f"fingerprint: {shown(finding.fingerprint)}"])


def _counts(cases: Sequence[Case]) -> dict[str, int]:
    kinds = [case.kind for case in cases]
    return {
        "tests": len(cases),
        "failures": kinds.count("failure"),
        "errors": kinds.count("error"),
        "skipped": kinds.count("skipped"),
    }


def _attributes(counts: dict[str, int], *left_out: str) -> str:
    return " ".join(f'{name}="{number}"' for name, number in counts.items() if name not in left_out)


def _lines(case: Case) -> list[str]:
    head = f'    <testcase classname="{_xml(case.group)}" name="{_xml(shown(case.name))}"'
    if not case.kind and not case.text:
        return [f"{head}/>"]
    if not case.kind:
        return [f"{head}>", f"      <system-out>{_xml(case.text)}</system-out>", "    </testcase>"]
    body = f'<{case.kind} message="{_xml(shown(case.message))}"'
    kind = f' type="{case.kind}"' if case.kind != "skipped" else ""
    return [f"{head}>", f"      {body}{kind}>{_xml(case.text)}</{case.kind}>", "    </testcase>"]


def _xml(text: str) -> str:
    """Text for an element or an attribute; our own line ends stay, and nothing that XML 1.0 forbids is left."""
    return escape("\n".join(shown(line) for line in text.split("\n")))
