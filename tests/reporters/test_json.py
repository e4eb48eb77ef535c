"""The JSON report: the contract's object, valid against the schema that ships."""

from __future__ import annotations

import json
from typing import Any

import jsonschema
import pytest

from adaptlint.reporters import render
from adaptlint.reporters.json import schema_path
from tests.reporters import cases

REPORTS = {
    "pruned": cases.report(),
    "clean": cases.clean(),
    "silent": cases.silent(),
    "hostile": cases.hostile(),
}


@pytest.fixture(scope="module")
def schema() -> dict[str, Any]:
    with open(schema_path(), encoding="utf-8") as stream:
        loaded: dict[str, Any] = json.load(stream)
    jsonschema.Draft202012Validator.check_schema(loaded)
    return loaded


def strict(text: str) -> Any:
    def refuse(constant: str) -> None:
        raise AssertionError(f"{constant} is not JSON")

    return json.loads(text, parse_constant=refuse)


@pytest.mark.parametrize("name", REPORTS)
def test_valid_against_the_schema(name: str, schema: dict[str, Any]) -> None:
    jsonschema.validate(strict(render(REPORTS[name], "json")), schema)


@pytest.mark.parametrize("name", REPORTS)
def test_one_ascii_object_the_same_each_time(name: str) -> None:
    text = render(REPORTS[name], "json")
    assert text.isascii()
    assert text.endswith("}\n")
    assert text == render(REPORTS[name], "json")


def test_strings_survive_as_they_are() -> None:
    report = cases.hostile()
    finding = strict(render(report, "json"))["findings"][0]
    assert finding["message"] == report.findings[0].message
    assert finding["facts"]["nan"] == "nan"
    assert finding["facts"]["inf"] == ["inf"]
    assert int(finding["facts"]["huge"], 16) == 10**6000


def test_the_schema_notices_a_missing_field(schema: dict[str, Any]) -> None:
    for part in ("verdicts", "findings", "ledger"):
        document = strict(render(cases.report(), "json"))
        for field in list(document[part][0]):
            without = {**document, part: [{key: value for key, value in document[part][0].items() if key != field}]}
            with pytest.raises(jsonschema.ValidationError):
                jsonschema.validate(without, schema)


def test_every_field_of_the_report_is_in_the_schema(schema: dict[str, Any]) -> None:
    document = strict(render(cases.report(), "json"))
    assert list(document) == [name for name in schema["properties"] if name in schema["required"]]
    for part, name in (("verdicts", "verdict"), ("findings", "finding")):
        assert list(document[part][0]) == list(schema["$defs"][name]["properties"])
