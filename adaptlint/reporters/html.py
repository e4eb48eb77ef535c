"""The report as one HTML file: no network, works without JavaScript, every string escaped by jinja2.

Equal reports give equal bytes. The file stays below `BUDGET` whatever it is given: the most severe findings are told in
full, the others on a line each, and what is still too much is counted.
"""

from __future__ import annotations

import base64
import hashlib
import os
import re
from functools import cache

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup, escape

from adaptlint.findings import SEVERITIES, AdapterSubject, Finding, Report
from adaptlint.hints import Any
from adaptlint.named_tuple import NamedTuple
from adaptlint.reporters import Background, RulePage, Style
from adaptlint.reporters.diagram import diagram
from adaptlint.reporters.heat_strip import SIGNS, WORDS, heat_strip
from adaptlint.reporters.issue_text import issues
from adaptlint.reporters.json import harmless
from adaptlint.reporters.sentences import (
    effect,
    ledger_line,
    outcome_word,
    runtime,
    spot,
    subject_line,
    tally,
    verdict_sentence,
)
from adaptlint.reporters.showing import shown, shown_path

TEMPLATES = os.path.join(os.path.dirname(os.path.abspath(__file__)), "templates")
BUDGET = 5_000_000  # bytes of the whole file
FULL_BYTES, LINE_BYTES = 1_000_000, 3_000_000  # of findings told in full, and of those told on a line
SHARES = (1.0, 0.5, 0.2, 0.0)  # of these bytes, tried in turn
MOST_IN_FULL = 300
MOST_ADAPTERS = 200
_NAMED = 3  # adapters in the title
LINE = 100  # characters of a message or a path that is told on a line
_CODE = re.compile(r"`([^`]+)`")


class Told(NamedTuple):
    """Findings by how much of them is told: in full, on a line, not at all."""

    full: list[dict[str, Any]]
    lines: list[dict[str, str]]
    left_out: int


def render(report: Report, style: Style, background: Background) -> str:
    """The page; `style.here` shortens paths, nothing else of the style matters."""
    template = _environment().get_template("report.html.jinja")
    seen = _seen(report, style, background)
    page = ""
    for share in SHARES:
        page = template.render(seen, told=_told(report, style, share)).rstrip("\n") + "\n"
        if len(page.encode("utf-8", "backslashreplace")) <= BUDGET:
            break
    return page


@cache
def _environment() -> Environment:
    return Environment(
        loader=FileSystemLoader(TEMPLATES),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )


def _seen(report: Report, style: Style, background: Background) -> dict[str, Any]:
    """Everything that the page shows but the findings."""
    looks, script = _raw("report.css"), _raw("report.js")
    adapters = [
        (shown(adapter.name), shown_path(adapter.path, style.here), harmless(adapter.to_dict()))
        for adapter in report.subject.adapters
    ]
    return {
        "report": report,
        "style": looks,
        "script": script,
        "policy": _policy(looks, script),
        "title": _title(report),
        "called": [_called(adapter) for adapter in report.subject.adapters[:_NAMED]],
        "verdicts": [_verdict(verdict, report) for verdict in report.verdicts],
        "subject": subject_line(report, style.here),
        "tally": tally(report.findings),
        "severities": [(s, n) for s in SEVERITIES if (n := sum(f.severity == s for f in report.findings))],
        "rules": _rules(report, background),
        "strip": heat_strip(report.sites),
        "signs": SIGNS,
        "words": WORDS,
        "diagram": diagram(report),
        "ledger": ledger_line(report, reasons_told=True),
        "reasons": _reasons(report),
        "adapters": adapters[:MOST_ADAPTERS],
        "more_adapters": len(adapters[MOST_ADAPTERS:]),
        "command": shown(background.command),
        "issues": issues(report, style, background.command),
        "compose": shown(report.subject.compose or ""),
    }


def _raw(name: str) -> str:
    """A file of ours that stands in the page as it is; what it is hashed as is what stands there."""
    with open(os.path.join(TEMPLATES, name), encoding="utf-8") as stream:
        return Markup(stream.read())  # noqa: S704


def _policy(looks: str, script: str) -> str:
    """Nothing is loaded, nothing but our own style and script is obeyed."""
    hashes = [base64.b64encode(hashlib.sha256(text.encode()).digest()).decode() for text in (looks, script)]
    return (
        f"default-src 'none'; style-src 'sha256-{hashes[0]}'; script-src 'sha256-{hashes[1]}'; "
        "base-uri 'none'; form-action 'none'"
    )


def _title(report: Report) -> str:
    told = ", ".join(dict.fromkeys(outcome_word(verdict) for verdict in report.verdicts)) or "no verdict"
    names = ", ".join(map(_called, report.subject.adapters[:_NAMED]))
    return f"adaptlint: {names} {told}".replace("  ", " ")


def _called(adapter: AdapterSubject) -> str:
    """What a reader calls the adapter: its folder, where PEFT's `default` is the only name that it has."""
    folder = os.path.basename(adapter.path.rstrip("/"))
    return shown(folder if adapter.name == "default" and folder else adapter.name)


def _verdict(verdict: Any, report: Report) -> dict[str, Any]:
    because = [f for f in report.findings if f.fingerprint in verdict.why]
    steps = [
        (shown(f"{step.op} {step.adapter}".strip()), step.outcome, shown(f"{step.error.type}" if step.error else ""))
        for step in verdict.steps
    ]
    said = verdict_sentence(verdict, report.known_findings)
    return {
        "who": runtime(verdict),
        "outcome": verdict.outcome,
        "word": outcome_word(verdict),
        "rest": said.removeprefix(f"{runtime(verdict)}: {outcome_word(verdict)}"),
        "because": [(anchor(f), f.code) for f in because[:12]],
        "steps": steps[:200] if len(steps) > 1 else [],
        "replay": observed(verdict.to_dict())[:40],
    }


