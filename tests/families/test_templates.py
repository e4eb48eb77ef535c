"""Templates: what each kind of them stands for, and what they have no answer for."""

from __future__ import annotations

from typing import Any

import pytest

from adaptlint.bases.families import folded
from adaptlint.bases.templates import Filling, NotCovered, evaluate, holds

NAMES = {"hidden": 12, "heads": 4, "share": 0.5, "tied": True, "kind": "b", "nothing": None, "types": ["x", "y", "x"]}


def fill(template: Any) -> Any:
    return Filling([{"$": "heads"}, "shared"], NAMES).fill(template)


@pytest.mark.parametrize(
    ("expression", "value"),
    [
        (7, 7),
        ("hidden", 12),
        (["+", "hidden", ["*", 2, "heads"], -1], 19),
        (["//", "hidden", "heads"], 3),
        (["-", "heads", 1], 3),
        (["int", ["*", "hidden", "share"]], 6),
        (["at", "types", 1], "y"),
    ],
)
def test_expressions(expression: Any, value: Any) -> None:
    assert evaluate(expression, NAMES) == value


@pytest.mark.parametrize(
    "expression",
    ["absent", ["+", "hidden", "nothing"], ["*", "kind", 3], ["//", "hidden", 0], ["at", "types", 3], ["-", "tied", 1]],
)
def test_expressions_without_an_answer(expression: Any) -> None:
    with pytest.raises(NotCovered):
        evaluate(expression, NAMES)


@pytest.mark.parametrize(
    ("condition", "true"),
    [
        (["is", "kind", "b"], True),
        (["is", "heads", True], False),
        (["null", "nothing"], True),
        (["no", "nothing"], True),
        (["<", "heads", "hidden"], True),
        (["%", "hidden", "heads"], True),
        (["%", "hidden", 5], False),
        (["=", "heads", 4], True),
        (["in", "kind", "types"], False),
        (["not", ["and", ["is", "tied", True], ["null", "kind"]]], True),
    ],
)
def test_conditions(condition: Any, true: bool) -> None:
    assert holds(condition, NAMES) is true


def test_templates() -> None:
    assert fill({"a": {"$": "hidden"}, "b": {"$-": 0}, "c": [{"$=": 1}]}) == {"a": 12, "c": ["shared"]}
    assert fill({"$?": ["is", "tied", True], "then": 1, "else": 2}) == 1
    assert fill({"$case": "kind", "of": {'"a"': 1, '"b"': 2}}) == 2
    assert fill({"$*": "heads", "of": {"$=": 0}}) == [4, 4, 4, 4]
    assert fill({"$*": 3, "of": {"$": ["at", "types", "@0"]}, "each": 1}) == ["x", "y", "x"]
    assert fill({"$pairs": [["a", 1]]}) == {"a": 1}
    assert fill({"$text": ["layers.", {"$": "heads"}, ".w"]}) == "layers.4.w"


@pytest.mark.parametrize(
    "template", [{"$case": "kind", "of": {'"a"': 1}}, {"$*": 5000, "of": 1}, {"$*": "nothing", "of": 1}]
)
def test_templates_without_an_answer(template: Any) -> None:
    with pytest.raises(NotCovered):
        fill(template)


def test_an_index_of_an_inner_list_does_not_hide_the_outer_one() -> None:
    inner = {"$*": 2, "of": {"$": ["+", "@1", ["*", 10, "@0"]]}, "each": 1}
    assert fill({"$*": 2, "of": inner, "each": 1}) == [[0, 1], [10, 11]]


def test_equal_layers_become_one_entry() -> None:
    layers = [{"class": "A"}, {"class": "B"}, {"class": "A"}]
    node = folded({"class": "M", "children": {"norm": {"class": "N"}, "#": layers}}, {})
    assert list(node["children"].items()) == [("norm", {"class": "N"}), ("0,2", {"class": "A"}), ("1", {"class": "B"})]
