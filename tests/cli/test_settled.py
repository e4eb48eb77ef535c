"""What holds for a check: command line, configuration, default; ignores and the baseline through the real program."""

from __future__ import annotations

import contextlib
import io
import json
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from adaptlint.cli import run
from adaptlint.reporters.json import schema_path
from tests.adapters import BASE, set_rank, write_adapter
from tests.cli.running import adaptlint


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A folder with one broken adapter."""
    write_adapter(tmp_path / "adapters" / "de", rank=8)
    return tmp_path


def report(project: Path, *options: str) -> tuple[int, dict[str, Any]]:
    """Status and JSON report of a check in this process, which spares thirty starts of an interpreter."""
    said = io.StringIO()
    with contextlib.chdir(project), contextlib.redirect_stdout(said):
        status = run(["check", BASE, "adapters/de", "--format", "json", *options])
    told = json.loads(said.getvalue())
    jsonschema.validate(told, json.loads(Path(schema_path()).read_text()))
    return status, told


def codes(told: dict[str, Any], part: str = "findings") -> list[str]:
    return [finding["code"] for finding in told[part]]


def configure(project: Path, text: str) -> None:
    (project / "adaptlint.toml").write_text(text)


def test_settings_of_the_file_hold_and_the_command_line_beats_them(project: Path) -> None:
    configure(project, 'targets = ["peft==0.11.1"]\nselect = ["AL2"]\nformat = "concise"\ntransformers = "4.44.2"\n')
    done = adaptlint("check", BASE, "adapters/de", cwd=project)
    assert done.stdout.startswith("peft 0.11.1 (transformers 4.44.2): FAILS")
    assert done.returncode == 0
    again = adaptlint("check", BASE, "adapters/de", "--target", "peft==0.21.2", "--select", "AL3", cwd=project)
    assert "AL301 error" in again.stdout
    assert "peft 0.21.2" in again.stdout
    assert again.returncode == 1
    assert "peft 0.21.2" in adaptlint("check", BASE, "adapters/de", "--isolated", cwd=project).stdout.splitlines()[0]


def test_selections_add_up(project: Path) -> None:
    configure(project, 'select = ["AL2"]\nextend-select = ["AL301"]\n')
    assert codes(report(project)[1]) == ["AL301"]
    assert codes(report(project, "--extend-ignore", "rank-disagrees-with-config")[1]) == []
    configure(project, 'select = ["AL2"]\n')
    assert codes(report(project)[1]) == []
    assert codes(report(project, "--extend-select", "AL301")[1]) == ["AL301"]
    configure(project, 'ignore = ["AL301"]\n')
    assert codes(report(project)[1]) == []
    assert codes(report(project, "--ignore", "AL2")[1]) == ["AL301"]


def test_an_ignore_sets_aside_and_leaves_the_verdict(project: Path) -> None:
    configure(project, '[[ignores]]\nrules = ["AL301"]\nadapter = "adapters/*"\nreason = "trained again in May"\n')
    status, told = report(project)
    assert status == 0
    assert told["verdicts"][0]["outcome"] == "fails"
    assert codes(told) == []
    (aside,) = told["suppressed"]
    assert told["verdicts"][0]["why"] == [aside["fingerprint"]]
    assert aside["suppression"] == {
        "by": "ignore",
        "reason": "trained again in May",
        "expires": None,
        "source": str(project / "adaptlint.toml"),
    }
    text = adaptlint("check", BASE, "adapters/de", cwd=project).stdout
    assert "because of AL301" in text
    assert "no findings; 1 set aside (1 by ignores)" in text


def test_an_ignore_of_some_modules_leaves_the_others(project: Path) -> None:
    configure(project, '[[ignores]]\nrules = ["AL301"]\nmodule = "model.layers.{0,2}"\nreason = "x"\n')
    status, told = report(project)
    assert status == 1
    assert [finding["module"] for finding in told["findings"]] == ["model.layers.1.self_attn.q_proj"]
    assert [finding["module"] for finding in told["suppressed"]] == ["model.layers.{0,2}.self_attn.q_proj"]


def test_an_ignore_of_another_adapter_does_not_hold(project: Path) -> None:
    configure(project, '[[ignores]]\nrules = ["AL301"]\nadapter = "adapters/fr"\nreason = "x"\n')
    assert codes(report(project)[1]) == ["AL301"]


def test_an_ignore_that_sets_nothing_aside_any_more_is_told(project: Path) -> None:
    entry = '[[ignores]]\nrules = ["AL301"]\nadapter = "{}"\nreason = "x"\n'
    write_adapter(project / "adapters" / "fr", rank=4)
    configure(project, "\n" + entry.format("adapters/fr") + entry.format("adapters/*") + entry.format("gone/es"))
    said = adaptlint("check", BASE, "adapters/fr", cwd=project).stderr
    assert (
        said
        == "note: adaptlint.toml:2: the ignore of AL301 for adapters/fr sets nothing aside any more; take it out.\n"
    )
    assert adaptlint("check", BASE, "adapters/fr", "--quiet", cwd=project).stderr == ""
    assert adaptlint("check", BASE, "adapters/de", cwd=project).stderr == ""
    told = adaptlint("scan", ".", "--base", BASE, cwd=project).stderr
    assert [line.split()[1] for line in told.splitlines()] == ["adaptlint.toml:2:"]  # the other one is used for de
    configure(project, entry.format("adapters/*").replace("AL301", "AL203"))
    assert "adaptlint.toml:1:" in adaptlint("scan", ".", "--base", BASE, cwd=project).stderr
    assert adaptlint("scan", "adapters/fr", "--base", BASE, cwd=project).stderr == ""


def test_an_ignore_that_has_expired_is_told(project: Path) -> None:
    entry = '[[ignores]]\nrules = ["AL301"]\nreason = "x"\nexpires = {}\n'
    configure(project, entry.format("2999-12-31"))
    assert codes(report(project)[1]) == []
    configure(project, entry.format("2020-12-31"))
    status, told = report(project)
    assert codes(told) == ["AL301", "AL908"]
    assert told["findings"][1]["where"]["route"] == ["ignores", 0]
    assert status == 1
    assert "AL908" not in json.dumps(report(project, "--config", "ignores=[]")[1]["findings"])


def test_severities_of_the_project(project: Path) -> None:
    configure(project, '[severities]\nrank-disagrees-with-config = "warning"\n')
    status, told = report(project)
    assert (status, told["findings"][0]["severity"]) == (0, "warning")
    assert report(project, "--fail-on", "warning")[0] == 1


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ('fail_on = "note"', "did you mean fail-on?"),
        ('select = ["AL9999"]', "select names AL9999, and there is no such rule"),
        ('[severities]\nno-such-rule = "note"', "severities names no-such-rule"),
        ('[[ignores]]\nrules = ["nothing"]\nreason = "x"', "ignores[0].rules names nothing"),
        ('format = "xml"', "format is one of text, "),
        ("a = [", "is not valid TOML"),
    ],
)
def test_a_wrong_configuration_is_wrong_usage(project: Path, text: str, says: str) -> None:
    configure(project, text)
    done = adaptlint("check", BASE, "adapters/de", cwd=project)
    assert done.returncode == 2
    assert says in done.stderr
    assert "Traceback" not in done.stderr


def test_the_life_of_a_baseline(project: Path) -> None:
    missing = adaptlint("check", BASE, "adapters/de", "--baseline", "known.json", cwd=project)
    assert missing.returncode == 2
    assert "--write-baseline makes it" in missing.stderr
    written = adaptlint("check", BASE, "adapters/de", "--baseline", "known.json", "--write-baseline", cwd=project)
    assert (written.returncode, written.stderr) == (0, "known.json: 1 known finding\n")
    before = (project / "known.json").read_bytes()
    assert list(json.loads(before)["adapters"]) == ["adapters/de"]
    status, told = report(project, "--baseline", "known.json")
    assert (status, codes(told), codes(told, "suppressed")) == (0, [], ["AL301"])
    assert told["verdicts"][0]["outcome"] == "fails"
    write_adapter(project / "adapters" / "fr", rank=2)
    done = adaptlint("check", BASE, "adapters/fr", "--baseline", "known.json", cwd=project)
    assert done.returncode == 1, "the same finding of another adapter is new"
    adaptlint("check", BASE, "adapters/fr", "--baseline", "known.json", "--write-baseline", cwd=project)
    assert list(json.loads((project / "known.json").read_bytes())["adapters"]) == ["adapters/de", "adapters/fr"]
    set_rank(project / "adapters" / "de", 4)
    status, told = report(project, "--baseline", "known.json")
    assert (status, len(told["stale"])) == (0, 1)
    assert "1 baseline finding gone" in adaptlint(
        "check", BASE, "adapters/de", "--baseline", "known.json", cwd=project
    ).stdout.replace("\n  ", " ")
    pruned = adaptlint("check", BASE, "adapters/de", "--baseline", "known.json", "--prune-baseline", cwd=project)
    assert pruned.returncode == 0
    assert list(json.loads((project / "known.json").read_bytes())["adapters"]) == ["adapters/fr"]


def test_what_was_not_looked_for_is_not_gone(project: Path) -> None:
    adaptlint("check", BASE, "adapters/de", "--baseline", "known.json", "--write-baseline", cwd=project)
    assert report(project, "--baseline", "known.json", "--select", "AL2")[1]["stale"] == []


def test_pruning_takes_nothing_new_in(project: Path) -> None:
    (project / "known.json").write_text('{"schema_version": "1", "adapters": {}}')
    done = adaptlint("check", BASE, "adapters/de", "--baseline", "known.json", "--prune-baseline", cwd=project)
    assert done.returncode == 1
    assert json.loads((project / "known.json").read_text())["adapters"] == {}


@pytest.mark.parametrize("text", ["{}", "[1]", "words", '{"schema_version": "1", "adapters": {"a": [{}]}}', ""])
def test_a_file_that_is_no_baseline_is_left_alone(project: Path, text: str) -> None:
    (project / "known.json").write_text(text)
    for option in ("--write-baseline", "--prune-baseline"):
        done = adaptlint("check", BASE, "adapters/de", "--baseline", "known.json", option, cwd=project)
        assert done.returncode == 2
        assert "no baseline" in done.stderr
    assert (project / "known.json").read_text() == text


def test_the_baseline_of_the_configuration_is_found_from_below(project: Path) -> None:
    configure(project, 'baseline = "known.json"\n')
    done = adaptlint("check", BASE, "de", "--write-baseline", cwd=project / "adapters")
    assert done.returncode == 0, done.stderr
    assert list(json.loads((project / "known.json").read_text())["adapters"]) == ["adapters/de"]
    assert adaptlint("check", BASE, "de", cwd=project / "adapters").returncode == 0


def test_config_show_says_where_values_came_from(project: Path) -> None:
    configure(project, 'fail-on = "note"\nexclude = ["old"]\n')
    done = adaptlint("config", "show", "--config", "offline=true", "--format", "json", cwd=project)
    told = json.loads(done.stdout)
    path = str(project / "adaptlint.toml")
    assert told["file"] == path
    assert told["settings"]["fail-on"] == {"value": "note", "from": path}
    assert told["settings"]["offline"] == {"value": True, "from": "--config offline=true"}
    assert told["settings"]["values"] == {"value": "none", "from": "default"}
    text = adaptlint("config", "show", cwd=project).stdout
    assert any(line.split() == ["fail-on", '"note"', "adaptlint.toml"] for line in text.splitlines())


def test_config_schema_is_the_shipped_one(root: Path) -> None:
    shipped = json.loads((root / "adaptlint" / "settings" / "config.schema.json").read_text())
    assert json.loads(adaptlint("config", "schema").stdout) == shipped
