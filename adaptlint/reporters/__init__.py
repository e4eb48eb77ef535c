"""Report in, text out: pure functions, one module per format, imported when its format is asked for."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, cast

from adaptlint.named_tuple import NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable

    from adaptlint.findings import Report

FORMATS = {
    "text": "adaptlint.reporters.text",
    "concise": "adaptlint.reporters.concise",
    "json": "adaptlint.reporters.json",
}


class Style(NamedTuple):
    """How a report is laid out for people.

    `width` in columns; `quiet` says verdicts only, `verbose` every key and rule; paths below the folder `here` are
    shown from there.
    """

    width: int = 100
    colour: bool = False
    quiet: bool = False
    verbose: bool = False
    here: str = ""


def render(report: Report, form: str, style: Style | None = None) -> str:
    """The report in one of `FORMATS`, ending in a newline; raises KeyError for an unknown format."""
    reporter = cast("Callable[[Report, Style], str]", import_module(FORMATS[form]).render)
    return reporter(report, style or Style())
