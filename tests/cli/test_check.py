"""The main job from end to end, in a process of its own."""

from __future__ import annotations

import json
import os
import re
import sys
from pathlib import Path
from typing import Any, NamedTuple

import jsonschema
import pytest

from adaptlint.bases import write_lock
from adaptlint.reporters.json import schema_path
from adaptlint.testing import build, read_recipe
from tests.cli.running import adaptlint
from tests.graph.bases import decoder

HEAVY = ("torch", "transformers", "numpy", "networkx", "jinja2", "tabulate", "safetensors", "click")
SLOW = (
    "dataclasses",
    "importlib.metadata",
    "inspect",
    "pathlib",
    "logging",
    "textwrap",
    "difflib",
    "shutil",
    "tempfile",
)


class Case(NamedTuple):
    """A base's lock and three adapters for it."""

    lock: str
    good: str
    wide: str
    missing: str


def adapter(folder: Path, out: int, name: str) -> str:
    table = {
        "base": {"config": {"model_type": "tiny"}},
        "config": {"target_modules": ["q_proj"], "r": 8},
        "tensors": [{"modules": "model.layers.{0-2}.q_proj", "rank": 8, "in": 64, "out": out}],
    }
    return build(read_recipe(table), str(folder / name), "").adapter


@pytest.fixture(scope="module")
def case(tmp_path_factory: pytest.TempPathFactory) -> Case:
    folder = tmp_path_factory.mktemp("check")
    lock = str(folder / "tiny.lock.json")
    write_lock(decoder(), lock)
    return Case(lock, adapter(folder, 64, "good"), adapter(folder, 24, "wide"), str(folder / "nowhere"))


def report(*arguments: str) -> dict[str, Any]:
    done = adaptlint("check", *arguments, "--format", "json")
    assert done.stderr == ""
    document: dict[str, Any] = json.loads(done.stdout)
    with open(schema_path(), encoding="utf-8") as stream:
        jsonschema.validate(document, json.load(stream))
    return document


def test_a_sound_adapter(case: Case) -> None:
    done = adaptlint("check", case.lock, case.good)
    assert (done.returncode, done.stderr) == (0, "")
    assert re.match(
        r"peft \S+ \(transformers \S+\): WORKS, every adapter tensor takes effect as saved\.\n", done.stdout
    )
    assert "no findings; 1 adapter against " in done.stdout
    document = report(case.lock, case.good)
    assert [verdict["outcome"] for verdict in document["verdicts"]] == ["works"]
    assert document["subject"]["adapters"][0]["name"] == "default"


def test_an_adapter_that_does_not_fit(case: Case) -> None:
    done = adaptlint("check", case.lock, case.wide)
    assert (done.returncode, done.stderr) == (1, "")
    assert "): FAILS at load with RuntimeError: " in done.stdout
    assert "help:" in done.stdout
    assert "adapter_model.safetensors:1:" in done.stdout
    assert adaptlint("check", case.lock, case.wide, "--exit-zero").returncode == 0
    document = report(case.lock, case.wide)
    verdict = document["verdicts"][0]
    assert (verdict["outcome"], verdict["stage"], verdict["error"]["type"]) == ("fails", "load", "RuntimeError")
    assert verdict["why"]
    assert {finding["fingerprint"] for finding in document["findings"]} >= set(verdict["why"])


def test_concise_is_a_line_a_finding(case: Case) -> None:
    lines = adaptlint("check", case.lock, case.wide, "--format", "concise").stdout.splitlines()
    assert re.match(r".+:\d+:\d+: AL\d{3} error ", lines[0])
    assert lines[-1].startswith("peft ")


@pytest.mark.parametrize("form", ["text", "concise", "json"])
def test_nothing_to_check_is_3(form: str, case: Case) -> None:
    for model, folder in ((case.lock, case.missing), (case.missing, case.good)):
        done = adaptlint("check", model, folder, "--offline", "--format", form)
        assert (done.returncode, done.stderr) == (3, "")
        assert "nowhere" in done.stdout or form == "concise"


