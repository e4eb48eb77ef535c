"""Environments of releases: one that is not whole is never used, and two adaptlints do not make one at once."""

from __future__ import annotations

import subprocess
import sys
import threading
from pathlib import Path

import pytest

from adaptlint.replay import environments
from adaptlint.replay.environments import EnvironmentRefused, interpreter, wanted

ASKED = "peft==0.14.0"
CLOSED = "http://127.0.0.1:9/simple"


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where the environment goes, in an empty cache."""
    monkeypatch.setenv("ADAPTLINT_CACHE", str(tmp_path))
    return Path(wanted(ASKED).folder)


def said(text: str) -> None:
    """What a user would be told."""


def test_half_of_an_environment_is_not_used(folder: Path) -> None:
    (folder / "bin").mkdir(parents=True)
    (folder / "bin" / "python").symlink_to(sys.executable)
    with pytest.raises(EnvironmentRefused, match="--offline forbids"):
        interpreter(ASKED, True, said)
    (folder / environments.MADE).write_text("")
    assert interpreter(ASKED, True, said) == str(folder / "bin" / "python")


def test_without_an_index_nothing_is_left_and_every_installer_is_quoted(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The uv here fails at once, as one does that does not know the index; pip is tried then."""
    uv = tmp_path / "programs" / "uv"
    uv.parent.mkdir()
    uv.write_text("#!/bin/sh\necho no such index >&2\nexit 2\n")
    uv.chmod(0o755)
    monkeypatch.setenv("PATH", str(uv.parent), prepend=":")
    for name, value in {
        "PIP_INDEX_URL": CLOSED,
        "PIP_EXTRA_INDEX_URL": "",
        "PIP_FIND_LINKS": "",
        "PIP_RETRIES": "0",
        "PIP_CONFIG_FILE": "/dev/null",
    }.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(EnvironmentRefused, match=r"uv ended with 2: no such index; python ended with 1: .*peft==0"):
        interpreter(ASKED, False, said)
    assert not folder.exists()


def test_the_second_waits_for_the_first_and_for_an_installer_that_outlives_it(folder: Path) -> None:
    waiting, inside = threading.Event(), threading.Event()

    def second() -> None:
        with environments._alone(str(folder), waiting.set):
            inside.set()

    with environments._alone(str(folder), said_nothing):
        orphan = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE, close_fds=False)
        other = threading.Thread(target=second)
        other.start()
        assert waiting.wait(20)
    assert not inside.wait(0.5)  # the one that started it is done, the installer is not
    orphan.communicate(b"\n")
    assert inside.wait(20)
    other.join()


def said_nothing() -> None:
    """Nobody waits."""
    raise AssertionError("the first has nobody to wait for")
