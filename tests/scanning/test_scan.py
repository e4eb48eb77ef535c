"""`adaptlint scan`: which folders, which bases, one status, and what is printed where."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from junitparser import JUnitXml

from adaptlint.reporters.json import schema_path
from adaptlint.scanning import adapter_folders, choose_base
from adaptlint.settings import load_settings
from tests.adapters import BASE, LOCK, write_adapter, write_pointer
from tests.cli.running import adaptlint, on_a_terminal
from tests.conftest import ROOT
from tests.reporters.schemas import GITLAB, SARIF


@pytest.fixture
def many(tmp_path: Path) -> Path:
    """Two healthy adapters, a broken one, and one in a hidden folder."""
    for name, rank in (("fr", 4), ("de", 8), ("old/it", 4), (".trash/es", 4)):
        write_adapter(tmp_path / "adapters" / name, rank)
    return tmp_path


def test_every_adapter_below_a_folder(many: Path) -> None:
    done = adaptlint("scan", "adapters", "--base", BASE, cwd=many)
    assert done.returncode == 1
    assert done.stdout.count("AL301 error") == 1
    rows = [re.split(r"  +", line.strip())[:3] for line in done.stdout.splitlines() if line.startswith("adapters/")]
    assert [(row[0], row[2]) for row in rows if "AL301" not in row[0]] == [
        ("adapters/de", "FAILS"),
        ("adapters/fr", "WORKS"),
        ("adapters/old/it", "WORKS"),
    ]
    assert done.stdout.splitlines()[-1] == "3 adapters: 2 works, 1 fails; 1 error"
    assert done.stderr == ""


def test_folders_that_are_passed_over(many: Path) -> None:
    (many / "adapters" / "venv").mkdir()
    (many / "adapters" / "venv" / "pyvenv.cfg").write_text("")
    write_adapter(many / "adapters" / "venv" / "package")
    (many / "adapters" / "linked").symlink_to(many / "adapters" / "de")
    assert [Path(p).name for p in adapter_folders(str(many))] == ["de", "fr", "it"]
    assert [Path(p).name for p in adapter_folders(str(many), ["old", "adapters/d*"], str(many))] == ["fr"]
    done = adaptlint("scan", ".", "--base", BASE, "--exclude", "de", cwd=many)
    assert done.stdout.splitlines()[-1] == "2 adapters: 2 works; no findings"


def test_json_has_a_report_for_each(many: Path) -> None:
    schema = json.loads(Path(schema_path()).read_text())
    told = json.loads(adaptlint("scan", ".", "--base", BASE, "--format", "json", cwd=many).stdout)
    lines = adaptlint("scan", ".", "--base", BASE, "--format", "jsonl", cwd=many).stdout.splitlines()
    assert [row["adapter"] for row in told["adapters"]] == ["adapters/de", "adapters/fr", "adapters/old/it"]

    def timeless(row: dict[str, Any]) -> dict[str, Any]:
        return {**row, "report": {**row["report"], "timing": None}}

    assert [timeless(json.loads(line)) for line in lines] == [timeless(row) for row in told["adapters"]]
    for row in told["adapters"]:
        jsonschema.validate(row["report"], schema)
        assert (row["base"], row["base_named_by"]) == (BASE, "--base")


def test_every_format_and_files(many: Path) -> None:
    """What a format of one report has for many: valid for its readers, and no two adapters are taken for one."""
    write_adapter(many / "adapters" / "en", rank=8)
    names = ["r.sarif", "r.xml", "r.html", "gitlab:q.json", "r.md", "r.json"]
    done = adaptlint("scan", "adapters", "--base", BASE, *(w for n in names for w in ("--output", n)), cwd=many)
    assert done.returncode == 1
    assert done.stdout.splitlines()[-1] == "4 adapters: 2 works, 2 fails; 2 errors"
    log = json.loads((many / "r.sarif").read_text())
    jsonschema.Draft7Validator(SARIF).validate(log)
    found = log["runs"][0]["results"]
    assert len({result["partialFingerprints"]["adaptlint/v1"] for result in found}) == len(found) == 2
    violations = json.loads((many / "q.json").read_text())
    jsonschema.Draft202012Validator(GITLAB).validate(violations)
    assert len({each["fingerprint"] for each in violations}) == len(violations) == 2
    verdicts, _ = JUnitXml.fromfile(str(many / "r.xml"))
    assert len({case.name for case in verdicts}) == verdicts.tests == 4
    assert len(json.loads((many / "r.json").read_text())["adapters"]) == 4
    for name in ("r.html", "r.md"):
        assert all(f"adapters/{adapter}" in (many / name).read_text() for adapter in ("de", "en", "fr", "old/it"))
    for form in ("sarif", "junit", "gitlab", "markdown"):
        same = {"sarif": "r.sarif", "junit": "r.xml", "gitlab": "q.json", "markdown": "r.md"}[form]
        said = adaptlint("scan", "adapters", "--base", BASE, "--format", form, cwd=many).stdout
        assert form == "sarif" or said == (many / same).read_text()
    lines = adaptlint("scan", "adapters", "--base", BASE, "--format", "github", cwd=many).stdout.splitlines()
    assert sum(line.startswith("::error file=adapters/") for line in lines) == 2
    inside = adaptlint("scan", "adapters", "--base", BASE, "--output", "adapters/r.json", cwd=many)
    assert (inside.returncode, "is left alone" in inside.stderr) == (2, True)
    assert adaptlint("scan", "adapters", "--replay", cwd=many).returncode == 2


def test_a_manifest_names_adapters_and_bases(many: Path) -> None:
    (many / "lists").mkdir()
    rows = [{"adapter": "../adapters/fr", "base": str(LOCK)}, {"adapter": "../adapters/de"}]
    (many / "lists" / "all.jsonl").write_text("\n".join(map(json.dumps, rows)) + "\n\n")
    done = adaptlint("scan", "lists/all.jsonl", "--base", BASE, "--format", "json", cwd=many)
    told = json.loads(done.stdout)["adapters"]
    assert [(row["adapter"], row["base"]) for row in told] == [("adapters/fr", str(LOCK)), ("adapters/de", BASE)]
    assert done.returncode == 1


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("words", "all.jsonl:1: is not valid JSON"),
        ('{"adapter": "a"}\n[]', "all.jsonl:2: is not"),
        ('{"base": "b"}', ":1:"),
    ],
)
def test_a_manifest_that_is_none(tmp_path: Path, text: str, says: str) -> None:
    (tmp_path / "all.jsonl").write_text(text)
    done = adaptlint("scan", "all.jsonl", cwd=tmp_path)
    assert done.returncode == 2
    assert says in done.stderr


def test_where_a_base_comes_from(tmp_path: Path) -> None:
    adapter = write_adapter(tmp_path / "a" / "fr", named="someone/base")
    nameless = write_pointer(tmp_path / "a" / "de")
    (nameless / "adapter_config.json").unlink()
    settings = load_settings(str(tmp_path), isolated=True)
    assert choose_base(str(adapter), settings, "given") == ("given", "--base", True)
    assert choose_base(str(adapter), settings) == ("someone/base", "base_model_name_or_path", False)
    assert choose_base(str(nameless), settings) == ("", "nobody", False)
    (tmp_path / "adaptlint.toml").write_text('[bases]\n"a/f*" = "base.lock.json"\n"a/*" = "hub/base"\n')
    (tmp_path / "base.lock.json").write_text("{}")
    settings = load_settings(str(tmp_path / "a"))
    assert choose_base(str(adapter), settings) == (str(tmp_path / "base.lock.json"), 'bases."a/f*"', True)
    assert choose_base(str(nameless), settings) == ("hub/base", 'bases."a/*"', True)


def test_the_base_of_an_adapter_in_the_hub_cache(tmp_path: Path) -> None:
    commit = "0123456789abcdef0123456789abcdef01234567"
    kept = tmp_path / "hub" / "models--someone--tiny"
    (kept / "snapshots" / commit).mkdir(parents=True)
    (kept / "refs").mkdir()
    (kept / "refs" / "main").write_text(commit)
    (kept / "snapshots" / commit / "config.json").write_text(Path(BASE).read_text())
    write_adapter(tmp_path / "fr", named="someone/tiny")
    done = adaptlint("scan", "fr", "--offline", cwd=tmp_path, env={"HF_HUB_CACHE": str(tmp_path / "hub")})
    assert done.returncode == 0
    assert done.stdout.splitlines()[-1] == "1 adapter: 1 works; no findings"


def test_bases_that_are_not_there(many: Path) -> None:
    empty = {"HF_HUB_CACHE": str(many / "hub")}
    done = adaptlint("scan", "adapters", "--offline", cwd=many, env=empty)
    assert done.returncode == 3
    assert done.stdout.count("AL901 note") == 3
    asked = adaptlint("scan", "adapters", "--offline", "--require-base", cwd=many, env=empty)
    assert (asked.returncode, asked.stdout.count("AL901 error")) == (1, 3)
    given = adaptlint("scan", "adapters", "--offline", "--base", "no/such", cwd=many, env=empty)
    assert (given.returncode, given.stdout.count("AL901 error")) == (1, 3)


def test_nothing_there_is_its_own_status(tmp_path: Path) -> None:
    done = adaptlint("scan", ".", cwd=tmp_path)
    assert (done.returncode, done.stdout) == (3, "0 adapters: nothing to check; no findings\n")
    gone = adaptlint("scan", "gone", cwd=tmp_path)
    assert gone.returncode == 2
    assert "gone is neither a folder nor a manifest" in gone.stderr


def test_one_baseline_for_all(many: Path) -> None:
    options = ["scan", "adapters", "--base", BASE, "--baseline", "known.json"]
    assert adaptlint(*options, "--write-baseline", cwd=many).returncode == 0
    assert list(json.loads((many / "known.json").read_text())["adapters"]) == ["adapters/de"]
    done = adaptlint(*options, cwd=many)
    assert done.returncode == 0
    assert done.stdout.splitlines()[-1] == "3 adapters: 2 works, 1 fails; no findings; 1 finding set aside"


@pytest.mark.parametrize("columns", [60, 100])
def test_tables_fit_the_terminal(many: Path, columns: int) -> None:
    command = [sys.executable, "-m", "adaptlint", "scan", "adapters", "--base", BASE, "--select", "AL9"]
    said = on_a_terminal(command, many, columns)
    assert "\x1b[32mWORKS" in said
    plain = re.sub(r"\x1b\[[0-9;]*[mK]", "", said)
    assert max(map(len, plain.splitlines())) <= columns
    assert "\x1b" not in on_a_terminal(command, many, columns, NO_COLOR="1")


def test_progress_is_for_people_who_wait_at_a_terminal(many: Path) -> None:
    """Shown from the first adapter on here, as if it had taken a second."""
    code = "import sys; from adaptlint.cli import run, status_line as s; s.PATIENCE = 0; sys.exit(run(sys.argv[1:]))"
    command = [sys.executable, "-c", code, "scan", "adapters", "--base", BASE]
    said = on_a_terminal(command, many, 100)
    assert (
        re.findall(r"\r\x1b\[K(\d of 3): adapters/(\S+?)\r", said.replace("\x1b[K\r", "\r"))
        or "1 of 3: adapters/de" in said
    )
    assert said.rpartition("\x1b[K")[2].endswith("3 adapters: 2 works, 1 fails; 1 error\r\n")
    assert " of 3: " not in on_a_terminal([*command, "--quiet"], many, 100)
    piped = subprocess.run(
        command, cwd=many, env={**os.environ, "PYTHONPATH": str(ROOT)}, capture_output=True, check=False
    )
    assert piped.stderr == b""