def anchor(finding: Finding) -> str:
    """The id that a link leads to, the same in every report that has this finding."""
    return "f-" + re.sub(r"[^A-Za-z0-9-]", "-", finding.fingerprint)


def _told(report: Report, style: Style, share: float) -> Told:
    """What fits into this share of the bytes, the most severe first."""
    causes = {fingerprint for verdict in report.verdicts for fingerprint in verdict.why}
    ordered = sorted(report.findings, key=lambda f: (SEVERITIES.index(f.severity), f.fingerprint not in causes))
    full: list[dict[str, Any]] = []
    lines: list[dict[str, str]] = []
    spent = spent_on_lines = left_out = 0
    for finding in ordered:
        if len(full) < MOST_IN_FULL and not lines:
            told = _in_full(finding, report, style)
            spent += _weight(told)
            if spent < FULL_BYTES * share:
                full.append(told)
                continue
        line = _on_a_line(finding)
        spent_on_lines += _weight(line)
        if spent_on_lines < LINE_BYTES * share:
            lines.append(line)
        else:
            left_out += 1
    return Told(full, lines, left_out)


def _weight(value: Any) -> int:
    """Roughly the bytes that it takes in the page, with tags."""
    if isinstance(value, dict):
        return 120 + sum(_weight(item) for item in value.values())
    if isinstance(value, (list, tuple)):
        return sum(60 + _weight(item) for item in value)
    return len(escape(str(value)).encode("utf-8", "backslashreplace"))


def _in_full(finding: Finding, report: Report, style: Style) -> dict[str, Any]:
    told = finding.to_dict()
    return {
        "id": anchor(finding),
        "severity": finding.severity,
        "code": finding.code,
        "name": finding.name,
        "message": shown(finding.message),
        "help": shown(finding.help),
        "effect": effect(finding, report.verdicts),
        "where": spot(finding.where, finding.place, style.here) if finding.where else "",
        "excerpt": shown(finding.excerpt),
        "adapter": shown(finding.adapter),
        "module": shown(finding.module),
        "witnesses": [(shown(note), spot(where, place, style.here)) for where, place, note in finding.because[:8]],
        "facts": flat(harmless(dict(finding.facts)))[:40],
        "fix": flat(harmless(told.get("fix")))[:4],
        "replay": observed(told)[:40],
    }


def _on_a_line(finding: Finding) -> dict[str, str]:
    module = shown(finding.module)
    message = shown(finding.message)
    return {
        "id": anchor(finding),
        "severity": finding.severity,
        "code": finding.code,
        "module": module if len(module) <= LINE else module[:LINE] + "\u2026",
        "message": message if len(message) <= LINE else message[:LINE] + "\u2026",
    }


def observed(told: dict[str, Any]) -> list[tuple[str, str]]:
    """What a replay on real hardware saw, as rows; none where it was not run."""
    replay = told.get("replay")
    return flat(harmless(replay)) if isinstance(replay, dict) and replay.get("status") != "not-run" else []


def flat(value: Any, name: str = "") -> list[tuple[str, str]]:
    """Nested values as rows: ("versions.peft", "0.21.2"); what is not known is left out."""
    if isinstance(value, dict):
        return [row for key, item in value.items() for row in flat(item, f"{name}.{key}" if name else str(key))]
    if value is None:
        return []
    if isinstance(value, list):
        return [(name, ", ".join(str(item) for item in value[:50]))]
    return [(name, str(value))]


def _reasons(report: Report) -> list[tuple[str, str, list[str]]]:
    """What became of the rules: status, reason, codes; what was not checked first."""
    groups: dict[tuple[str, str], list[str]] = {}
    for line in report.ledger:
        groups.setdefault((line.status, shown(line.reason or "")), []).append(line.rule)
    order = ("crashed", "not-run", "fired", "passed")
    rows = sorted(groups.items(), key=lambda item: order.index(item[0][0]))
    return [(status.replace("-", " "), reason, codes) for (status, reason), codes in rows]


def _rules(report: Report, background: Background) -> list[tuple[RulePage, list[tuple[str, Markup]]]]:
    codes = dict.fromkeys(finding.code for finding in report.findings)
    pages = [background.rules[code] for code in codes if code in background.rules]
    return [(page, _blocks(page.text)) for page in pages if page.text]


def _blocks(markdown: str) -> list[tuple[str, Markup]]:
    """A page of ours as (tag, inline) pairs: headings, paragraphs, items of lists; backticks become code."""
    blocks: list[tuple[str, Markup]] = []
    for part in markdown.split("\n\n"):
        text = " ".join(part.split())
        if not text:
            continue
        if text.startswith("#"):
            blocks.append(("h4", _inline(text.lstrip("# "))))
        elif text.startswith("- "):
            blocks += [("li", _inline(item)) for item in re.split(r"(?:^| )- ", text) if item]
        else:
            blocks.append(("p", _inline(text)))
    return blocks


def _inline(text: str) -> Markup:
    parts = [
        escape(part) if n % 2 == 0 else Markup("<code>{}</code>").format(part)
        for n, part in enumerate(_CODE.split(text))
    ]
    return Markup("").join(parts)
