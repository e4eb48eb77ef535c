"""`adaptlint rule` and `adaptlint rules`."""

from __future__ import annotations

import json

from adaptlint.catalogue import load_catalogue, read_page
from tests.cli.running import adaptlint


def test_rules_lists_them_all() -> None:
    catalogue = load_catalogue()
    done = adaptlint("rules")
    assert (done.returncode, done.stderr) == (0, "")
    rows = [line.split()[:2] for line in done.stdout.splitlines()[2:]]
    assert rows == [[rule.code, rule.name] for rule in catalogue]
    listed = json.loads(adaptlint("rules", "--format", "json").stdout)
    assert [entry["code"] for entry in listed] == [rule.code for rule in catalogue]


def test_rule_prints_its_page_by_code_and_by_name() -> None:
    rule = load_catalogue()[0]
    for asked in (rule.code, rule.code.lower(), rule.name):
        assert adaptlint("rule", asked).stdout.rstrip("\n") == read_page(rule).rstrip("\n")


def test_an_unknown_rule_is_2_and_told_what_is_near() -> None:
    rule = load_catalogue()[0]
    for asked, near in (("AL00x", "AL00"), ("AL3O1", "AL301"), (rule.name[:-1], rule.name)):
        done = adaptlint("rule", asked)
        assert done.returncode == 2
        assert near in done.stderr
    lost = adaptlint("rule", "qqqqqqqqqqqq")
    assert lost.returncode == 2
    assert "`adaptlint rules` lists them" in lost.stderr
