"""The report for people, as golden texts in golden/."""

from __future__ import annotations

import os

import pytest

from adaptlint.reporters import Style, render
from adaptlint.reporters.showing import LONGEST, shown, shown_path, wrapped
from tests.reporters import cases

GOLDEN = os.path.join(os.path.dirname(__file__), "golden")
REPORTS = {
    "pruned": (cases.report(), Style()),
    "pruned-narrow-verbose": (cases.report(), Style(width=60, verbose=True)),
    "pruned-quiet": (cases.report(), Style(quiet=True)),
    "clean": (cases.clean(), Style()),
    "silent": (cases.silent(), Style()),
    "warned": (cases.silent(warned=True), Style(quiet=True)),
}


@pytest.mark.parametrize("name", REPORTS)
def test_text_is_the_golden_text(name: str) -> None:
    report, style = REPORTS[name]
    with open(os.path.join(GOLDEN, f"{name}.txt"), encoding="utf-8") as stream:
        assert render(report, "text", style) == stream.read()


def test_colours_change_nothing_but_colour() -> None:
    import re

    for report, style in REPORTS.values():
        coloured = render(report, "text", style._replace(colour=True))
        assert "\x1b[" in coloured
        assert re.sub(r"\x1b\[[0-9;]*m", "", coloured) == render(report, "text", style)


@pytest.mark.parametrize("form", ["text", "concise"])
def test_hostile_strings_stay_on_their_line_and_visible(form: str) -> None:
    text = render(cases.hostile(), form, Style(verbose=True))
    assert all(character.isprintable() or character == "\n" for character in text)
    assert not any(line.startswith("AL000") for line in text.split("\n"))
    assert r"a\x1b[31mred" in text
    assert r"\u202ereversed\u202c" in text
    assert r"\u200bzero" in text


def test_unknown_says_what_is_missing() -> None:
    missing = cases.finding(message="The base's config.json is not there. It would say the shapes.")
    verdict = cases.verdict(outcome="unknown", stage=None, error=None, mismatched_keys=(), steps=())
    text = render(cases.report(verdicts=(verdict,), findings=(missing,)), "text")
    assert text.startswith("peft 0.21.2 (transformers 5.23.0): CANNOT TELL: The base's config.json is not there.\n")


def test_crash_of_ours_is_told() -> None:
    assert "our own rule AL302 crashed" in render(cases.hostile(), "text")


def test_lines_fit_unless_a_word_or_a_file_entry_does_not() -> None:
    for width in (40, 80, 120):
        for line in render(cases.report(), "text", Style(width=width)).split("\n"):
            longest_word = max((len(word) for word in line.split(" ")), default=0)
            assert len(line) <= width or longest_word > width - 20 or " | " in line or "(lora, " in line or "/" in line


def test_wrapping_never_breaks_a_word() -> None:
    path = "/" + "very" * 60 + "/long"
    lines = wrapped(f"the file {path} is odd", 30, "  > ")
    assert lines == ["  > the file", f"    {path}", "    is odd"]


def test_long_strings_are_cut_and_say_so() -> None:
    assert shown("x" * (LONGEST + 7)) == "x" * LONGEST + "... (7 more characters)"


def test_paths_below_the_working_folder_are_shown_from_there() -> None:
    assert shown_path("/some/here/a/b.json", "/some/here") == "a/b.json"
    assert shown_path("/some/hereabouts/b.json", "/some/here") == "/some/hereabouts/b.json"
    assert shown_path("/etc/x", "/") == "etc/x"
    assert shown_path("a\n", "") == "a\\n"
    moved = render(cases.report(), "concise", Style(here="pruned"))
    assert moved.startswith("adapter_model.safetensors:1:34: ")
