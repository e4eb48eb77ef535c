"""The door for pytest: adapter folders as test items, a fixture, readable failures.

Nothing of adaptlint is imported before an adapter is looked at: pytest loads this file at every start.
"""

from __future__ import annotations

import os
from collections.abc import Sequence

import pytest

from adaptlint.hints import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pathlib import Path

    from adaptlint.findings import Report
    from adaptlint.settings import Settings

LEVELS = ("error", "warning", "note")
FILES = ("adapter_config.json", "adapter_model.safetensors", "adapter_model.bin")
"""What an adapter folder is known by; the first that is there stands for the folder."""
SETTINGS = pytest.StashKey["Settings"]()


def pytest_addoption(parser: pytest.Parser) -> None:
    """The options, each with its setting in pytest's own configuration."""
    group = parser.getgroup("adaptlint", "adapters (adaptlint)")
    group.addoption("--adaptlint", action="store_true", help="collect adapter folders as tests")
    group.addoption(
        "--adaptlint-base", metavar="MODEL", help="base of every adapter (with =: pytest looks for its root at words)"
    )
    group.addoption("--adaptlint-target", action="append", metavar="RUNTIME", help="who will load them; repeatable")
    group.addoption("--adaptlint-fail-on", choices=LEVELS, help="fail from here up")
    parser.addini("adaptlint", "collect adapter folders as tests", type="bool", default=False)
    parser.addini("adaptlint_base", "base of every adapter", default="")
    parser.addini("adaptlint_targets", "who will load the adapters", type="args", default=[])
    parser.addini("adaptlint_fail_on", "fail from here up: error, warning or note", default="")


def pytest_configure(config: pytest.Config) -> None:
    """The marker, so that `-m adaptlint` and `-m 'not adaptlint'` choose."""
    config.addinivalue_line("markers", "adaptlint: an adapter folder, checked without loading it")


def pytest_report_header(config: pytest.Config) -> str | None:
    """Which configuration holds, where adapters are collected."""
    if not _is_on(config):
        return None
    from adaptlint import __version__

    return f"adaptlint: {__version__}, configuration: {_settings(config).path or 'none'}"


def pytest_collect_file(file_path: Path, parent: pytest.Collector) -> pytest.Collector | None:
    """An adapter folder, once, at the first of its files."""
    if file_path.name not in FILES or not _is_on(parent.config):
        return None
    first = next(name for name in FILES if os.path.lexists(file_path.parent / name))
    if file_path.name != first:
        return None
    from adaptlint.settings.globs import covers, inside

    settings = _settings(parent.config)
    seen = inside(settings.root, str(file_path.parent))
    if any(covers(pattern, seen) for pattern in settings.get("exclude")):
        return None
    collector: pytest.Collector = AdapterFile.from_parent(parent, path=file_path)
    return collector


class Findings(Exception):
    """An adapter has findings; the message is the report."""


class AdapterFile(pytest.File):
    """An adapter folder, under the file that stands for it."""

    def collect(self) -> list[pytest.Item]:
        """The one item."""
        return [AdapterItem.from_parent(self, name="adaptlint")]


class AdapterItem(pytest.Item):
    """The check of one adapter against its base."""

    def __init__(self, **given: Any) -> None:
        super().__init__(**given)
        self.add_marker("adaptlint")

    def runtest(self) -> None:
        """Fail with the report, or skip where only the base is missing."""
        from adaptlint.scanning import Job, choose_base, scan, status_of

        settings, folder = _settings(self.config), str(self.path.parent)
        choice = choose_base(folder, settings, _base(self.config))
        job = Job(folder, choice, not (choice.certain or settings.get("require-base")))
        (done,) = scan([job], _arguments(self.config))
        if status_of([done], _fail_on(self.config), allow_nothing=True):
            raise Findings(_told(done.report))
        if done.report.unchecked:
            pytest.skip(done.report.findings[0].message if done.report.findings else "nothing could be checked")

    def repr_failure(self, excinfo: pytest.ExceptionInfo[BaseException], style: Any = None) -> Any:
        """The report alone for findings; anything else as pytest has it."""
        if isinstance(excinfo.value, Findings):
            return str(excinfo.value)
        return super().repr_failure(excinfo, style)

    def reportinfo(self) -> tuple[Path, int | None, str]:
        """The folder as the name of the test."""
        return self.path, None, f"adaptlint: {os.path.relpath(self.path.parent, self.config.rootpath)}"


