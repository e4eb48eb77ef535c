"""What holds for every verb: help, usage errors, crashes, interrupts."""

from __future__ import annotations

import pytest

from adaptlint import cli
from adaptlint.cli.verbs import VERBS
from tests.cli.running import adaptlint


def test_help_lists_every_verb() -> None:
    done = adaptlint("--help")
    assert done.returncode == 0
    assert all(f"\n  {verb} " in done.stdout for verb in VERBS)


@pytest.mark.parametrize("verb", VERBS)
def test_every_verb_has_help_and_refuses_nonsense(verb: str) -> None:
    assert adaptlint(verb, "--help").returncode == 0
    wrong = adaptlint(verb, "--no-such-option")
    assert wrong.returncode == 2
    assert "No such option" in wrong.stderr
    assert wrong.stdout == ""


@pytest.mark.parametrize("arguments", [(), ("chek", "a", "b"), ("check",), ("check", "model"), ("--no-such",)])
def test_usage_errors_are_2(arguments: tuple[str, ...]) -> None:
    done = adaptlint(*arguments)
    assert done.returncode == 2
    assert "Usage: adaptlint" in done.stderr
    assert "Traceback" not in done.stderr
    assert ("Did you mean 'check'?" in done.stderr) == (arguments[:1] == ("chek",))


@pytest.mark.parametrize(
    "option",
    ["--compose=Parallel(a", "--replays", "--baseline=x", "--attn=fast", "--batch=0", "--seq=x", "--mask=1"],
)
def test_what_does_not_work_yet_is_not_accepted(option: str) -> None:
    assert adaptlint("check", "model", "adapter", option).returncode == 2


def test_a_typo_in_a_composition_is_pointed_at() -> None:
    done = adaptlint("check", "model", "adapter", "--compose", "Stack(a, Paralel(b, c))")
    assert done.returncode == 2
    lines = done.stderr.splitlines()
    at = next(number for number, line in enumerate(lines) if line.strip() == "^")
    assert lines[at - 1][lines[at].index("^") :].startswith("Paralel(b, c)")
    assert "Paralel is no block" in done.stderr


@pytest.mark.parametrize("verbose", [False, True])
def test_a_crash_of_ours_is_4_and_one_message(
    verbose: bool, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    def crash(_: list[str]) -> int:
        raise LookupError("bad\x1b[31m thing\nsecond line")

    monkeypatch.setattr(cli, "_dispatch", crash)
    assert cli.run(["check", *(["--verbose"] if verbose else [])]) == 4
    told = capfd.readouterr().err
    assert "adaptlint crashed with LookupError: bad?[31m thing second line\n" in told
    assert "issue tracker" in told
    assert ("Traceback" in told) is verbose


def test_an_interrupt_is_130(monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(_: list[str]) -> int:
        raise KeyboardInterrupt

    monkeypatch.setattr(cli, "_dispatch", interrupted)
    assert cli.run(["check"]) == 130


def test_an_interrupt_inside_a_verb_is_130(monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(_: str) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("adaptlint.artefacts.open_folder", interrupted)
    assert cli.run(["inspect", "."]) == 130