def test_files_and_stdout_say_the_same(case: Case, tmp_path: Path) -> None:
    arguments = ["--output", "out.json", "--output", "concise:lines", "--format", "json"]
    done = adaptlint("check", case.lock, case.wide, *arguments, cwd=tmp_path)
    written = json.loads((tmp_path / "out.json").read_text())
    assert written | {"timing": 0} == json.loads(done.stdout) | {"timing": 0}
    assert (tmp_path / "lines").read_text().count("\n") == len(written["findings"]) + 1
    assert sorted(os.listdir(tmp_path)) == ["lines", "out.json"]


def test_no_output_over_an_input(case: Case) -> None:
    before = Path(case.lock).read_bytes()
    for path in (case.lock, os.path.join(case.good, "adapter_config.json"), os.path.join(case.good, "new.json")):
        done = adaptlint("check", case.lock, case.good, "--output", path)
        assert (done.returncode, done.stdout) == (2, "")
        assert "left alone" in done.stderr
    assert Path(case.lock).read_bytes() == before
    assert sorted(os.listdir(case.good)) == ["adapter_config.json", "adapter_model.safetensors"]


@pytest.mark.parametrize(
    "arguments",
    [
        ("--plan", "juggle a"),
        ("--select", "AL9999"),
        ("--ignore", "no-such-rule"),
        ("--output", "no/such/folder/report.json"),
        ("--output", "x.json", "--output", "json:./x.json"),
        ("--format", "pdf"),
        ("--values", "some"),
    ],
)
def test_wrong_values_are_usage_errors(arguments: tuple[str, ...], case: Case, tmp_path: Path) -> None:
    done = adaptlint("check", case.lock, case.good, *arguments, cwd=tmp_path)
    assert (done.returncode, done.stdout) == (2, "")
    assert "Error: " in done.stderr
    assert "Traceback" not in done.stderr
    assert os.listdir(tmp_path) == []


def test_names(case: Case) -> None:
    document = report(case.lock, f"first={case.good}", f"second={case.good}")
    assert [found["name"] for found in document["subject"]["adapters"]] == ["first", "second"]
    twice = adaptlint("check", case.lock, f"a={case.good}", f"a={case.good}")
    assert twice.returncode == 2
    assert "two adapters are named a" in twice.stderr


def test_quiet_colours_and_narrow_encodings(case: Case) -> None:
    quiet = adaptlint("check", case.lock, case.good, "--quiet")
    assert quiet.stdout.count("\n") == 1
    coloured = adaptlint("check", case.lock, case.good, "--quiet", env={"FORCE_COLOR": "1"})
    assert re.sub(r"\x1b\[[0-9;]*m", "", coloured.stdout) == quiet.stdout != coloured.stdout
    for form in ("text", "concise", "json"):
        narrow = adaptlint("check", case.lock, case.wide, "--format", form, env={"PYTHONIOENCODING": "ascii"})
        assert (narrow.returncode, narrow.stderr) == (1, "")


def test_nothing_heavy_is_imported(case: Case) -> None:
    import subprocess

    from tests.cli.running import ROOT

    for path in (case.good, case.wide):
        done = subprocess.run(
            [sys.executable, "-X", "importtime", "-m", "adaptlint", "check", case.lock, path],
            capture_output=True,
            text=True,
            cwd=ROOT,
            check=False,
        )
        imported = {line.rpartition("|")[2].strip() for line in done.stderr.splitlines()}
        assert "adaptlint.engine.checking" in imported
        assert {name for name in imported if name.split(".")[0] in HEAVY or name in SLOW} == set()


def test_the_version() -> None:
    import tomllib

    from tests.cli.running import ROOT

    with open(os.path.join(ROOT, "pyproject.toml"), "rb") as stream:
        version = tomllib.load(stream)["project"]["version"]
    assert adaptlint("--version").stdout == f"adaptlint {version}\n"
