"""The GitHub Action and the container recipe: read as their consumers read them, and their shell really run."""

from __future__ import annotations

import json
import os
import re
import shlex
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.adapters import BASE, write_adapter
from tests.cli.running import adaptlint
from tests.conftest import ROOT

ACTION = yaml.safe_load((ROOT / "action.yml").read_text())
STEPS = ACTION["runs"]["steps"]
MATCHER = json.loads((ROOT / "docs" / "problem-matcher.json").read_text())["problemMatcher"][0]["pattern"][0]


def test_the_action_has_what_github_asks_for() -> None:
    assert (
        {"name", "description", "runs"}
        <= set(ACTION)
        <= {"name", "description", "inputs", "outputs", "runs", "branding"}
    )
    assert ACTION["runs"]["using"] == "composite"
    for entry in ACTION["inputs"].values():
        assert set(entry) == {"description", "default"}
    for step in STEPS:
        assert step["shell"] == "bash"
        assert set(step) <= {"name", "id", "shell", "env", "run"}
    used = set(re.findall(r"inputs\.([a-z-]+)", (ROOT / "action.yml").read_text()))
    assert used == set(ACTION["inputs"])


def test_github_s_own_schema_takes_the_action(tmp_path: Path) -> None:
    """By the schema of actions that check-jsonschema brings along, and it refuses a step without a shell."""
    judge = [sys.executable, "-m", "check_jsonschema", "--builtin-schema", "vendor.github-actions"]
    done = subprocess.run([*judge, str(ROOT / "action.yml")], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout
    broken = tmp_path / "action.yml"
    broken.write_text((ROOT / "action.yml").read_text().replace("shell: bash", "# no shell", 1))
    assert subprocess.run([*judge, str(broken)], capture_output=True, check=False).returncode == 1


def test_pre_commit_takes_the_hooks(tmp_path: Path) -> None:
    judge = [sys.executable, "-m", "pre_commit", "validate-manifest"]
    subprocess.run([*judge, str(ROOT / ".pre-commit-hooks.yaml")], capture_output=True, check=True)
    broken = tmp_path / "hooks.yaml"
    broken.write_text((ROOT / ".pre-commit-hooks.yaml").read_text().replace("entry:", "entries:", 1))
    assert subprocess.run([*judge, str(broken)], capture_output=True, check=False).returncode == 1


@pytest.mark.parametrize("step", STEPS, ids=lambda step: step["name"])
def test_no_input_is_pasted_into_the_shell(step: dict[str, Any]) -> None:
    """What a pull request's author can choose reaches the script as a variable only."""
    assert "${{" not in step["run"]
    subprocess.run(["bash", "-n"], input=step["run"], text=True, check=True)


def scan(folder: Path, **inputs: str) -> tuple[int, str, str]:
    """The second step as a runner runs it: status, what it printed, its outputs."""
    (step,) = (step for step in STEPS if step.get("id") == "scan")
    given = {name: entry["default"] for name, entry in ACTION["inputs"].items()} | inputs
    env = {
        name: re.sub(r"\$\{\{ inputs\.([a-z-]+) \}\}", lambda m: given[m[1]], text)
        for name, text in step["env"].items()
    }
    outputs = folder / "outputs"
    shims = folder / ".shims"
    shims.mkdir(exist_ok=True)
    (shims / "python").write_text(f'#!/bin/sh\nexec {shlex.quote(sys.executable)} "$@"\n')
    (shims / "python").chmod(0o755)
    runner = {
        **os.environ,
        "PATH": f"{shims}{os.pathsep}{os.environ['PATH']}",
        "PYTHONPATH": str(ROOT),
        "GITHUB_ACTION_PATH": str(ROOT),
        "GITHUB_OUTPUT": str(outputs),
    }
    command = ["bash", "--noprofile", "--norc", "-eo", "pipefail", "-c", step["run"]]
    done = subprocess.run(command, cwd=folder, env={**runner, **env}, capture_output=True, text=True, check=False)
    told = outputs.read_text() if outputs.exists() else ""
    outputs.unlink(missing_ok=True)
    return done.returncode, done.stdout + done.stderr, told


def test_the_action_s_scan(tmp_path: Path) -> None:
    write_adapter(tmp_path / "adapters" / "de", rank=8)
    write_adapter(tmp_path / "adapters" / "f r")
    status, said, told = scan(tmp_path, base=BASE)
    assert (status, told) == (1, "status=1\n"), said
    found = [match for line in said.splitlines() if (match := re.match(MATCHER["regexp"], line))]
    assert [(m[MATCHER["file"]], m[MATCHER["code"]], m[MATCHER["severity"]]) for m in found] == [
        ("adapters/de/adapter_model.safetensors", "AL301", "error")
    ]
    status, said, told = scan(
        tmp_path, base=BASE, paths="adapters/f r\n", **{"fail-on": "note", "options": "--quiet\n"}
    )
    assert (status, told) == (0, "status=0\n"), said
    assert "1 adapter: 1 works" in said
    status, said, _ = scan(tmp_path, base=BASE, paths="--version; touch broken")
    assert status == 2
    assert not (tmp_path / "broken").exists()


def test_the_matcher_reads_every_line_of_concise(tmp_path: Path) -> None:
    adapter = write_adapter(tmp_path / "de", rank=8)
    lines = adaptlint("check", BASE, str(adapter), "--format", "concise").stdout.splitlines()
    assert [bool(re.match(MATCHER["regexp"], line)) for line in lines] == [True, False]


def test_the_container_recipe() -> None:
    text = (ROOT / "docs" / "Dockerfile").read_text().replace("\\\n", " ")
    lines = [line for line in text.splitlines() if line and not line.startswith("#")]
    words = [line.split(maxsplit=1) for line in lines]
    assert {word for word, _ in words} <= {"FROM", "ARG", "COPY", "RUN", "USER", "ENV", "WORKDIR", "ENTRYPOINT", "CMD"}
    stages = [rest.split(" AS ")[1] for word, rest in words if word == "FROM" and " AS " in rest]
    sources = [part[7:] for _, rest in words for part in rest.split() if part.startswith("--from=")]
    assert set(sources) <= set(stages)
    entry = json.loads(next(rest for word, rest in words if word == "ENTRYPOINT"))
    made = re.findall(r"venv (\S+)", text)
    assert entry == [f"{made[0]}/bin/adaptlint"]
    for script in (rest for word, rest in words if word == "RUN"):
        subprocess.run(["sh", "-n"], input=script, text=True, check=True)
    assert next(rest for word, rest in words[::-1] if word == "USER") != "root"
