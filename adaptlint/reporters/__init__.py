"""Report in, text out: pure functions, one module per format, imported when its format is asked for."""

from __future__ import annotations

from importlib import import_module

from adaptlint.hints import TYPE_CHECKING, cast
from adaptlint.named_tuple import NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from adaptlint.findings import Report

FORMATS = {
    "text": "adaptlint.reporters.text",
    "concise": "adaptlint.reporters.concise",
    "json": "adaptlint.reporters.json",
    "sarif": "adaptlint.reporters.sarif",
    "junit": "adaptlint.reporters.junit",
    "github": "adaptlint.reporters.github",
    "gitlab": "adaptlint.reporters.gitlab",
    "markdown": "adaptlint.reporters.markdown",
    "html": "adaptlint.reporters.html",
}
EXTENSIONS = {".json": "json", ".sarif": "sarif", ".xml": "junit", ".md": "markdown", ".html": "html"}
TELL_RULES = ("sarif", "junit", "html")  # formats that have a use for `Background`
TELL_SITES = ("html",)  # and for `Report.sites`
DRAWN = ("json", "html")  # and for `Report.shapes` and `Report.composition`


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


class RulePage(NamedTuple):
    """A rule's page as a format shows it beside the findings; `text` is markdown, without card and examples."""

    code: str
    name: str
    family: str
    title: str
    severity: str
    consequence: str
    text: str = ""


class Background(NamedTuple):
    """What a format may tell beside the report: rule pages by code, and the command that makes the report again.

    Reporters know no catalogue and no command line; who calls them does.
    """

    rules: Mapping[str, RulePage] = {}
    command: str = ""


def render(report: Report, form: str, style: Style | None = None, background: Background | None = None) -> str:
    """The report in one of `FORMATS`, ending in a newline; raises KeyError for an unknown format."""
    reporter = cast("Callable[[Report, Style, Background], str]", import_module(FORMATS[form]).render)
    return reporter(report, style or Style(), background or Background())
