"""SARIF 2.1.0, for code scanning: results with regions, witnesses as related locations, rule pages as help.

https://docs.oasis-open.org/sarif/sarif/v2.1.0/sarif-v2.1.0.html; limits and required fields of its largest reader:
https://docs.github.com/en/code-security/code-scanning/integrating-with-code-scanning/sarif-support-for-code-scanning
"""

from __future__ import annotations

import json
import os
from urllib.parse import quote_from_bytes

from adaptlint.findings import Finding, Place, Report, Suppressed, Where
from adaptlint.hints import TYPE_CHECKING, Any
from adaptlint.reporters import Background, RulePage, Style
from adaptlint.reporters.json import harmless
from adaptlint.reporters.merging import Merged, merged
from adaptlint.reporters.sentences import verdict_sentence
from adaptlint.reporters.showing import counted, shown
from adaptlint.reporters.spots import below, file_of, is_text

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

SCHEMA = "https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/sarif-schema-2.1.0.json"
ROOT = "%SRCROOT%"
SHOWN_RESULTS = 5_000  # that GitHub shows of a run; it takes 25,000
SHOWN_LOCATIONS = 100  # that it shows of one result
LONGEST_TEXT = 1_000  # characters; it takes 1024 of a rule's descriptions
FINGERPRINT = "adaptlint/v1"
LINE_HASH = "primaryLocationLineHash"  # the one fingerprint that GitHub reads

_PROBLEMS = {"error": "error", "warning": "warning", "note": "recommendation"}
_NOTICES = {
    "verdict": "What a runtime will do with the adapters.",
    "not-run": "Rules that could not be run, and why.",
    "crashed": "A rule of adaptlint that crashed; the others were run.",
    "left-out": "Findings that are more than code scanning takes.",
}
_LEVELS = {"works": "note", "fails": "error", "wrong": "error", "unknown": "warning"}


def render(report: Report, style: Style, background: Background) -> str:
    """One log with one run; equal input gives equal bytes on every machine."""
    results, rest = merged(report.findings, SHOWN_RESULTS)
    aside = report.suppressed[: SHOWN_RESULTS - len(results)]
    told = (*(each.finding for each in results), *(row.finding for row in aside))
    rules = {code: n for n, code in enumerate(dict.fromkeys(finding.code for finding in told))}
    run = {
        "tool": {"driver": _driver(report, told, rules, background)},
        "automationDetails": {"id": "adaptlint/"},
        "columnKind": "unicodeCodePoints",
        "originalUriBaseIds": {ROOT: {"description": {"text": "The folder that adaptlint was run in."}}},
        "invocations": [_invocation(report, rest, background)],
        "artifacts": _artifacts(report, results, style.here),
        "results": [
            *(_result(each, report, rules, style.here) for each in results),
            *(_suppressed(row, report, rules, style.here) for row in aside),
        ],
    }
    log = {"$schema": SCHEMA, "version": "2.1.0", "runs": [run]}
    return json.dumps(log, indent=1, allow_nan=False) + "\n"


def _driver(report: Report, told: Sequence[Finding], rules: dict[str, int], background: Background) -> dict[str, Any]:
    first = {finding.code: finding for finding in reversed(told)}
    return {
        "name": "adaptlint",
        "version": report.version,
        "semanticVersion": report.version,
        "rules": [_rule(first[code], background.rules.get(code)) for code in rules],
        "notifications": [_notice(name, text) for name, text in _NOTICES.items()],
    }


def _notice(name: str, text: str) -> dict[str, Any]:
    said = {"text": text}
    return {
        "id": name,
        "name": _pascal(name) + "Notice",
        "shortDescription": said,
        "fullDescription": said,
        "help": {**said, "markdown": text},
    }


def _pascal(name: str) -> str:
    return "".join(part.capitalize() for part in name.split("-"))


def _rule(finding: Finding, page: RulePage | None) -> dict[str, Any]:
    title = page.title if page else finding.name.replace("-", " ")
    text = page.text if page and page.text else shown(finding.help) or title
    return {
        "id": finding.code,
        "name": _pascal(finding.name),
        "shortDescription": {"text": title},
        "fullDescription": {"text": _opening(page.text if page else "") or title},
        "help": {"text": text, "markdown": text},
        "defaultConfiguration": {"level": finding.severity},
        "properties": {
            "tags": [*([page.family] if page else []), finding.consequence],
            "precision": "high",
            "problem.severity": _PROBLEMS[finding.severity],
        },
    }


def _opening(markdown: str) -> str:
    """The first paragraph below the first heading, as one line."""
    paragraphs = [part for part in markdown.split("\n\n") if part.strip() and not part.startswith("#")]
    return " ".join(paragraphs[0].split())[:LONGEST_TEXT] if paragraphs else ""


