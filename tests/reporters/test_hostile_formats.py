"""Whatever a file holds, every format stays what it is, and shows it."""

from __future__ import annotations

import json
import re
from typing import Any
from urllib.parse import unquote_to_bytes

import jsonschema
import pytest
from hypothesis import example, given, settings
from junitparser import JUnitXml
from lxml import etree, html
from markdown_it import MarkdownIt

from adaptlint.reporters import FORMATS, Style, render
from adaptlint.reporters.markdown import code, prose
from adaptlint.reporters.showing import shown
from tests.reporters import cases
from tests.reporters.hostile import FRAGMENTS, command_in, hostile_texts
from tests.reporters.schemas import GITLAB, SARIF, strict

few = settings(max_examples=25, deadline=None)
everything = "".join(FRAGMENTS)


def strings(value: Any) -> list[str]:
    if isinstance(value, dict):
        return [text for pair in value.items() for part in pair for text in strings(part)]
    if isinstance(value, list):
        return [text for item in value for text in strings(item)]
    return [value] if isinstance(value, str) else []


@given(hostile_texts)
@example(everything)
@few
def test_sarif(evil: str) -> None:
    log = strict(render(cases.hostile(evil), "sarif"))
    jsonschema.Draft4Validator(SARIF).validate(log)
    assert all(character.isprintable() for text in strings(log["runs"][0]["results"]) for character in text)
    result = log["runs"][0]["results"][0]
    messages = [result["message"]["text"], *(spot["message"]["text"] for spot in result["relatedLocations"])]
    assert not any("{" in text or "}" in text or "](" in text for text in messages)
    uri = result["relatedLocations"][0]["physicalLocation"]["artifactLocation"]["uri"]
    assert re.fullmatch(r"(file://)?[A-Za-z0-9_.~/%-]*", uri)
    assert unquote_to_bytes(uri).endswith(evil.rstrip("/").rpartition("/")[2].encode("utf-8", "surrogatepass"))


@given(hostile_texts)
@example(everything)
@few
def test_junit(evil: str) -> None:
    report = cases.hostile(evil)
    text = render(report, "junit")
    root = etree.fromstring(text.encode(), etree.XMLParser(resolve_entities=False))
    assert [suite.name for suite in JUnitXml.fromroot(root)] == ["adaptlint.verdicts", "adaptlint.rules"]
    assert len(root.findall(".//testcase")) == len(report.verdicts) + len(report.ledger)
    outer, inner = {"testsuites", "testsuite", "testcase"}, {"failure", "error", "skipped", "system-out"}
    assert {element.tag for element in root.iter()} <= outer | inner
    assert root.find(".//skipped").attrib["message"] == (shown(evil) or "not run")


@given(hostile_texts)
@example(everything)
@few
def test_github(evil: str) -> None:
    report = cases.hostile(evil)
    lines = render(report, "github").rstrip("\n").split("\n")
    commands = [command_in(line) for line in lines]
    assert [command.name if command else None for command in commands] == ["error", "error", "error"]
    (_, found, _) = commands
    assert found is not None
    assert set(found.properties) <= {"file", "line", "col", "title"}
    assert found.properties["title"] == "AL302 adapter-of-a-pruned-base"
    assert found.data.startswith(shown(report.findings[0].message))


@given(hostile_texts)
@example(everything)
@few
def test_gitlab(evil: str) -> None:
    document = strict(render(cases.hostile(evil), "gitlab"))
    jsonschema.Draft202012Validator(GITLAB).validate(document)
    assert all(character.isprintable() for text in strings(document) for character in text)


@given(hostile_texts)
@example(everything)
@example("a" * 5000)
@few
def test_markdown(evil: str) -> None:
    report = cases.hostile(evil)
    page = MarkdownIt("commonmark", {"html": True}).enable("table").render(render(report, "markdown"))
    root = html.fromstring(f"<main>{page}</main>")
    elements = [element for element in root.iter() if isinstance(element.tag, str)]
    allowed = "main h3 p ul li table thead tbody tr th td code details summary"
    assert {element.tag for element in elements} <= set(allowed.split())
    assert not [value for element in elements for name, value in element.attrib.items() if name != "style"]
    assert len(root.findall(".//tr")) == 2
    assert len(root.findall(".//td")) == 4
    paragraphs = [" ".join(p.text_content().split()) for p in root.findall(".//p")]
    assert " ".join(shown(report.findings[0].message).split()) in paragraphs


@given(hostile_texts)
@example(everything)
@few
def test_markdown_shows_text_and_code_as_they_are(evil: str) -> None:
    for told in (prose(evil), code(evil)):
        root = html.fromstring(f"<main>{MarkdownIt('commonmark', {'html': True}).render(told)}</main>")
        assert " ".join(root.text_content().split()) == " ".join(shown(evil).split())
        texts = root.xpath(".//text()[not(ancestor::code)]")
        assert not any(re.search(r"[@#][\w/]|(?i:https?:|www\.)", text) for text in texts)


@pytest.mark.parametrize("form", ["text", "concise"])
@given(hostile_texts)
@example("::error::x")
@example("x ::stop-commands::y ##[error]z")
@few
def test_no_build_server_obeys_a_log(form: str, evil: str) -> None:
    for width in (40, 100):
        for line in render(cases.hostile(evil), form, Style(width=width, verbose=True)).split("\n"):
            assert command_in(line) is None


def test_every_format_survives_every_report() -> None:
    assert json.loads(render(cases.hostile(), "json"))
    for form in FORMATS:
        for report in (cases.report(), cases.clean(), cases.silent(), cases.hostile()):
            text = render(report, form)
            assert text.endswith("\n")
            assert text == render(report, form)