class AdaptlintCheck:
    """What the fixture `adaptlint_check` gives: call it with adapters and a base, or ask `live` about a model."""

    def __init__(self, config: pytest.Config) -> None:
        self.config = config

    def __call__(
        self,
        adapters: Any,
        base: str | os.PathLike[str] | None = None,
        *,
        fail_on: str | None = None,
        **arguments: Any,
    ) -> Report:
        """The report of `adaptlint.check`; the test fails with it for findings of `fail_on` and above.

        Without `base` it is the one that `--adaptlint-base`, the configuration or the adapter's own config names;
        `arguments` are further ones of `adaptlint.check` and beat the configuration's.
        """
        from adaptlint import check

        if base is None:
            from adaptlint.scanning import choose_base

            base = choose_base(os.fspath(adapters), _settings(self.config), _base(self.config)).ref
        return self._judged(check(base, adapters, **{**_arguments(self.config), **arguments}), fail_on)

    def live(self, module: Any, *, fail_on: str | None = None, ignore: Sequence[str] = ()) -> Report:
        """The same for a model in memory (`adaptlint.check_live`)."""
        from adaptlint import check_live

        return self._judged(check_live(module, ignore=ignore), fail_on)

    def _judged(self, report: Report, fail_on: str | None) -> Report:
        if report.exit_code(fail_on or _fail_on(self.config)):
            pytest.fail(_told(report), pytrace=False)
        return report


@pytest.fixture
def adaptlint_check(pytestconfig: pytest.Config) -> AdaptlintCheck:
    """Checks adapters, or a model in memory, and fails the test with the report if there are findings."""
    return AdaptlintCheck(pytestconfig)


def _is_on(config: pytest.Config) -> bool:
    return bool(config.getoption("adaptlint") or config.getini("adaptlint"))


def _ini(config: pytest.Config, name: str) -> Any:
    return config.getini(f"adaptlint_{name}")


def _base(config: pytest.Config) -> str | None:
    return config.getoption("adaptlint_base") or _ini(config, "base") or None


def _settings(config: pytest.Config) -> Settings:
    """The project's configuration, read once: the nearest upward from pytest's root."""
    if SETTINGS not in config.stash:
        from adaptlint.settings import SettingsError, load_settings

        try:
            config.stash[SETTINGS] = load_settings(str(config.rootpath))
        except SettingsError as error:
            raise pytest.UsageError(str(error)) from error
    return config.stash[SETTINGS]


def _fail_on(config: pytest.Config) -> str:
    level = config.getoption("adaptlint_fail_on") or _ini(config, "fail_on") or _settings(config).get("fail-on")
    if level not in LEVELS:
        raise pytest.UsageError(f"adaptlint_fail_on is {', '.join(LEVELS)}, not {level!r}")
    return str(level)


def _arguments(config: pytest.Config) -> dict[str, Any]:
    """Arguments of a check: pytest's options, else the configuration's. The network is never used."""
    from adaptlint.settings.arguments import check_arguments

    targets = config.getoption("adaptlint_target") or _ini(config, "targets")
    return {**check_arguments(_settings(config)), **({"targets": tuple(targets)} if targets else {}), "offline": True}


def _told(report: Report) -> str:
    from adaptlint.reporters import Style, render

    return render(report, "text", Style(here=os.getcwd())).rstrip("\n")
