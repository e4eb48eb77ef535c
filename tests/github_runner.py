"""A workflow run for real, by nektos/act with this machine as its runner: what it did, and which commands it obeyed."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any, NamedTuple

import yaml

from tests.conftest import ROOT

ACT = Path(sys.executable).with_name("act")


class Obeyed(NamedTuple):
    """A workflow command as the runner read it."""

    name: str
    properties: dict[str, str]
    data: str


class Job(NamedTuple):
    """What became of a job: by step whether it succeeded, the commands it obeyed, and the plain lines of the log."""

    succeeded: bool
    steps: dict[str, bool]
    commands: list[Obeyed]
    lines: list[str]


def run_job(folder: Path, steps: list[dict[str, Any]], home: Path, **env: str) -> Job:
    """Commit `folder` as a repository whose only workflow has these steps after the checkout, and push it."""
    workflow = {"on": "push", "jobs": {"job": {"runs-on": "here", "steps": [{"uses": "actions/checkout@v5"}, *steps]}}}
    (folder / ".github" / "workflows").mkdir(parents=True)
    (folder / ".github" / "workflows" / "ci.yml").write_text(yaml.safe_dump(workflow))
    settings = {name: value for name, value in os.environ.items() if not name.startswith(("GIT_", "GITHUB_", "XDG_"))}
    settings |= {"HOME": str(home), "PYTHONPATH": str(ROOT), "GIT_CONFIG_GLOBAL": os.devnull, "CI": "true", **env}
    settings["PATH"] = os.pathsep.join([env.get("PATH", str(ACT.parent)), os.environ["PATH"]])
    author = ("-c", "user.name=A", "-c", "user.email=a@example.org")
    for command in (("init", "-q"), ("add", "-A"), (*author, "commit", "-q", "-m", "all")):
        subprocess.run(["git", *command], cwd=folder, env=settings, check=True)
    command = [str(ACT), "push", "--json", "--platform", "here=-self-hosted"]
    done = subprocess.run(command, cwd=folder, env=settings, capture_output=True, text=True, timeout=300, check=False)
    told = [json.loads(line) for line in (done.stdout + done.stderr).splitlines() if line.startswith("{")]
    ended = {entry["step"]: entry["stepResult"] == "success" for entry in told if "stepResult" in entry}
    obeyed = [
        Obeyed(entry["command"], entry.get("kvPairs") or {}, entry.get("arg", ""))
        for entry in told
        if "command" in entry
    ]
    lines = [entry["msg"].rstrip("\n") for entry in told if entry.get("raw_output")]
    return Job(done.returncode == 0, ended, obeyed, lines)
