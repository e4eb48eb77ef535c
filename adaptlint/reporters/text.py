"""The report for people: verdicts first, then findings with their witnesses, then one line of summary."""

from __future__ import annotations

from adaptlint.findings import SEVERITIES, AdapterSubject, Finding, Report, Verdict
from adaptlint.reporters import Background, Style
from adaptlint.reporters.sentences import (
    effect,
    ledger_line,
    outcome_word,
    replayed,
    spot,
    subject_line,
    suppressed,
    tally,
    verdict_sentence,
)
from adaptlint.reporters.showing import counted, inert, painted, shown, shown_path, wrapped

_SEVERITY_COLOURS = {"error": "red", "warning": "yellow", "note": "cyan"}
_OUTCOME_COLOURS = {"works": "green", "fails": "red", "wrong": "red", "unknown": "yellow"}
_LABEL = "  {:<9}"  # "  because: ", "  effect:  ", "  help:    "
_WITNESSES = 2  # both sides
_KEY_LISTS = ("missing_keys", "unexpected_keys", "left_at_init", "ignored")


def render(report: Report, style: Style, background: Background) -> str:
    """The whole text; with `style.quiet` the verdicts alone."""
    lines: list[str] = []
    for verdict in report.verdicts:
        lines += _verdict(verdict, report, style)
    if not style.quiet:
        for adapter, findings in _groups(report):
            lines += ["", *_adapter(adapter, style)] if adapter else []
            for finding in findings:
                lines += ["", *_finding(finding, report.verdicts, style)]
        lines += ["", *_summary(report, style)] if lines else _summary(report, style)
    return inert(lines)


def _verdict(verdict: Verdict, report: Report, style: Style) -> list[str]:
    lines = wrapped(verdict_sentence(verdict, report.known_findings), style.width, "", "    ")
    word = f": {outcome_word(verdict)}"
    colours = ("bold", _OUTCOME_COLOURS[verdict.outcome])
    lines[0] = lines[0].replace(word, ": " + painted(word[2:], style.colour, *colours), 1)
    codes = {finding.code: None for finding in report.known_findings if finding.fingerprint in verdict.why}
    if codes:
        lines += wrapped(f"because of {', '.join(codes)}", style.width, "    ")
    if len(verdict.steps) > 1 and (style.verbose or verdict.outcome != "works"):
        for step in verdict.steps:
            stage = f" at {step.stage}" if step.stage else ""
            error = f" with {step.error.type}: {step.error.match}" if step.error else ""
            step_said = f"{step.op} {step.adapter}".rstrip()
            lines += wrapped(f"{step_said}: {step.outcome}{stage}{error}", style.width, "    - ")
    if verdict.replay.status != "not-run":
        lines += wrapped(f"replay: {replayed(verdict.replay)}", style.width, "    ", "      ")
    return lines + (_keys(verdict) if style.verbose else [])


def _keys(verdict: Verdict) -> list[str]:
    lines: list[str] = []
    for name in _KEY_LISTS:
        keys = getattr(verdict, name)
        if keys:
            lines += [f"    {name} ({len(keys)}):", *(f"      {shown(key)}" for key in keys)]
    if verdict.mismatched_keys:
        lines.append(f"    mismatched_keys ({len(verdict.mismatched_keys)}):")
        lines += [
            f"      {shown(key)}: {list(theirs)} in the checkpoint, {list(ours)} in the model"
            for key, theirs, ours in verdict.mismatched_keys
        ]
    return lines


def _groups(report: Report) -> list[tuple[AdapterSubject | None, list[Finding]]]:
    """Findings of no adapter first (the base, the plan), then adapter by adapter; in each errors, and causes, first."""
    causes = {fingerprint for verdict in report.verdicts for fingerprint in verdict.why}
    adapters = {adapter.name: adapter for adapter in report.subject.adapters}
    groups: dict[str, list[Finding]] = {"": [], **{name: [] for name in adapters}}
    for finding in report.findings:
        groups[finding.adapter if finding.adapter in adapters else ""].append(finding)
    for findings in groups.values():
        findings.sort(key=lambda finding: (SEVERITIES.index(finding.severity), finding.fingerprint not in causes))
    return [(adapters.get(name), findings) for name, findings in groups.items() if findings]


