"""The pytest plugin in real runs of pytest."""

from __future__ import annotations

import subprocess
import sys
import tomllib
from collections.abc import Callable
from pathlib import Path

import pytest

import tests.live  # noqa: F401 - a run in this process forgets what it imports, and numpy can be imported only once
from tests.adapters import BASE, LOCK, set_rank, write_adapter, write_pointer
from tests.conftest import ROOT

pytest_plugins = ["pytester"]
PLUGIN = ["-p", "adaptlint.pytest_plugin", "-p", "no:cacheprovider"]
Run = Callable[..., pytest.RunResult]


@pytest.fixture(autouse=True)
def alone(monkeypatch: pytest.MonkeyPatch) -> None:
    """No other plugins: loading them takes longer than the runs do."""
    monkeypatch.setenv("PYTEST_DISABLE_PLUGIN_AUTOLOAD", "1")


@pytest.fixture
def run(pytester: pytest.Pytester) -> Run:
    """pytest with the plugin, in this process, in a folder with a healthy and a broken adapter."""
    write_adapter(pytester.path / "adapters" / "fr")
    write_adapter(pytester.path / "adapters" / "de", rank=8)
    return lambda *arguments: pytester.runpytest_inprocess(*PLUGIN, *arguments)


def test_folders_are_items_and_a_failure_is_the_report(run: Run) -> None:
    done = run("--adaptlint", f"--adaptlint-base={BASE}", "-v")
    done.assert_outcomes(passed=1, failed=1)
    done.stdout.fnmatch_lines(
        [
            "adaptlint: *, configuration: none",
            "adapters/de/adapter_config.json::adaptlint FAILED*",
            "adapters/fr/adapter_config.json::adaptlint PASSED*",
            "*adaptlint: adapters/de*",
            "peft *: FAILS at load with RuntimeError*",
            "error AL301 rank-disagrees-with-config adapters/de/adapter_model.safetensors:1:*",
        ]
    )
    done.stdout.no_fnmatch_line("*Traceback*")
    done.stdout.no_fnmatch_line("*pytest_plugin.py*")


def test_nothing_is_collected_without_being_asked_for(run: Run) -> None:
    assert run().ret == pytest.ExitCode.NO_TESTS_COLLECTED


def test_settings_of_pytest(run: Run, pytester: pytest.Pytester) -> None:
    pytester.makeini(f"[pytest]\nadaptlint = true\nadaptlint_base = {BASE}\nadaptlint_targets = peft==0.18.0\n")
    done = run()
    done.assert_outcomes(passed=1, failed=1)
    done.stdout.fnmatch_lines(["peft 0.18.0*FAILS*"])
    run("-m", "not adaptlint").assert_outcomes(deselected=2)
    pytester.makeini(f"[pytest]\nadaptlint = true\nadaptlint_base = {BASE}\nadaptlint_fail_on = fatal\n")
    assert "adaptlint_fail_on is error, warning, note, not 'fatal'" in run().stdout.str()


def test_the_project_s_configuration_holds(run: Run, pytester: pytest.Pytester) -> None:
    (pytester.path / "adaptlint.toml").write_text(f'[bases]\n"*" = "{LOCK}"\n')
    run("--adaptlint").assert_outcomes(passed=1, failed=1)
    entry = '[[ignores]]\nrules = ["AL301"]\nadapter = "adapters/de"\nreason = "x"\n'
    (pytester.path / "adaptlint.toml").write_text(f'[bases]\n"*" = "{LOCK}"\n{entry}')
    run("--adaptlint").assert_outcomes(passed=2)
    (pytester.path / "adaptlint.toml").write_text(f'exclude = ["de"]\n[bases]\n"*" = "{LOCK}"\n')
    run("--adaptlint").assert_outcomes(passed=1)
    (pytester.path / "adaptlint.toml").write_text("base = 1\n")
    done = run("--adaptlint")
    assert done.ret == pytest.ExitCode.USAGE_ERROR
    done.stderr.fnmatch_lines(["*'base' is no setting (did you mean bases?)*"])


def test_a_base_that_is_not_there_skips(run: Run, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path))
    done = run("--adaptlint", "-rs")
    done.assert_outcomes(skipped=2)
    done.stdout.fnmatch_lines(["SKIPPED*The base's shapes are not known*"])


def test_a_pointer_of_git_lfs_and_a_folder_without_a_config(pytester: pytest.Pytester) -> None:
    write_pointer(pytester.path / "pointer")
    (write_adapter(pytester.path / "bare") / "adapter_config.json").unlink()
    done = pytester.runpytest_inprocess(*PLUGIN, "--adaptlint", f"--adaptlint-base={BASE}")
    done.assert_outcomes(failed=2)
    done.stdout.fnmatch_lines(["error AL001*", "error AL003*"])


def test_the_fixture(run: Run, pytester: pytest.Pytester) -> None:
    pytester.makepyfile(
        f"""
        def test_healthy(adaptlint_check):
            assert adaptlint_check("adapters/fr", "{BASE}").verdicts[0].outcome == "works"

        def test_broken(adaptlint_check):
            adaptlint_check("adapters/de", "{BASE}")

        def test_set_aside(adaptlint_check):
            report = adaptlint_check("adapters/de", "{BASE}", ignores=[{{"rules": ["AL301"], "reason": "x"}}])
            assert [row.finding.code for row in report.suppressed] == ["AL301"]

        def test_base_by_option(adaptlint_check):
            adaptlint_check("adapters/fr")
        """
    )
    done = run(f"--adaptlint-base={BASE}")
    done.assert_outcomes(passed=3, failed=1)
    done.stdout.fnmatch_lines(["*test_broken*", "peft *: FAILS at load*", "*error AL301*"])


def test_the_fixture_of_a_live_model(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(ROOT))
    pytester.makepyfile(
        """
        from tests.live import base, trained

        def test_trained(adaptlint_check):
            assert adaptlint_check.live(trained(base())).verdicts[0].outcome == "works"

        def test_never_trained(adaptlint_check):
            adaptlint_check.live(trained(base(), lora_alpha=0))
        """
    )
    done = pytester.runpytest_inprocess(*PLUGIN)
    done.assert_outcomes(passed=1, failed=1)
    done.stdout.fnmatch_lines(["*AL403*"])


def test_several_processes(run: Run, pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    for number in range(6):
        set_rank(write_adapter(pytester.path / "more" / f"a{number}"), 4 + number % 2)
    done = pytester.runpytest_subprocess(*PLUGIN, "--adaptlint", f"--adaptlint-base={BASE}", "-p", "xdist", "-n", "2")
    done.assert_outcomes(passed=4, failed=4)


def test_the_plugin_is_cheap_and_registered() -> None:
    code = "import sys, pytest; old = set(sys.modules); import adaptlint.pytest_plugin; print(*set(sys.modules) - old)"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert set(done.stdout.split()) == {"adaptlint", "adaptlint.hints", "adaptlint.pytest_plugin"}
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert project["entry-points"]["pytest11"] == {"adaptlint.pytest_plugin": "adaptlint.pytest_plugin"}
