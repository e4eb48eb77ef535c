"""Findings held against real runs of the newest PEFT: true ones are confirmed, planted ones are refuted."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import jsonschema
import pytest

import adaptlint
from adaptlint.findings.reading import NotAReport, report_from
from adaptlint.replay import records
from adaptlint.replay.conduct import base_of, marked
from adaptlint.replay.plan import Settings
from adaptlint.reporters import render
from adaptlint.testing import build, read_recipe
from tests.conftest import ROOT
from tests.recipes import QUERIES
from tests.replay import adapters
from tests.replay.oracle import compare, figures

pytest.importorskip("peft")
BASES = ROOT / "fixtures" / "bases"
FLAGGED = [
    adapters.IGNORED,
    adapters.MISSING,
    adapters.RAISES,
    "opt.dora.2026-33.not_a_number",
    "llama.lora.2026-25.alpha_odd",
    "gpt2.lora.2026-6.prefix_doubled",
    "distilbert.rslora.2026-13.prefix_wrapped",
    "qwen2.rslora.2026-46.replication_added",
    "clip.lora.2026-30.layers_outside",
    "convnext.lora.2026-31.weights_cut",
]


@pytest.mark.parametrize("name", FLAGGED)
def test_true_findings_are_confirmed_and_planted_ones_never(name: str) -> None:
    row = compare(adapters.SAMPLE, name)
    assert row.true
    assert {status for _, status, _ in row.true} == {"confirmed"}, row.true
    assert row.verdict == "confirmed"
    assert row.planted
    assert {status for _, status, _ in row.planted} <= {"refuted", "inconclusive"}, row.planted


def test_planted_findings_on_a_case_that_loads_are_all_refuted() -> None:
    row = compare(adapters.SAMPLE, adapters.IGNORED)
    assert [(code, status) for code, status, _ in row.planted] == [
        ("AL201", "refuted"),
        ("AL401", "refuted"),
        ("AL301", "refuted"),
    ]
    assert "refuted 3 (100.0 %)" in "\n".join(figures([row]))


def test_where_the_load_raises_the_files_refute_what_is_planted() -> None:
    """Nothing arrives then, and that a file has no such tensor, and a base no such module, is seen all the same."""
    row = compare(adapters.SAMPLE, adapters.RAISES)
    assert row.verdict == "confirmed"
    assert {status for _, status, _ in row.planted} == {"refuted"}, row.planted
    assert "the file has no tensor of planted.layers.0.nowhere" in {seen for _, _, seen in row.planted}


def test_two_adapters_of_one_name_are_loaded_one_after_the_other(tmp_path: Path) -> None:
    """PEFT keeps the config of the first, so that the second one's rank does not fit."""
    from tests.replay.inside import replayed as run

    ranks = {4: QUERIES, 2: QUERIES.replace("r = 4", "r = 2").replace("rank = 4", "rank = 2")}
    built = {rank: build(read_recipe(text), str(tmp_path / str(rank)), str(BASES)) for rank, text in ranks.items()}
    given = [("default", built[rank].adapter) for rank in (4, 2)]
    report, _ = run(adaptlint.check(built[4].model, given), Settings())
    (verdict,) = report.verdicts
    assert (verdict.outcome, verdict.replay.status) == ("fails", "confirmed"), verdict.replay
    assert "torch.Size([2, 32])" in (verdict.replay.observed or "")


def replayed(name: str) -> tuple[Any, list[records.Entry]]:
    from tests.replay.inside import replayed as run

    report = adapters.report(name)
    return run(report, Settings(all=True))


def test_a_healthy_adapter_s_verdict_is_confirmed_with_what_was_seen() -> None:
    report, (entry,) = replayed(adapters.HEALTHY)
    (verdict,) = report.verdicts
    assert (verdict.replay.status, verdict.replay.device) == ("confirmed", "cpu")
    assert entry["forward"]["effect"] is True
    assert verdict.replay.versions["peft"] == verdict.version


def test_a_record_is_as_its_schema_says_and_marks_the_same_report_again() -> None:
    report, entries = replayed(adapters.IGNORED)
    written = json.loads(records.as_text(entries))
    with open(records.schema_path(), encoding="utf-8") as stream:
        jsonschema.validate(written, json.load(stream))
    fresh = adapters.report(adapters.IGNORED)
    again = marked(fresh, written["runs"], records.subject_of(fresh, base_of(fresh)))
    assert [finding.replay for finding in again.findings] == [finding.replay for finding in report.findings]
    assert "tests/oracle" not in json.dumps(written)  # no path of this machine


def test_a_record_of_another_adapter_says_nothing() -> None:
    _, entries = replayed(adapters.IGNORED)
    other = adapters.report(adapters.MISSING)
    assert marked(other, entries, records.subject_of(other, base_of(other))) == other


def test_a_run_of_another_release_decides_nothing() -> None:
    _, entries = replayed(adapters.IGNORED)
    report = adapters.report(adapters.IGNORED)
    (verdict,) = report.verdicts
    report = report._replace(verdicts=(verdict._replace(version="0.14.0"),))
    seen = marked(report, entries, records.subject_of(report, base_of(report)))
    deciding = [finding for finding in seen.findings if finding.fingerprint in verdict.why]
    assert [finding.replay.status for finding in deciding] == ["inconclusive"]
    assert "0.14.0" in (deciding[0].replay.observed or "")


@pytest.mark.parametrize("name", [adapters.IGNORED, adapters.RAISES, adapters.HEALTHY])
def test_a_report_read_back_is_the_report(name: str) -> None:
    report = adapters.report(name)
    told = json.loads(render(report, "json"))
    assert json.loads(render(report_from(told), "json")) == {**told, "timing": report_from(told).to_dict()["timing"]}


@pytest.mark.parametrize(
    "spoilt",
    [
        None,
        [],
        {"schema_version": "2"},
        {"schema_version": "1"},
        {"schema_version": "1", "subject": 3, "timing": {"phases": {}}, "tool": {"version": "1"}},
    ],
)
def test_what_is_no_report_is_refused(spoilt: object) -> None:
    with pytest.raises(NotAReport):
        report_from(spoilt)


def test_refuted_findings_count_no_more() -> None:
    report = adapters.report(adapters.IGNORED)
    assert report.exit_code() == 1
    refuted = tuple(f._replace(replay=f.replay._replace(status="refuted")) for f in report.findings)
    assert report._replace(findings=refuted).exit_code() == 0
