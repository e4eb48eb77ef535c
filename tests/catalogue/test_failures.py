"""The table of failure classes: complete, and true about the rules that it names."""

from __future__ import annotations

import json

from click.testing import CliRunner

from adaptlint import tables
from adaptlint.catalogue import load_catalogue
from adaptlint.catalogue.failures import TABLE, failure_classes
from adaptlint.cli.verbs import adaptlint

SIZES = {
    "INT": 17,
    "KEY": 21,
    "BAS": 14,
    "CFG": 21,
    "HED": 5,
    "TOK": 10,
    "MUL": 15,
    "AHB": 9,
    "ATT": 9,
    "SRV": 25,
    "DIF": 11,
    "MRG": 8,
    "TRN": 9,
    "VER": 7,
}


def test_every_class_of_every_group_is_there() -> None:
    wanted = [f"{group}{number:02}" for group, size in SIZES.items() for number in range(1, size + 1)]
    assert [known.code for known in failure_classes()] == wanted


def test_every_class_has_its_rules_or_a_reason() -> None:
    codes = {rule.code for rule in load_catalogue()}
    for known in failure_classes():
        assert known.code.startswith(known.group)
        assert known.rules or known.why, known.code
        assert set(known.rules) <= codes, known.code
    reasons = tables.load()[TABLE]["why"]
    given = {
        row["why"]
        for group in tables.load()[TABLE]["group"].values()
        for row in group["class"].values()
        if "why" in row
    }
    assert given == set(reasons)


def test_coverage_is_printed() -> None:
    done = CliRunner().invoke(adaptlint, ["rules", "--coverage"])
    assert done.exit_code == 0
    assert "INT01" in done.output
    assert "AL206" in done.output
    assert "of 181 classes are told by a rule" in done.output


def test_coverage_as_json() -> None:
    done = CliRunner().invoke(adaptlint, ["rules", "--coverage", "--format", "json"])
    told = json.loads(done.output)
    assert len(told["classes"]) == told["all"] == 181
    assert told["told"] == sum(bool(row["rules"]) for row in told["classes"])
    assert next(row for row in told["classes"] if row["class"] == "KEY13")["rules"] == []
