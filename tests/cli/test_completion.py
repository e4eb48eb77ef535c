"""Shell completion by click's own means, and the fast path of `check` that must not stand in its way."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.cli.running import typed
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


def test_paths_and_codes_where_they_belong() -> None:
    """click's word for "the shell shall offer files" is one candidate of the kind `file`, with what was typed."""
    for words, number in (("adaptlint check mod", 2), ("adaptlint check m adap", 3), ("adaptlint fix a --base mod", 4)):
        assert completed(words, number) == [words.split()[-1]]
    for words, number in (("adaptlint scan here --output rep", 4), ("adaptlint config show --config fi", 4)):
        assert completed(words, number) == [words.split()[-1]]
    assert completed("adaptlint rule AL30", 2)[:2] == ["AL301", "AL302"]
    assert completed("adaptlint check m a --select AL301", 5) == ["AL301"]


def test_a_line_that_the_fast_reader_could_read_is_completed_too() -> None:
    assert "--offline" in completed("adaptlint check model adapter --off", 4)


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_the_scripts(shell: str) -> None:
    env = {"PYTHONPATH": str(ROOT), "_ADAPTLINT_COMPLETE": f"{shell}_source", "PATH": "/usr/bin:/bin"}
    code = "from adaptlint.cli import main; main()"
    done = subprocess.run([sys.executable, "-c", code], env=env, capture_output=True, text=True, check=False)
    assert "_ADAPTLINT_COMPLETE" in done.stdout


SHELLS = {
    "bash": (["bash", "--norc", "-i"], 'eval "$(_ADAPTLINT_COMPLETE=bash_source adaptlint)"'),
    "zsh": (
        ["zsh", "-f", "-i"],
        'autoload -Uz compinit; compinit -u -D; eval "$(_ADAPTLINT_COMPLETE=zsh_source adaptlint)"',
    ),
    "fish": (["fish", "--no-config"], "_ADAPTLINT_COMPLETE=fish_source adaptlint | source"),
}


@pytest.mark.parametrize("shell", SHELLS)
def test_a_real_shell_completes_verbs_paths_and_codes(shell: str, tmp_path: Path) -> None:
    if shutil.which(shell) is None:
        pytest.skip(f"{shell} is not installed")
    (tmp_path / "an-adapter").mkdir()
    command, setup = SHELLS[shell]
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
    keys = [
        (f"{setup}; echo rea''dy\n", "ready\r\n"),
        ("adaptlint insp\t", "ect"),
        ("./an-ad\t", "apter"),
        ("\x15adaptlint rule AL301\x7f\t\t", "AL302"),  # of several candidates the shell shows a list
    ]
    for (_, until), shown in zip(keys, typed(command, keys, tmp_path, PATH=path, HOME=str(tmp_path)), strict=True):
        assert until in shown