def _result(each: Merged, report: Report, rules: dict[str, int], here: str) -> dict[str, Any]:
    finding = each.finding
    more = f" ({len(each.others)} more like this are told with it)" if each.others else ""
    places = [_location(f.where, f.place, file_of(f, report), here, f) for f in (finding, *each.others)]
    witnesses = [
        {"id": n, **_location(where, place, where.file, here), "message": message(note)}
        for n, (where, place, note) in enumerate(finding.because, 1)
    ]
    return {
        "ruleId": finding.code,
        "ruleIndex": rules[finding.code],
        "level": finding.severity,
        "message": message(f"{finding.message}{more} {finding.help}".rstrip()),
        "locations": places[:SHOWN_LOCATIONS],
        **({"relatedLocations": witnesses[:SHOWN_LOCATIONS]} if witnesses else {}),
        "partialFingerprints": {FINGERPRINT: finding.fingerprint, LINE_HASH: f"{finding.fingerprint}:1"},
        "properties": {
            "consequence": finding.consequence,
            "adapter": shown(finding.adapter) or None,
            "targets": list(finding.targets),
            "facts": harmless(dict(finding.facts)),
            "replay": harmless(finding.to_dict()["replay"]),
        },
    }


def message(text: str) -> dict[str, str]:
    """Text that a reader shows as it is: SARIF reads braces as placeholders and `[words](place)` as a link."""
    return {"text": shown(text).replace("{", "(").replace("}", ")").replace("](", "] (")}


def _location(
    where: Where | None, place: Place | None, file: str, here: str, finding: Finding | None = None
) -> dict[str, Any]:
    """A file and the region in it; of a finding with the module that it is about."""
    logical = {"fullyQualifiedName": shown(finding.module), "kind": "module"} if finding and finding.module else None
    return {
        "physicalLocation": {
            "artifactLocation": artifact(file, here),
            "region": _region(where, place, finding.excerpt if finding else ""),
        },
        **({"logicalLocations": [logical]} if logical else {}),
    }


def _region(where: Where | None, place: Place | None, excerpt: str) -> dict[str, Any]:
    """Line and column where the file has them, and the bytes; line 1 of a file whose lines mean nothing."""
    if where is None or place is None:
        return {"startLine": 1}
    length = place.end_byte - place.start_byte
    bytes_ = {"byteOffset": place.start_byte, "byteLength": length}
    if not is_text(where.file):
        return {"startLine": 1, **bytes_}
    region: dict[str, Any] = {"startLine": place.line, "startColumn": place.column, **bytes_}
    if excerpt and len(excerpt.encode("utf-8", "surrogatepass")) == length and "\n" not in excerpt:
        region |= {"endLine": place.line, "endColumn": place.column + len(excerpt)}
    return region | ({"snippet": {"text": shown(excerpt)}} if excerpt else {})


def artifact(path: str, here: str) -> dict[str, str]:
    """A file as SARIF names it: relative to the folder of the run, else by its whole path."""
    inside = below(path, here)
    if inside is None and not os.path.isabs(path):  # it climbs out of the folder, or is no path at all
        inside = path
    if inside is not None:
        return {"uri": _quoted(inside), "uriBaseId": ROOT}
    return {"uri": "file://" + _quoted(os.path.normpath(path))}


def _quoted(path: str) -> str:
    """Percent-encoded, the bytes of the name kept; what no file system could hold is kept too."""
    return quote_from_bytes(path.encode("utf-8", "surrogatepass"), safe="/")


def _suppressed(row: Suppressed, report: Report, rules: dict[str, int], here: str) -> dict[str, Any]:
    """A finding that an ignore or the baseline sets aside: consumers count it apart (SARIF 2.1.0, 3.35)."""
    reason = row.suppression.reason or f"in the {row.suppression.by}"
    suppression = {"kind": "external", "status": "accepted", "justification": shown(reason)}
    return {**_result(Merged(row.finding), report, rules, here), "suppressions": [suppression]}


def _artifacts(report: Report, results: Iterable[Merged], here: str) -> list[dict[str, Any]]:
    """The files that results lie in."""
    files = dict.fromkeys(file_of(f, report) for each in results for f in (each.finding, *each.others))
    return [{"location": artifact(file, here), "roles": ["analysisTarget"]} for file in files]


def _invocation(report: Report, rest: int, background: Background) -> dict[str, Any]:
    """Verdicts, and what was not checked: a log without results is no proof of health."""
    told = [
        _notification("verdict", _LEVELS[v.outcome], verdict_sentence(v, report.known_findings))
        for v in report.verdicts
    ]
    reasons: dict[str, list[str]] = {}
    for line in report.ledger:
        if line.status == "not-run":
            reasons.setdefault(line.reason or "no reason given", []).append(line.rule)
        elif line.status == "crashed":
            told.append(_notification("crashed", "error", f"{line.rule} crashed: {line.reason}"))
    for reason, rules in reasons.items():
        said = f"{counted(len(rules), 'rule')} not run, {reason}: {', '.join(rules)}"
        told.append(_notification("not-run", "note", said))
    if rest:
        told.append(_notification("left-out", "warning", f"{rest} findings are left out; the JSON report has them"))
    command = {"commandLine": background.command} if background.command else {}
    return {**command, "executionSuccessful": not report.crashed, "toolExecutionNotifications": told}


def _notification(name: str, level: str, text: str) -> dict[str, Any]:
    return {"descriptor": {"id": name}, "level": level, "message": message(text)}
