"""`adaptlint replay`: run the flagged cases of a report with the real library."""

from __future__ import annotations

import click

from adaptlint.cli import CommandLineError, Interrupted, output
from adaptlint.cli.background import background_of
from adaptlint.cli.check_command import click_option
from adaptlint.cli.plain import Option
from adaptlint.cli.replay_options import RUN_OPTIONS
from adaptlint.findings import Report
from adaptlint.hints import Any
from adaptlint.reporters import FORMATS, Style, render

OPTIONS = (
    *RUN_OPTIONS,
    Option("--with-run", "Mark the findings by a run record; repeatable.", "many", "RECORD"),
    Option("--offline", "Never use the network.", "flag"),
    Option("--fail-on", "Exit 1 from here up.  [error]", choices=("error", "warning", "note"), default="error"),
    Option("--format", "What stdout gets.  [text]", choices=tuple(FORMATS), default="text", field="form"),
    Option("--output", "Write the marked report to a file too; repeatable.", "many", "[FORMAT:]PATH"),
    Option("--quiet", "Only the verdicts.", "flag"),
    Option("--verbose", "Every key and every rule.", "flag"),
)


def read_report(path: str) -> Report:
    """The report in a file. Raises CommandLineError."""
    from adaptlint.artefacts import Malformed, read_json
    from adaptlint.findings.reading import NotAReport, report_from

    document = read_json(path)
    if isinstance(document, Malformed):
        raise CommandLineError(f"{path} cannot be read: {document.reason}.")
    try:
        return report_from(document.value)
    except NotAReport as problem:
        raise CommandLineError(f"{path}: {problem}. `adaptlint check --format json` writes one.") from problem


def replay(report: str, **options: Any) -> int:
    """Run what the REPORT of `adaptlint check --format json` flags, and print the report with each finding marked.

    A finding is confirmed, refuted or inconclusive, with what was observed. What was run is kept in a run record
    (--record), which `adaptlint check --with-run` reads back. Exit status as of `adaptlint check`; a refuted finding
    counts no more.
    """
    from adaptlint.cli.replaying import by_record, run

    given = read_report(report)
    inputs = [each.path for each in given.subject.adapters]
    destinations = output.destinations(options["output"], options["form"], inputs)
    status = 0
    for path in options["with_run"]:
        given = by_record(given, path)
    try:
        marked = run(given, options, options["record"] or record_beside(report)).report
    except Interrupted as stopped:
        marked, status = stopped.report, Interrupted.STATUS
    layout = output.style(options["quiet"], options["verbose"])
    forms = {options["form"], *(place.form for place in destinations)}
    background = background_of(marked, forms, OPTIONS, options, "replay", report)

    def draw(form: str, style: Style) -> str:
        return render(marked, form, style, background)

    output.deliver(destinations, options["form"], layout, draw)
    return status or marked.exit_code(options["fail_on"])


def record_beside(report: str) -> str:
    """The run record's place where none is named: beside the report."""
    return f"{report.removesuffix('.json')}.run.json"


command = click.Command(
    "replay",
    callback=replay,
    help=replay.__doc__,
    params=[click.Argument(["report"]), *map(click_option, OPTIONS)],
)
