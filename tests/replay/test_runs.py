"""The recorded replays of fixtures/runs: each confirms what is said of its story today, in the library's own words."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from adaptlint.findings import Report
from adaptlint.replay import records
from adaptlint.replay.conduct import base_of, marked
from adaptlint.replay.observed import observed
from tests.cli.running import adaptlint
from tests.replay.stories import RUNS, Chapter, chapters, judged, placed_on

CHAPTERS = [pytest.param(chapter, id=chapter.name) for chapter in chapters()]


def by_record(chapter: Chapter, folder: Path) -> tuple[Report, list[dict[str, Any]]]:
    """The report on the story, marked by its record alone."""
    report = chapter.report(str(folder))
    entries = records.read_record(str(chapter.record))
    return marked(report, entries, records.subject_of(report, base_of(report))), entries


@pytest.mark.parametrize("chapter", CHAPTERS)
def test_a_record_decides_what_is_said_of_its_story(chapter: Chapter, tmp_path: Path) -> None:
    report, entries = by_record(chapter, tmp_path)
    (verdict,) = report.verdicts
    assert verdict.replay.status == chapter.verdict, verdict.replay
    assert verdict.replay.versions is not None
    assert verdict.replay.versions[verdict.target] == verdict.version == chapter.target.partition("==")[2]
    deciding = [finding for finding in report.findings if finding.fingerprint in verdict.why]
    if verdict.outcome in ("fails", "wrong"):
        assert {finding.replay.status for finding in deciding} == {"confirmed"}, deciding
    said = [verdict.replay.observed or "", *(seen[1] for entry in entries if (seen := observed(entry).error))]
    assert any(chapter.says in text for text in said), said


@pytest.mark.parametrize("chapter", CHAPTERS)
def test_a_record_is_as_its_schema_says_and_names_no_machine(chapter: Chapter) -> None:
    text = chapter.record.read_text()
    with open(records.schema_path(), encoding="utf-8") as stream:
        jsonschema.validate(json.loads(text), json.load(stream))
    assert "FOLDER" not in text
    assert str(RUNS.parent.parent) not in text
    assert {run["device"] for run in json.loads(text)["runs"]} <= {"cpu", "meta"}  # none is from a GPU yet


def test_every_record_has_its_story() -> None:
    assert {path.name for path in RUNS.glob("*.json")} == {chapter.record.name for chapter in chapters()}


def test_without_a_gpu_no_record_of_one_is_written() -> None:
    torch = pytest.importorskip("torch")
    if torch.cuda.is_available():
        pytest.skip("there is a GPU")
    before = sorted(RUNS.rglob("*.json"))
    words = [sys.executable, "-m", "tests.replay.stories", "--device", "cuda", "--only", "healthy"]
    done = subprocess.run(words, capture_output=True, text=True, check=False, cwd=RUNS.parent.parent)
    assert done.returncode == 1
    assert "no device cuda here" in done.stderr
    assert sorted(RUNS.rglob("*.json")) == before


def test_the_command_that_makes_them_judges_what_it_made() -> None:
    """Every record of its own story decides it; another story's, or none, does not."""
    one, other = (
        next(each for each in chapters() if each.name == name) for name in ("healthy-0.21.2", "t5-parallel-1.3.0")
    )
    fine, line = judged(one, one.record)
    assert fine
    assert "load on meta done, layer on cpu done" in line
    assert not judged(one, other.record)[0]
    assert judged(one, one.record_on("cuda").with_name("nowhere.json")) == (False, "healthy-0.21.2: no record")


def test_on_a_gpu_every_backend_is_asked_for() -> None:
    assert placed_on("cpu", ["--all"]) == []
    assert placed_on("cuda", ["--all"]) == ["--device", "cuda", "--dtype", "bfloat16", "--invariants"]
    assert "--invariants" not in placed_on("cuda", ["--all", "--invariants"])


@pytest.mark.parametrize("path", sorted((RUNS / "cuda").glob("*.json")), ids=lambda path: path.name)
def test_a_record_of_a_gpu_is_from_one(path: Path) -> None:
    runs = records.read_record(str(path))
    assert {run["device"] for run in runs} <= {"cuda", "meta"}
    assert all(run["gpu"]["name"] for run in runs if run["device"] == "cuda")


def test_all_ten_invariants_hold_for_the_healthy_one_at_its_real_sizes() -> None:
    (healthy,) = (chapter for chapter in chapters() if chapter.story == "healthy")
    run = records.read_record(str(healthy.record))[-1]
    assert run["scale"] == "layer"
    assert [row["status"] for row in run["invariants"]] == ["held"] * 10
    assert run["peak_memory"] < 4_000_000_000


def test_a_release_whose_sdpa_sees_the_future_breaks_the_second_invariant() -> None:
    (entry,) = records.read_record(str(RUNS / "sdpa-not-causal-0.2.2.json"))
    broken = {row["number"] for row in entry["invariants"] if row["status"] == "broken"}
    assert {1, 2, 3} <= broken
    (sound,) = records.read_record(str(RUNS / "sdpa-not-causal-1.0.0.json"))
    assert not [row for row in sound["invariants"] if row["status"] == "broken"]


def test_check_reads_a_record_back(tmp_path: Path) -> None:
    chapter = next(each for each in chapters() if each.name == "pruned-adapter-0.21.2")
    command = [word for word in chapter.command(str(tmp_path)) if word != "--replay"]
    done = adaptlint(*command, "--with-run", str(chapter.record))
    assert done.returncode == 1
    assert "replay:  confirmed on meta: RuntimeError at load" in done.stdout
