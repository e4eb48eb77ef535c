"""What a runner of GitHub's workflows makes of our commands, and of our action."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from adaptlint.reporters import Style, render
from tests.adapters import LOCK, write_adapter
from tests.conftest import ROOT
from tests.github_runner import Obeyed, run_job
from tests.reporters import cases
from tests.reporters.hostile import FRAGMENTS


def adapters(folder: Path) -> Path:
    """A repository with an adapter that fails, one that works, and their base."""
    write_adapter(folder / "adapters" / "de", rank=8)
    write_adapter(folder / "adapters" / "f r")
    shutil.copy(LOCK, folder / "tiny.lock.json")
    (folder / "adaptlint.toml").write_text('[bases]\n"adapters/*" = "tiny.lock.json"\n')
    return folder


def test_the_runner_makes_an_annotation_of_every_finding(tmp_path: Path) -> None:
    folder = adapters(tmp_path / "repository")
    check = "python -m adaptlint check tiny.lock.json adapters/de --fail-on note"
    job = run_job(
        folder, [{"id": "check", "run": f"{check} --format github --output json:../report.json"}], tmp_path / "home"
    )
    assert not job.succeeded
    (report,) = (tmp_path / "home").rglob("report.json")
    findings = json.loads(report.read_text())["findings"]
    named = [obeyed for obeyed in job.commands if "file" in obeyed.properties]
    assert [c.properties["title"] for c in named] == [f"{f['code']} {f['name']}" for f in findings]
    for obeyed, finding in zip(named, findings, strict=True):
        assert obeyed.name == {"error": "error", "warning": "warning", "note": "notice"}[finding["severity"]]
        assert obeyed.data.startswith(finding["message"])
        assert (folder / obeyed.properties["file"]).is_file()
    assert [c.name for c in job.commands if c not in named] == ["error"]  # the verdict


def test_the_runner_obeys_nothing_that_an_adapter_says(tmp_path: Path) -> None:
    """Every hostile fragment in one report: as annotations exactly ours, and none in a log that is only printed."""
    evil = "".join(f"\n{fragment}" for fragment in FRAGMENTS)
    folder = tmp_path / "repository"
    folder.mkdir()
    for form in ("github", "text", "concise"):
        (folder / form).write_text(render(cases.hostile(evil), form, Style(verbose=True)))
    (folder / "obeyed").write_text("::error::the runner listens\n")
    steps = [{"run": f"cat {form}"} for form in ("text", "concise", "obeyed", "github")]
    job = run_job(folder, steps, tmp_path / "home")
    assert job.succeeded
    heard, *ours = job.commands
    assert heard == Obeyed("error", {}, "the runner listens")
    assert [obeyed.name for obeyed in ours] == ["error"] * 3
    assert all(set(obeyed.properties) <= {"file", "title", "line", "col"} for obeyed in ours)


@pytest.mark.skipif("ACTION" not in os.environ, reason="installs adaptlint with pip: make action")
def test_the_action_installs_itself_scans_and_tells_its_status(tmp_path: Path) -> None:
    folder = adapters(tmp_path / "repository")
    archive = subprocess.run(["git", "archive", "HEAD"], cwd=ROOT, capture_output=True, check=True).stdout
    (folder / "tools" / "adaptlint").mkdir(parents=True)
    subprocess.run(["tar", "-x"], cwd=folder / "tools" / "adaptlint", input=archive, check=True)
    subprocess.run([sys.executable, "-m", "venv", str(tmp_path / "python")], check=True)
    use = {"uses": "./tools/adaptlint", "continue-on-error": True}
    steps = [
        {**use, "id": "all", "with": {"paths": "adapters"}},
        {**use, "id": "healthy", "with": {"paths": "adapters/f r\n", "base": "tiny.lock.json", "fail-on": "note"}},
        {**use, "id": "wrong", "with": {"options": "--no-such-option\n"}},
        {"run": "echo ended ${{ steps.all.outputs.status }} ${{ steps.healthy.outputs.status }}"},
        {"run": "echo wrong ${{ steps.wrong.outputs.status }}"},
    ]
    job = run_job(folder, steps, tmp_path / "home", PATH=str(tmp_path / "python" / "bin"), PYTHONPATH="")
    assert "ended 1 0" in job.lines
    assert "wrong 2" in job.lines
    assert any("AL301 error" in line for line in job.lines)
    matchers = [obeyed for obeyed in job.commands if obeyed.name == "add-matcher"]
    assert len(matchers) == 3
    assert all(obeyed.data.endswith("/tools/adaptlint/docs/problem-matcher.json") for obeyed in matchers)
