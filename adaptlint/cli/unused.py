"""Ignores of the configuration that set nothing aside any more, told beside the report."""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Sequence

from adaptlint.hints import TYPE_CHECKING

if TYPE_CHECKING:
    from adaptlint.findings import Report
    from adaptlint.settings import Settings

ENTRY = re.compile(r"\s*\[\[\s*(tool\s*\.\s*adaptlint\s*\.\s*)?ignores\s*\]\]")


def tell_unused(reports: Sequence[Report], settings: Settings, paths: Sequence[str] = ()) -> None:
    """A note on stderr for each ignore that none of the checks had a use for.

    One that names no adapter, or several by a glob, may be about adapters that were not looked at: it is told where
    `paths`, which were searched, have the configuration's whole folder in them.
    """
    tried = {use.number: use for report in reports for use in report.ignores}
    used = {use.number for report in reports for use in report.ignores if use.used}
    root = os.path.realpath(settings.root)
    whole = any((root + os.sep).startswith(os.path.realpath(path).rstrip(os.sep) + os.sep) for path in paths)
    from adaptlint.settings.globs import inside

    looked_at = {inside(settings.root, each.path) for report in reports for each in report.subject.adapters}
    for number, use in sorted(tried.items()):
        if number in used or not (whole or use.adapter.strip("/") in looked_at):
            continue
        from adaptlint.reporters.showing import shown, shown_path

        about = f" for {use.adapter}" if use.adapter else ""
        at = f"{shown_path(settings.path, os.getcwd())}{_line(settings.path, number)}"
        said = f"the ignore of {', '.join(use.rules)}{about} sets nothing aside any more; take it out"
        sys.stderr.write(f"note: {at}: {shown(said)}.\n")


def _line(path: str, number: int) -> str:
    """`:12` for the line where the entry begins, or its number where the entries stand in one list."""
    try:
        with open(path, encoding="utf-8") as stream:
            begins = [line for line, text in enumerate(stream, 1) if ENTRY.match(text)]
    except (OSError, UnicodeDecodeError):
        begins = []
    return f":{begins[number]}" if number < len(begins) else f" (ignores[{number}])"
