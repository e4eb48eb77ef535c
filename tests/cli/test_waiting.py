"""A check that takes longer than a second says so on a terminal, and only there."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from adaptlint.testing import build, read_recipe
from tests.adapters import write_adapter
from tests.cli.running import adaptlint, on_a_terminal
from tests.conftest import ROOT

SLOW = ROOT / "fixtures" / "bases" / "tiny-jamba"  # no table has it: transformers has to be imported


@pytest.fixture
def command() -> list[str]:
    pytest.importorskip("transformers")
    return ["graph", str(SLOW), "--no-cache"]


def test_a_clock_runs_on_a_terminal_and_leaves_nothing_behind(command: list[str], tmp_path: Path) -> None:
    said = on_a_terminal([sys.executable, "-m", "adaptlint", *command, "--flow"], tmp_path, 100)
    assert " ... 1 s\x1b[K" in said
    before, _, report = said.rpartition("\r\x1b[K")
    assert "JambaForCausalLM" in report
    assert "JambaForCausalLM" not in before


def test_inspect_on_a_base_has_the_clock_too(tmp_path: Path) -> None:
    pytest.importorskip("transformers")
    write_adapter(tmp_path / "adapter")
    command = [sys.executable, "-m", "adaptlint", "inspect", "adapter", "--base", str(SLOW)]
    said = on_a_terminal(command, tmp_path, 100, ADAPTLINT_CACHE=str(tmp_path / "cache"))
    assert " ... 1 s\x1b[K" in said


def test_a_pipe_gets_no_clock(command: list[str]) -> None:
    done = adaptlint(*command)
    assert (done.returncode, done.stderr) == (0, "")


def test_a_name_cannot_move_the_cursor(tmp_path: Path) -> None:
    recipe = """base = "tiny-llama"
[config]
peft_type = "LORA"
target_modules = ["q_proj"]
"""
    built = build(read_recipe(recipe), str(tmp_path), bases=str(ROOT / "fixtures" / "bases"))
    hostile = Path(built.adapter).rename(tmp_path / "a\x1b[2J")
    said = on_a_terminal([sys.executable, "-m", "adaptlint", "check", built.model, str(hostile)], tmp_path, 100)
    assert "\x1b[2J" not in said
