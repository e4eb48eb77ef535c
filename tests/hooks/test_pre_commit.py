"""The hooks as the real pre-commit program runs them, in a real git repository."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.adapters import LOCK, set_rank, write_adapter, write_pointer
from tests.conftest import ROOT

HOOKS = ROOT / ".pre-commit-hooks.yaml"


class Repository:
    """A git repository with our hooks in it, run by this interpreter in place of an environment of their own."""

    def __init__(self, folder: Path, home: Path) -> None:
        self.folder = folder
        self.env = {
            **{name: value for name, value in os.environ.items() if not name.startswith("GIT_")},
            "PYTHONPATH": str(ROOT),
            "PRE_COMMIT_HOME": str(home / "pre-commit"),
            "HF_HUB_CACHE": str(home / "hub"),
            "GIT_CONFIG_GLOBAL": os.devnull,
        }
        folder.mkdir()
        self.run("git", "init", "-q")
        for name, value in (("user.name", "A"), ("user.email", "a@example.org")):
            self.run("git", "config", name, value)

    def run(self, *command: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(command, cwd=self.folder, env=self.env, capture_output=True, text=True, check=False)

    def hooks(self, **changes: dict[str, Any]) -> None:
        """Write the configuration: the hooks as they are published, but for where their program comes from."""
        listed = yaml.safe_load(HOOKS.read_text())
        ours = f"{sys.executable} -m adaptlint.hooks"
        for hook in listed:
            hook |= {"language": "system", "entry": hook["entry"].replace("adaptlint-hook", ours)}
            hook |= changes.get(hook["id"].replace("-", "_"), {})
        chosen = [hook for hook in listed if hook["id"].replace("-", "_") in changes]
        (self.folder / ".pre-commit-config.yaml").write_text(
            yaml.safe_dump({"repos": [{"repo": "local", "hooks": chosen}]})
        )

    def commit(self) -> subprocess.CompletedProcess[str]:
        """Stage everything and commit it, with pre-commit's own git hook installed."""
        if not (self.folder / ".git" / "hooks" / "pre-commit").exists():
            assert self.run(sys.executable, "-m", "pre_commit", "install").returncode == 0
        self.run("git", "add", "-A")
        done = self.run("git", "commit", "-m", "a commit")
        return subprocess.CompletedProcess(done.args, done.returncode, done.stdout + done.stderr, "")

    def lock_for_all(self) -> None:
        shutil.copy(LOCK, self.folder / "tiny.lock.json")
        (self.folder / "adaptlint.toml").write_text('[bases]\n"*" = "tiny.lock.json"\n')


@pytest.fixture
def repository(tmp_path: Path) -> Repository:
    return Repository(tmp_path / "repository", tmp_path)


def test_a_commit_with_a_broken_adapter_is_stopped_and_a_healthy_one_is_not(repository: Repository) -> None:
    repository.hooks(adaptlint={})
    repository.lock_for_all()
    write_adapter(repository.folder / "adapters" / "fr")
    broken = write_adapter(repository.folder / "adapters" / "de", rank=8)
    refused = repository.commit()
    assert refused.returncode == 1
    assert "AL301" in refused.stdout
    assert "adapters/de/adapter_model.safetensors:1:" in refused.stdout
    assert re.search(r"2 adapters: 1 works, 1 fails", refused.stdout)
    set_rank(broken, 4)
    taken = repository.commit()
    assert taken.returncode == 0, taken.stdout
    assert re.search(r"adaptlint\.+Passed", taken.stdout)


def test_only_adapters_with_changed_files_are_looked_at(repository: Repository) -> None:
    repository.hooks(adaptlint={"verbose": True})
    repository.lock_for_all()
    write_adapter(repository.folder / "old", rank=8)
    repository.run("git", "add", "-A")
    repository.run("git", "commit", "-qm", "before the hook was there")
    write_adapter(repository.folder / "new")
    done = repository.commit()
    assert done.returncode == 0, done.stdout
    assert "1 adapter: 1 works" in done.stdout


