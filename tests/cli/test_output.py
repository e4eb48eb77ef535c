"""Where text goes: colours, widths, pipes that close, files written whole."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from adaptlint.cli import CommandLineError, output
from tests.cli.running import ROOT


@pytest.mark.parametrize(
    ("environment", "terminal", "colour"),
    [
        ({}, False, False),
        ({}, True, True),
        ({"NO_COLOR": "1"}, True, False),
        ({"NO_COLOR": ""}, True, True),
        ({"FORCE_COLOR": "1"}, False, True),
        ({"FORCE_COLOR": "0"}, False, False),
        ({"FORCE_COLOR": "1", "NO_COLOR": "1"}, True, False),
        ({"TERM": "dumb"}, True, False),
    ],
)
def test_colours(environment: dict[str, str], terminal: bool, colour: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("NO_COLOR", "FORCE_COLOR", "TERM"):
        monkeypatch.delenv(name, raising=False)
    for name, value in {"COLUMNS": "90", **environment}.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr("sys.stdout", type("Stream", (), {"isatty": lambda _: terminal})())
    assert output.style().colour is colour


@pytest.mark.parametrize(("columns", "width"), [("90", 90), ("10", 40), ("500", 120)])
def test_width_of_a_terminal(columns: str, width: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdout", type("Stream", (), {"isatty": lambda _: True})())
    monkeypatch.setenv("COLUMNS", columns)
    assert output.style().width == width


def test_width_without_a_terminal_is_fixed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdout", type("Stream", (), {"isatty": lambda _: False})())
    monkeypatch.setenv("COLUMNS", "55")
    assert output.style().width == 100


@pytest.mark.parametrize(
    ("text", "form", "path"),
    [
        ("report.txt", "text", "report.txt"),
        ("report.json", "json", "report.json"),
        ("concise:report.json", "concise", "report.json"),
        ("json:a:b", "json", "a:b"),
        ("odd:name.txt", "text", "odd:name.txt"),
    ],
)
def test_destinations(text: str, form: str, path: str) -> None:
    assert output.destination(text, "text") == (form, path)


def test_inputs_are_left_alone(tmp_path: Path) -> None:
    inside = tmp_path / "adapter"
    inside.mkdir()
    (inside / "adapter_config.json").write_text("{}")
    (tmp_path / "link.json").symlink_to(inside / "adapter_config.json")
    lock = tmp_path / "base.lock.json"
    lock.write_text("{}")
    for path in (inside / "report.json", tmp_path / "link.json", lock, tmp_path / "no" / "report.json", tmp_path, ""):
        with pytest.raises(CommandLineError):
            output.check_destination(str(path), [str(lock), str(inside)])
    output.check_destination(str(tmp_path / "adapter-report.json"), [str(lock), str(inside)])


def test_files_are_replaced_whole(tmp_path: Path) -> None:
    path = tmp_path / "report.txt"
    path.write_text("old")
    output.write(str(path), "new \u202e\n")
    assert path.read_text() == "new \u202e\n"
    assert os.listdir(tmp_path) == ["report.txt"]


def test_devices_are_written_to_and_not_replaced(tmp_path: Path) -> None:
    fifo = tmp_path / "fifo"
    os.mkfifo(fifo)
    with subprocess.Popen(["cat", str(fifo)], stdout=subprocess.PIPE, text=True) as reader:
        output.write(str(fifo), "through\n")
        assert reader.communicate(timeout=20)[0] == "through\n"
    assert fifo.is_fifo()


def test_what_cannot_be_written_is_a_usage_error(tmp_path: Path) -> None:
    with pytest.raises(CommandLineError):
        output.write(str(tmp_path / ("x" * 300)), "text")


def test_a_reader_that_went_away_is_no_error() -> None:
    code = "from adaptlint.cli.output import say; [say('x' * 99999 + chr(10)) for _ in range(20)]; raise SystemExit(7)"
    with subprocess.Popen(
        [sys.executable, "-c", code], stdout=subprocess.PIPE, stderr=subprocess.PIPE, cwd=ROOT, text=True
    ) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.read(10)
        process.stdout.close()
        assert process.stderr.read() == ""
    assert process.returncode == 7
