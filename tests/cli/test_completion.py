"""Shell completion by click's own means, and the fast path of `check` that must not stand in its way."""

from __future__ import annotations

import subprocess
import sys

import pytest

from tests.conftest import ROOT


def completed(words: str, number: int) -> list[str]:
    """What bash is offered for the word of that number; the variable is what click calls it for `adaptlint`."""
    code = "from adaptlint.cli import main; main()"
    env = {
        "PYTHONPATH": str(ROOT),
        "_ADAPTLINT_COMPLETE": "bash_complete",
        "COMP_WORDS": words,
        "COMP_CWORD": str(number),
    }
    arguments = words.split()[1:]
    done = subprocess.run([sys.executable, "-c", code, *arguments], env=env, capture_output=True, text=True, check=True)
    return [line.partition(",")[2] for line in done.stdout.splitlines()]


def test_verbs_and_options() -> None:
    assert {"check", "scan", "config"} <= set(completed("adaptlint ", 1))
    assert completed("adaptlint sc", 1) == ["scan"]
    assert "--baseline" in completed("adaptlint check --b", 2)
    assert completed("adaptlint check m a --fail-on w", 5) == ["warning"]
    assert set(completed("adaptlint config s", 2)) == {"show", "schema"}


def test_a_line_that_the_fast_reader_could_read_is_completed_too() -> None:
    assert "--offline" in completed("adaptlint check model adapter --off", 4)


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_the_scripts(shell: str) -> None:
    env = {"PYTHONPATH": str(ROOT), "_ADAPTLINT_COMPLETE": f"{shell}_source", "PATH": "/usr/bin:/bin"}
    code = "from adaptlint.cli import main; main()"
    done = subprocess.run([sys.executable, "-c", code], env=env, capture_output=True, text=True, check=False)
    assert "_ADAPTLINT_COMPLETE" in done.stdout