def test_a_changed_lock_brings_the_adapters_that_are_held_against_it(repository: Repository) -> None:
    repository.hooks(adaptlint={})
    repository.lock_for_all()
    write_adapter(repository.folder / "old", rank=8)
    repository.run("git", "add", "-A")
    repository.run("git", "commit", "-qm", "before the hook was there")
    lock = repository.folder / "tiny.lock.json"
    lock.write_text(lock.read_text() + "\n")
    done = repository.commit()
    assert done.returncode == 1
    assert "AL301" in done.stdout


def test_a_pointer_of_git_lfs_is_told_in_one_finding(repository: Repository) -> None:
    repository.hooks(adaptlint={})
    repository.lock_for_all()
    write_pointer(repository.folder / "adapter")
    done = repository.commit()
    assert done.returncode == 1
    assert done.stdout.count("error AL003") == 1
    assert "git lfs pull" in done.stdout
    assert "Traceback" not in done.stdout


def test_a_base_that_is_not_there_is_a_note_unless_it_is_asked_for(repository: Repository) -> None:
    repository.hooks(adaptlint={"verbose": True})
    write_adapter(repository.folder / "adapter")
    passed = repository.commit()
    assert passed.returncode == 0, passed.stdout
    assert passed.stdout.count("note AL901") == 1
    assert "nobody/nothing is neither a file nor a folder here" in passed.stdout
    (repository.folder / "adaptlint.toml").write_text("require-base = true\n")
    set_rank(repository.folder / "adapter", 5)
    assert repository.commit().returncode == 1


def test_the_second_hook_looks_at_all_of_them(repository: Repository) -> None:
    repository.hooks(adaptlint_all={})
    write_adapter(repository.folder / "a" / "one", rank=8)
    write_adapter(repository.folder / "b" / "two")
    assert repository.commit().returncode == 0  # no base is known
    repository.lock_for_all()
    done = repository.commit()
    assert done.returncode == 1
    assert "2 adapters: 1 works, 1 fails" in done.stdout


def test_commits_without_adapters_do_not_run_it(repository: Repository) -> None:
    repository.hooks(adaptlint={})
    (repository.folder / "README.md").write_text("words\n")
    done = repository.commit()
    assert done.returncode == 0
    assert "no files to check" in done.stdout


def test_a_warm_hook_imports_no_torch_and_nothing_of_the_hub(repository: Repository) -> None:
    repository.lock_for_all()
    write_adapter(repository.folder / "adapter", rank=8)
    code = (
        "import sys; from adaptlint.cli import by_click, run; from adaptlint.hooks import _command\n"
        "status = run(sys.argv[1:], lambda words: by_click(_command(), words, 'adaptlint-hook'))\n"
        "print(status, *sorted({name.partition('.')[0] for name in sys.modules}))"
    )
    done = repository.run(sys.executable, "-c", code, "adapter/adapter_config.json")
    status, *loaded = done.stdout.splitlines()[-1].split()
    assert status == "1", done.stderr
    assert {"torch", "transformers", "numpy", "networkx", "jinja2", "huggingface_hub"}.isdisjoint(loaded)


@pytest.mark.skipif(
    "HOOK_ENVIRONMENT" not in os.environ, reason="builds an environment with pip: make hook-environment"
)
def test_pre_commit_builds_the_published_hook_and_it_finds_the_fault(repository: Repository) -> None:
    repository.lock_for_all()
    write_adapter(repository.folder / "adapter", rank=8)
    repository.run("git", "add", "-A")
    del repository.env["PYTHONPATH"]
    command = [sys.executable, "-m", "pre_commit", "try-repo", str(ROOT), "adaptlint", "--all-files", "--verbose"]
    done = repository.run(*command)
    assert done.returncode == 1, done.stdout + done.stderr
    assert "AL301" in done.stdout
    assert "1 adapter: 1 fails" in done.stdout
