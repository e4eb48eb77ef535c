"""Which file holds, what is wrong with one, and that the schema and the reader are of one mind."""

from __future__ import annotations

import json
import random
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from adaptlint.settings import SettingsError, load_settings
from adaptlint.settings.loading import find_config
from adaptlint.settings.validating import defaults, mistakes, schema
from tests.conftest import ROOT

SCHEMA = json.loads((ROOT / "adaptlint" / "settings" / "config.schema.json").read_text())
VALIDATOR = jsonschema.Draft202012Validator(SCHEMA, format_checker=jsonschema.FormatChecker())


def test_nearest_file_upward_wins(tmp_path: Path) -> None:
    deep = tmp_path / "a" / "b" / "c"
    deep.mkdir(parents=True)
    (tmp_path / "adaptlint.toml").write_text('fail-on = "note"\n')
    assert load_settings(str(deep)).get("fail-on") == "note"
    (tmp_path / "a" / "pyproject.toml").write_text('[project]\nname = "adaptlint-user"\n')
    assert find_config(str(deep)) == str(tmp_path / "adaptlint.toml"), "a project file without a table for us"
    (tmp_path / "a" / "b" / "pyproject.toml").write_text('[tool.adaptlint]\nfail-on = "warning"\n')
    settings = load_settings(str(deep))
    assert (settings.get("fail-on"), settings.root) == ("warning", str(tmp_path / "a" / "b"))
    (tmp_path / "a" / "b" / "adaptlint.toml").write_text("")
    assert load_settings(str(deep)).get("fail-on") == "error", "our own file beats the project's beside it"
    assert load_settings(str(deep), isolated=True).path == ""


@pytest.mark.parametrize(
    "text",
    [
        "[tool.adaptlint]\noffline = true",
        '[ tool . "adaptlint" ]\noffline = true',
        "[tool]\nadaptlint.offline = true",
        "[tool]  # ours\nadaptlint = {offline = true}",
        "tool.adaptlint.offline = true",
        "tool = {adaptlint = {offline = true}}",
    ],
)
def test_every_spelling_of_the_table(tmp_path: Path, text: str) -> None:
    (tmp_path / "pyproject.toml").write_text(text)
    assert load_settings(str(tmp_path)).get("offline") is True


def test_a_project_without_our_table_costs_no_toml_parser(tmp_path: Path) -> None:
    (tmp_path / "pyproject.toml").write_text(
        '[project]\ndependencies = ["adaptlint"]\n[tool.ruff]\nline-length = 100\n'
    )
    code = "import sys; from adaptlint.settings import load_settings; load_settings(sys.argv[1]); print(*sys.modules)"
    done = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path)], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert {"tomllib", "difflib", "datetime"}.isdisjoint(done.stdout.split())


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ('fail_on = "error"', "'fail_on' is no setting (did you mean fail-on?)"),
        ("base = {}", "'base' is no setting (did you mean bases?)"),
        ("xyzzy = 1", "'xyzzy' is no setting."),
        ('fail-on = "warnings"', "fail-on is error, warning or note, not 'warnings' (did you mean warning?)"),
        ('targets = "peft"', "targets is a list, not 'peft'"),
        ("offline = 1", "offline is true or false, not 1"),
        ('[[ignores]]\nrules = ["AL301"]', "ignores[0] has no reason, which it needs"),
        ('[[ignores]]\nrules = ["AL301"]\nreason = " "', "ignores[0].reason is empty"),
        ('[[ignores]]\nrules = []\nreason = "x"', "ignores[0].rules is empty"),
        ('[[ignores]]\nrules = ["A"]\nreason = "x"\nexpires = "soon"', "is a date such as 2030-12-31, not 'soon'"),
        ('[severities]\nAL301 = "fatal"', "severities.AL301 is error, warning or note, not 'fatal'"),
        ("a = ", "is not valid TOML"),
        ("a = " + "[" * 5000, "is not valid TOML"),
    ],
)
def test_mistakes_are_told(tmp_path: Path, text: str, says: str) -> None:
    (tmp_path / "adaptlint.toml").write_text(text)
    with pytest.raises(SettingsError) as refused:
        load_settings(str(tmp_path))
    assert says in str(refused.value)
    assert str(tmp_path / "adaptlint.toml") in str(refused.value)


