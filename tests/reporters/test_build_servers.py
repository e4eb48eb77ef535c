"""junit, github, gitlab and markdown: what their readers make of real checks."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import jsonschema
import pytest
from junitparser import Failure, JUnitXml, Skipped
from lxml import etree, html
from markdown_it import MarkdownIt

from adaptlint.reporters import EXTENSIONS, FORMATS, Background, RulePage, Style, render
from adaptlint.testing.recipes import build, read_recipe
from tests.cli.running import adaptlint as run
from tests.reporters import cases
from tests.reporters.hostile import command_in
from tests.reporters.schemas import GITLAB, JUNIT, strict
from tests.reporters.test_sarif import BASES, RECIPE


def test_junit_has_a_case_for_every_verdict_and_every_rule(tmp_path: Path) -> None:
    built = build(read_recipe(RECIPE), str(tmp_path), bases=str(BASES))
    targets = ("--target", "peft==0.21.2", "--target", "peft==0.10.0", "--target", "vllm")
    done = run(
        "check", built.model, "adapter", *targets, "--output", "report.xml", "--output", "json:r.json", cwd=tmp_path
    )
    assert done.returncode == 1
    report = strict((tmp_path / "r.json").read_text())
    verdicts, rules = JUnitXml.fromfile(str(tmp_path / "report.xml"))
    assert [type(case.result[0]) for case in verdicts] == [Failure, Failure, Skipped]
    told = {line["rule"]: line["status"] for line in report["ledger"]}
    errors = {finding["code"] for finding in report["findings"] if finding["severity"] == "error"}
    for case in rules:
        status = told[case.name.partition(" ")[0]]
        kinds = [type(result) for result in case.result]
        expected = [Skipped] if status == "not-run" else [Failure] if case.name.partition(" ")[0] in errors else []
        assert kinds == expected
    assert (rules.tests, rules.failures) == (len(told), len(errors))
    failed = next(case for case in rules if case.name == "AL301 rank-disagrees-with-config")
    assert failed.classname == "adaptlint.rules.shape"
    assert "because: " in failed.result[0].text


@pytest.mark.skipif(not JUNIT.exists(), reason="Jenkins' schema is fetched by: make test")
def test_junit_files_are_of_jenkins_own_schema() -> None:
    schema = etree.XMLSchema(etree.parse(str(JUNIT)))
    pages = {"AL302": RulePage("AL302", "some-rule", "shape", "T", "error", "load-fails")}
    for report in (cases.report(), cases.clean(), cases.silent(), cases.hostile()):
        text = render(report, "junit", Style(), Background(pages))
        schema.assertValid(etree.fromstring(text.encode()))
        broken = text.replace("<testcase", "<case", 1).replace("</testcase>", "</case>", 1)
        assert not schema.validate(etree.fromstring(broken.encode(), etree.XMLParser(recover=True)))


def test_programs_that_read_junit_files_tell_the_same(tmp_path: Path) -> None:
    """`junitparser verify` refuses what has failures; junit2html counts and shows every case."""
    programs = Path(sys.executable).parent
    for name, report, refused in (("bad", cases.hostile(), True), ("good", cases.clean(), False)):
        file = tmp_path / f"{name}.xml"
        file.write_text(render(report, "junit"))
        verify = subprocess.run([programs / "junitparser", "verify", file], capture_output=True, check=False)
        assert verify.returncode == int(refused)
        page = tmp_path / f"{name}.html"
        subprocess.run([programs / "junit2html", file, page], capture_output=True, check=True)
        told = html.fromstring(page.read_text()).text_content()
        assert all(rule.rule in told for rule in report.ledger)
        matrix = subprocess.run([programs / "junit2html", file, "--summary-matrix"], capture_output=True, text=True)
        assert ("Failed" in matrix.stdout) == refused


def test_warnings_fail_no_junit_case() -> None:
    report = cases.report(findings=(cases.finding(severity="warning", code="AL101"),))
    _, rules = JUnitXml.fromstring(render(report, "junit").encode())
    case = next(case for case in rules if case.name.startswith("AL101"))
    assert case.is_passed
    assert "warning AL101" in case.system_out


def test_a_crash_of_ours_is_an_error_of_its_case() -> None:
    pages = {"AL302": RulePage("AL302", "some-rule", "shape", "T", "error", "load-fails")}
    (_, rules) = JUnitXml.fromstring(render(cases.hostile(), "junit", Style(), Background(pages)).encode())
    assert (rules.errors, rules.skipped) == (1, 1)


def test_github_points_at_files_of_the_checkout(tmp_path: Path) -> None:
    built = build(read_recipe(RECIPE), str(tmp_path), bases=str(BASES))
    done = run("check", built.model, str(tmp_path / "adapter"), "--format", "github", cwd=tmp_path)
    commands = [command_in(line) for line in done.stdout.rstrip("\n").split("\n")]
    assert all(command is not None for command in commands)
    found = {c.properties["title"].split()[0]: c for c in commands if c is not None}
    assert found["AL301"].name == "error"
    assert (tmp_path / found["AL301"].properties["file"]).is_file()
    assert "line" not in found["AL301"].properties  # a line of a safetensors file means nothing
    lined = [c for c in commands if c is not None and "line" in c.properties]
    for command in lined:
        lines = (tmp_path / command.properties["file"]).read_text().split("\n")
        assert lines[int(command.properties["line"]) - 1].strip()
    assert lined


def test_github_tells_errors_before_what_it_may_not_show() -> None:
    notes = tuple(cases.finding(severity="note", fingerprint=f"n{n}") for n in range(12))
    text = render(cases.report(findings=(*notes, cases.finding())), "github")
    assert [line.split(" ")[0] for line in text.split("\n")][:3] == ["::error", "::error", "::notice"]


def test_gitlab_reads_its_report(tmp_path: Path) -> None:
    built = build(read_recipe(RECIPE), str(tmp_path), bases=str(BASES))
    done = run("check", built.model, "adapter", "--format", "gitlab", cwd=tmp_path)
    document = strict(done.stdout)
    jsonschema.Draft202012Validator(GITLAB).validate(document)
    assert len({each["fingerprint"] for each in document}) == len(document) > 1
    assert all((tmp_path / each["location"]["path"]).exists() for each in document)
    assert "blocker" in {each["severity"] for each in document}


def test_gitlab_gets_a_list_when_nothing_is_wrong() -> None:
    assert strict(render(cases.clean(), "gitlab")) == []


def test_markdown_has_verdicts_a_table_and_details() -> None:
    page = MarkdownIt("commonmark", {"html": True}).enable("table").render(render(cases.silent(), "markdown"))
    root = html.fromstring(f"<main>{page}</main>")
    assert "SILENTLY WRONG" in root.findtext(".//li")
    cells = [[cell.text_content() for cell in row] for row in root.findall(".//tbody/tr")]
    assert [row[0] for row in cells] == ["error", "warning", "note"]
    assert cells[0][3] == "model.layers.{0-39}.self_attn.q_proj"
    summaries = [summary.text for summary in root.findall(".//details/summary")]
    assert len(summaries) == 4
    assert summaries[-1] == "What was not checked"
    assert root.findall(".//details")[-1].findtext(".//li") == "needs values: AL401, AL402"


def test_endings_choose_formats(tmp_path: Path) -> None:
    built = build(read_recipe(RECIPE), str(tmp_path), bases=str(BASES))
    outputs = [argument for ending in EXTENSIONS for argument in ("--output", f"report{ending}")]
    run("check", built.model, "adapter", *outputs, "--output", "gitlab:quality.json", cwd=tmp_path)
    begins = {".json": "{", ".sarif": "{", ".xml": "<?xml", ".md": "### adaptlint", ".html": "<!doctype html>"}
    for ending, form in EXTENSIONS.items():
        assert form in FORMATS
        assert (tmp_path / f"report{ending}").read_text().startswith(begins[ending])
    assert (tmp_path / "quality.json").read_text().startswith("[")
