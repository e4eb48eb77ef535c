"""On a terminal every verb keeps to its columns; into a pipe a table keeps its lines whole."""

from __future__ import annotations

import re
import sys
from pathlib import Path

import pytest
from wcwidth import wcswidth

from tests.adapters import LOCK, write_adapter
from tests.cli.running import adaptlint, on_a_terminal

VERBS = (
    ("check", "lock", "broken"),
    ("check", "lock", "模型 ü"),
    ("fix", "broken", "--base", "lock", "--diff"),
    ("diff", "broken", "healthy", "--base", "lock"),
    ("inspect", "broken", "--base", "lock"),
    ("graph", "lock"),
    ("config", "show"),
    ("rules",),
    ("rules", "--coverage"),
)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    write_adapter(tmp_path / "broken", rank=8)
    write_adapter(tmp_path / "healthy")
    write_adapter(tmp_path / "模型 ü", rank=8)
    (tmp_path / "lock").symlink_to(LOCK)
    return tmp_path


def lines_of(folder: Path, columns: int, *arguments: str) -> list[str]:
    said = on_a_terminal([sys.executable, "-m", "adaptlint", *arguments], folder, columns)
    return re.sub(r"\x1b\[[0-9;]*[mK]", "", said).replace("\r", "").split("\n")


@pytest.mark.parametrize("arguments", VERBS, ids=" ".join)
def test_no_line_is_wider_than_the_terminal(arguments: tuple[str, ...], folder: Path) -> None:
    """But for a word, such as a tensor's name, that is longer than a line."""
    lines = lines_of(folder, 80, *arguments)
    assert len(lines) > 3
    too_wide = [line for line in lines if wcswidth(line) > 80]
    assert not [line for line in too_wide if len(line.split()) > 1], too_wide


def test_columns_stay_below_one_another_whatever_is_in_them(folder: Path) -> None:
    lines = lines_of(folder, 80, "scan", ".", "--base", "lock", "--exclude", "healthy")
    rows = [line for line in lines if re.search(r"\bFAILS\b", line)]
    assert len(rows) == 2
    assert len({wcswidth(row.partition("FAILS")[0]) for row in rows}) == 1


def test_a_pipe_gets_a_rule_on_each_line(folder: Path) -> None:
    listed = adaptlint("rules", cwd=folder).stdout.splitlines()[2:]
    assert all(re.match(r"AL\d{3} ", line) for line in listed)
