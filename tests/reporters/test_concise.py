"""One line per finding, one per verdict."""

from __future__ import annotations

import re

from adaptlint.reporters import Style, render
from tests.reporters import cases


def test_every_finding_is_one_line_that_editors_understand() -> None:
    for report in (cases.report(), cases.silent(), cases.hostile()):
        lines = render(report, "concise").rstrip("\n").split("\n")
        assert len(lines) == len(report.findings) + len(report.verdicts)
        for line, finding in zip(lines, report.findings, strict=False):
            match = re.fullmatch(r"(.+):(\d+):(\d+): (AL\d{3}) (error|warning|note) (.+)", line)
            assert match
            assert match[4] == finding.code


def test_without_a_known_line_it_stands_at_the_top() -> None:
    lines = render(cases.silent(), "concise").split("\n")
    assert lines[1].startswith("pruned/adapter_model.safetensors:1:1: AL201 error ")
    assert lines[2].startswith("llama-13b:1:1: AL103 warning ")


def test_verdicts_come_last_and_alone_when_quiet() -> None:
    sentence = "peft 0.21.2 (transformers 5.23.0): FAILS at load with RuntimeError: size mismatch for " + cases.KEY
    assert render(cases.report(), "concise").split("\n")[-2] == sentence
    assert render(cases.report(), "concise", Style(quiet=True)) == sentence + "\n"
