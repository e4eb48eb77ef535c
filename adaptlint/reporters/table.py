"""Many reports at once: a line per finding, a row per adapter, a sentence for all."""

from __future__ import annotations

from collections.abc import Sequence

from adaptlint.findings import Report
from adaptlint.reporters import Style
from adaptlint.reporters.concise import finding_line
from adaptlint.reporters.sentences import outcome_word, suppressed, tally
from adaptlint.reporters.showing import counted, inert, painted, shown_path, width_of

_COLUMNS = ("adapter", "base", "verdict", "findings")
_HEADS = tuple(f"{column}  " for column in _COLUMNS)  # tabulate leaves room around a heading
_NARROWEST = 16  # characters of a column
_GAPS = 2 * (len(_COLUMNS) - 1)
_COLOURS = {"WORKS": "green", "FAILS": "red", "SILENTLY WRONG": "red", "WRONG": "red", "CANNOT TELL": "yellow"}


def render_many(reports: Sequence[Report], style: Style) -> str:
    """Findings one a line, then the table, then how many of each outcome; `style.quiet`: the last line alone."""
    lines: list[str] = []
    if not style.quiet:
        lines = [finding_line(finding, report, style.here) for report in reports for finding in report.findings]
        lines += [""] if lines else []
        lines += [_painted(_table(reports, style), style.colour), ""] if reports else []
    return inert([*lines, sentence(reports)])


def sentence(reports: Sequence[Report]) -> str:
    """How many adapters there are, and what becomes of them."""
    words = [_word(report) for report in reports]
    counts = [f"{words.count(word)} {word.lower()}" for word in dict.fromkeys([*_COLOURS, *words]) if word in words]
    aside = sum(len(report.suppressed) for report in reports)
    said = f"; {counted(aside, 'finding')} set aside" if aside else ""
    found = tally(finding for report in reports for finding in report.findings)
    return f"{counted(len(reports), 'adapter')}: {', '.join(counts) or 'nothing to check'}; {found}{said}"


def _table(reports: Sequence[Report], style: Style) -> str:
    from tabulate import tabulate

    rows = [_row(report, style) for report in reports]
    verdicts, findings = (max(width_of(part) for row in [_HEADS, *rows] for part in row[n].split("\n")) for n in (2, 3))
    rest = style.width - verdicts - findings - _GAPS
    adapters = max(
        _NARROWEST, min(max(width_of(row[0]) for row in rows), rest - _NARROWEST, max(rest // 2, rest - _longest(rows)))
    )
    widths = [adapters, max(_NARROWEST, rest - adapters), None, None]
    table: str = tabulate(rows, _COLUMNS, disable_numparse=True, maxcolwidths=widths, break_on_hyphens=False)
    return table


def _longest(rows: Sequence[tuple[str, ...]]) -> int:
    return max(width_of(row[1]) for row in rows)


def _row(report: Report, style: Style) -> tuple[str, ...]:
    paths = "\n".join(shown_path(adapter.path, style.here) for adapter in report.subject.adapters)
    base = shown_path(report.subject.model_ref, style.here) or "not named"
    return paths, base, _word(report), f"{tally(report.findings)}{suppressed(report)}".replace("; ", ",\n")


def _word(report: Report) -> str:
    """The worst outcome of the targets."""
    words = [outcome_word(verdict) for verdict in report.verdicts]
    order = ("FAILS", "SILENTLY WRONG", "WRONG", "CANNOT TELL", "WORKS")
    return next((word for word in order if word in words), "CANNOT TELL")


def _painted(table: str, colour: bool) -> str:
    if not colour:
        return table
    for word in ("CANNOT TELL", "SILENTLY WRONG", "FAILS", "WORKS"):
        table = table.replace(f"  {word} ", f"  {painted(word, True, _COLOURS[word])} ")
    return table