def _adapter(adapter: AdapterSubject, style: Style) -> list[str]:
    facts = [adapter.method or "unknown method", adapter.format if adapter.format != "unknown" else ""]
    facts += [f"rank {adapter.rank}"] if adapter.rank is not None else []
    facts.append(counted(adapter.tensors, "tensor"))
    name = painted(shown(adapter.name), style.colour, "bold")
    return [
        f"adapter {name}: {shown_path(adapter.path, style.here)} ({', '.join(shown(fact) for fact in facts if fact)})"
    ]


def _finding(finding: Finding, verdicts: tuple[Verdict, ...], style: Style) -> list[str]:
    """Six lines at most, each wrapped: name and spot, what is wrong, two witnesses, what the run will do, the help."""
    severity = painted(finding.severity, style.colour, "bold", _SEVERITY_COLOURS[finding.severity])
    header = f"{severity} {painted(f'{finding.code} {finding.name}', style.colour, 'bold')}"
    lines = [f"{header} {spot(finding.where, finding.place, style.here)}" if finding.where is not None else header]
    lines += wrapped(finding.message, style.width, "  ")
    if finding.excerpt and style.verbose:
        number = str(finding.place.line) if finding.place else ""
        lines.append(painted(f"  {number:>4} | ", style.colour, "dim") + shown(finding.excerpt))
    label = "because:"
    for where, place, note in finding.because if style.verbose else finding.because[:_WITNESSES]:
        lines += _witness(_LABEL.format(label), note, f"({spot(where, place, style.here)})", style.width)
        label = ""
    lines += wrapped(effect(finding, verdicts), style.width, _LABEL.format("effect:"))
    if finding.replay.status != "not-run":
        lines += wrapped(replayed(finding.replay), style.width, _LABEL.format("replay:"))
    if finding.help:
        help_lines = wrapped(finding.help, style.width, _LABEL.format("help:"))
        help_lines[0] = help_lines[0].replace("help:", painted("help:", style.colour, "green"), 1)
        lines += help_lines
    if finding.fix and finding.fix[0] != "display":
        lines += wrapped(_repair(finding.fix), style.width, _LABEL.format("fix:"))
    return lines


def _repair(fix: tuple[str, str]) -> str:
    """What `adaptlint fix` does about it; an unsafe repair needs to be asked for."""
    safety, summary = fix
    return f"adaptlint fix{' --unsafe' if safety == 'unsafe' else ''}: {summary}"


def _witness(label: str, note: str, at: str, width: int) -> list[str]:
    """A note and the spot that says so; the spot moves to a line of its own rather than being broken."""
    lines = wrapped(note, width, label)
    if len(lines[-1]) + 2 + len(at) <= width:
        lines[-1] += f" {at}"
    else:
        lines.append(" " * len(label) + at)
    return lines


def _summary(report: Report, style: Style) -> list[str]:
    total = sum(milliseconds for _, milliseconds in report.phases)
    counts = f"{tally(report.findings)}{suppressed(report)}"
    said = f"{counts}; {subject_line(report, style.here)}; {ledger_line(report)}; {total:.0f} ms"
    lines = wrapped(said, style.width, "", "  ")
    for line in report.ledger:
        reason = f": {line.reason}" if line.reason else ""
        if line.status == "crashed":
            crash = f"our own rule {line.rule} crashed{reason}; please report it"
            lines += wrapped(crash, style.width, "  ", "    ")
        elif style.verbose:
            looked = f"{line.rule} {line.status}, looked at {line.looked_at}{reason}"
            lines += wrapped(looked, style.width, "  ", "    ")
    if style.verbose:
        lines += [f"  {shown(phase)} {milliseconds:.1f} ms" for phase, milliseconds in report.phases]
    return lines
