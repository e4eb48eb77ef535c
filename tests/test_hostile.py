"""Hostile adapters (fixtures/hostile): each ends in its named findings, and nothing is run, written or fetched.

The check runs in a child whose audit hook records every event that could: a process, a socket, an unpickling, a write
outside adaptlint's own cache.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from adaptlint.testing import build, read_recipe
from tests.conftest import ROOT

HOSTILE = ROOT / "fixtures" / "hostile"
CASES = sorted(HOSTILE.glob("*.toml"))
CHILD = """
import json, os, sys
events = []
WATCHED = ("subprocess.", "os.system", "os.exec", "os.posix_spawn", "os.fork", "socket.", "urllib.", "pickle.")
CHANGES = ("os.remove", "os.rename", "os.mkdir", "os.rmdir", "os.link", "os.symlink", "os.chmod", "os.truncate")

def hook(event, args):
    cache = os.environ["ADAPTLINT_CACHE"]
    if event.startswith(WATCHED):
        events.append(event)
    elif event.startswith(CHANGES) and not str(args[0]).startswith(cache):
        events.append(f"{event} {args[0]}")
    elif event == "open" and isinstance(args[0], str) and not args[0].startswith(cache):
        if args[2] & (os.O_WRONLY | os.O_RDWR | os.O_CREAT) if args[1] is None else set(args[1]) & set("wxa+"):
            events.append(f"open {args[0]} {args[1]}")

import adaptlint
from adaptlint.engine import check
sys.addaudithook(hook)
report = check(sys.argv[1], sys.argv[2], targets=["peft==0.21.2"], values="full")
verdict = report.verdicts[0]
print(json.dumps([sorted({f.code for f in report.findings}), events, report.crashed, verdict.outcome]))
"""


@pytest.mark.parametrize("path", CASES, ids=lambda path: path.stem)
def test_hostile_adapter_is_named_and_harmless(path: Path, tmp_path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    built = build(read_recipe(text), tmp_path, bases=ROOT / "fixtures" / "bases")
    before = sorted(item.relative_to(tmp_path) for item in tmp_path.rglob("*"))
    command = [sys.executable, "-B", "-c", CHILD, str(built.model), str(built.adapter)]
    done = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path, check=True)
    codes, events, crashed, outcome = json.loads(done.stdout)
    assert events == []
    assert not crashed
    assert codes == tomllib.loads(text)["expect"]["codes"], outcome
    assert sorted(item.relative_to(tmp_path) for item in tmp_path.rglob("*")) == before
