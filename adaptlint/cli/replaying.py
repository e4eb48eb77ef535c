"""Replays on the command line: which interpreter, which record, what is told meanwhile."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping, Sequence

from adaptlint.cli import CommandLineError, Interrupted
from adaptlint.cli.progress import Bar
from adaptlint.findings import Report
from adaptlint.hints import Any
from adaptlint.replay import records
from adaptlint.replay.conduct import Doors, Replayed, base_of, marked, replay
from adaptlint.replay.environments import EnvironmentRefused, interpreter
from adaptlint.replay.plan import Settings
from adaptlint.runtimes.adapters.elsewhere import program_of

GB = 1_000_000_000
DEVICES = ("meta", "cpu", "cuda", "mps", "xpu")


def with_runs(report: Report, options: Mapping[str, Any], inputs: Sequence[str]) -> Report:
    """The report of a check, marked by the records that `--with-run` names and by a replay if one is asked for."""
    for path in options["with_run"]:
        report = by_record(report, path)
    if options["replay"]:
        place = options["record"]
        if place is not None:
            from adaptlint.cli.output import check_destination

            check_destination(place, list(inputs))
        done = run(report, options, place)
        report = done.report
    return report


def by_record(report: Report, path: str) -> Report:
    """The report with what a record says of it; a record of something else is told, and says nothing."""
    try:
        entries = records.read_record(path)
    except records.RecordProblem as problem:
        raise CommandLineError(f"--with-run: {problem}.") from problem
    seen = marked(report, entries, records.subject_of(report, base_of(report)))
    if seen == report:
        tell(f"{path}: none of its {len(entries)} runs is about these adapters on this base under these conditions.")
    return seen


def run(report: Report, options: Mapping[str, Any], place: str | None) -> Replayed:
    """Replay a report as the options say. Ctrl-C is raised as Interrupted, with what was seen until then."""
    settings = settings_of(options)
    entries: list[records.Entry] = []
    if options["resume"]:
        if place is None:
            raise CommandLineError("--resume needs the record to go on with: --record PATH.")
        if os.path.exists(place):
            try:
                entries = records.read_record(place)
            except records.RecordProblem as problem:
                raise CommandLineError(f"--resume: {problem}.") from problem
    file = records.RecordFile(place, entries)
    bar = Bar(bool(options["quiet"]))
    doors = Doors(python_of(options), tell, bar.show)
    done = replay(report, settings, doors, file, options["resume"])
    bar.end()
    if done.trouble:
        tell(f"the run record is incomplete: {done.trouble}. The marks are in the report all the same.")
    for entry in done.entries:
        if entry["status"] != "done":
            tell(f"{entry['target']['library']} {entry['target']['version']}: {entry['status']}: {entry['detail']}")
    if done.interrupted:
        raise Interrupted(done.report)
    return done


def settings_of(options: Mapping[str, Any]) -> Settings:
    """The plan's settings."""
    device = options["device"] or "cpu"
    if device.partition(":")[0] not in DEVICES:
        raise CommandLineError(f"--device {device}: is {', '.join(DEVICES[:-1])} or {DEVICES[-1]}.")
    return Settings(
        device,
        options["dtype"] or "float32",
        (options["memory"] or 4) * GB,
        float(options["timeout"] or 600),
        options["scale"] or "",
        options["all"],
        options["full"],
        tuple(range(1, 11)) if options["invariants"] else (),
    )


def python_of(options: Mapping[str, Any]) -> str:
    """The interpreter that runs: named, of an environment, or this one."""
    if options["env"] and options["python"]:
        raise CommandLineError("--env and --python both name an interpreter; give one of them.")
    if options["env"]:
        try:
            return interpreter(options["env"], options["offline"], tell)
        except EnvironmentRefused as refused:
            raise CommandLineError(f"--env: {refused}") from refused
    return program_of(str(options["python"] or sys.executable))


def tell(text: str) -> None:
    """A line for the person at the terminal; the report goes to stdout."""
    sys.stderr.write(f"replay: {text}\n")
    sys.stderr.flush()