@pytest.mark.parametrize(
    "text",
    [
        '[tool.adaptlint]\nfail-on = "note\n',
        '[tool.other]\n[[ tool."adaptlint".ignores ]]\nrules = ["AL301"]\nexpires = 2030-13-01\n',
        "[tool.adaptlint\n",
    ],
)
def test_a_project_file_that_cannot_be_read_is_told_where_our_table_is_in_it(tmp_path: Path, text: str) -> None:
    """Else ignores and `fail-on` of the project would be gone without a word."""
    (tmp_path / "pyproject.toml").write_text(text)
    with pytest.raises(SettingsError, match="is not valid TOML"):
        load_settings(str(tmp_path))


def test_a_project_file_of_others_that_cannot_be_read_is_theirs(tmp_path: Path) -> None:
    (tmp_path / "pyproject.toml").write_text(
        '[project]\ndependencies = ["adaptlint"]\n[tool.ruff\n# [tool.adaptlint]\n'
    )
    assert load_settings(str(tmp_path)).path == ""


def test_all_mistakes_at_once(tmp_path: Path) -> None:
    (tmp_path / "adaptlint.toml").write_text('fail-on = "x"\nofline = true\n')
    with pytest.raises(SettingsError) as refused:
        load_settings(str(tmp_path))
    assert len(str(refused.value).splitlines()) == 2


def test_the_command_line_s_settings_beat_the_file(tmp_path: Path) -> None:
    (tmp_path / "adaptlint.toml").write_text('offline = true\nfail-on = "note"\n')
    settings = load_settings(str(tmp_path), ["offline=false", "fail-on=warning"])
    assert (settings.get("offline"), settings.get("fail-on")) == (False, "warning")
    assert settings.origins["offline"] == "--config offline=false"


def test_dates_of_toml_are_dates(tmp_path: Path) -> None:
    (tmp_path / "adaptlint.toml").write_text('[[ignores]]\nrules = ["A"]\nreason = "x"\nexpires = 2030-12-31\n')
    assert load_settings(str(tmp_path)).get("ignores")[0]["expires"] == "2030-12-31"


def drawn(chance: random.Random, card: dict[str, Any]) -> Any:
    """A value that fits a schema, or nearly."""
    if chance.random() < 0.1:
        return chance.choice([None, 0, 1.5, "", "x", [], {}, True, ["x"], {"x": "y"}])
    if "enum" in card:
        return chance.choice([*card["enum"], "other"])
    kind = card["type"]
    if kind == "array":
        return [drawn(chance, card["items"]) for _ in range(chance.randrange(3))]
    if kind == "object":
        known = card.get("properties", {})
        table = {key: drawn(chance, entry) for key, entry in known.items() if chance.random() < 0.5}
        table |= {key: drawn(chance, known[key]) for key in card.get("required", ()) if chance.random() < 0.9}
        further = card.get("additionalProperties")
        if isinstance(further, dict):
            table["AL3"] = drawn(chance, further)
        elif chance.random() < 0.1:
            table["unheard-of"] = 1
        return table
    if card.get("format") == "date":
        return chance.choice(["2030-01-31", "2030-02-31", "2030-1-1", "20300131"])
    return {"string": chance.choice(["x", "AL3"]), "boolean": chance.random() < 0.5}[kind]


def test_reader_and_schema_agree() -> None:
    """The shipped schema, by a validator that is not ours, and our reader: the same configurations are right."""
    chance = random.Random(7)
    right = 0
    for _ in range(3000):
        value = drawn(chance, SCHEMA)
        valid = VALIDATOR.is_valid(value)
        assert valid is not any(True for _ in mistakes(value)), value
        right += valid
    assert 100 < right < 2900


def test_the_schema_is_one_and_its_defaults_fit() -> None:
    jsonschema.Draft202012Validator.check_schema(schema())
    for key, value in defaults().items():
        if value is not None:
            assert not list(mistakes({key: value}))


def test_the_documented_example_is_right() -> None:
    text = (ROOT / "docs" / "configuration.md").read_text()
    blocks = [block.partition("```")[0] for block in text.split("```toml\n")[1:]]
    assert blocks
    for block in blocks:
        value = tomllib.loads(block)
        assert not list(mistakes(json.loads(json.dumps(value.get("tool", {}).get("adaptlint", value), default=str))))
