"""One variant serves settings that change nothing but how a number is said, and no others."""

from __future__ import annotations

from typing import Any

import pytest

from tests.families.flow_free import free
from tests.families.flow_learning import Pool

LINEAR = ["linear", "lm_head", "modeling.py:9", [{"n": [0, 0]}], {}, [], [], []]


def embedding(row: Any, size: Any) -> list[Any]:
    """One template: an embedding with a padding row, and a constant of this size."""
    constant = ["", "rotary", "", ["inv_freq"], {}, [[size]], ["float"], []]
    return [
        [["embedding", "embed", "modeling.py:1", [{"n": [0, 0]}], {"padding_idx": row}, [], [], []], constant],
        [],
        [],
    ]


def entry(*variants: tuple[dict[str, Any], list[Any], list[Any]]) -> tuple[dict[str, Any], Pool]:
    pool = Pool()
    found = [
        {
            "settings": s,
            "held": held,
            "graph": {},
            "templates": {"a": pool.number(template)},
            "powers": {},
            "fixed": {},
            "within": {},
        }
        for s, template, held in variants
    ]
    return {"variants": found}, pool


HALF = {"$": ["//", ["+", "head_dim", 1], 2]}
SAME = {"$": ["//", ["int", ["*", "head_dim", 1.0]], 2]}
OTHER = {"$": ["//", "head_dim", 4]}
PAD = {"$": "pad_token_id"}


def test_a_padding_row_and_a_kind_of_rotation_are_free() -> None:
    positive = ["not", ["<", "pad_token_id", 0]]
    told, pool = entry(
        ({"pad_token_id": None, "rope_parameters": 0}, embedding(None, HALF), [[["=", "heads", 1]]]),
        ({"pad_token_id": "#", "rope_parameters": 0}, embedding(PAD, HALF), [[["=", "heads", 1], positive]]),
        ({"pad_token_id": None, "rope_parameters": 1}, embedding(None, SAME), [[["=", "heads", 1]]]),
    )
    free(told, pool)
    (left,) = told["variants"]
    assert told["free"] == {
        "pad_token_id": {"usual": None, "others": [["#", [[positive]]]]},
        "rope_parameters": {"usual": 0, "others": [[1, [[]]]]},
    }
    ((embed, constant), _, _) = pool.at(left["templates"]["a"])
    assert embed[4] == {"padding_idx": {"$?": ["null", "pad_token_id"], "then": None, "else": PAD}}
    assert constant[5] == [[HALF]]


@pytest.mark.parametrize(
    "other",
    [
        embedding(None, OTHER),
        embedding(7, HALF),
        [[*embedding(None, HALF)[0], LINEAR], [], []],
        [embedding(None, HALF)[0], [[0, 1, "<", 2, True, ""]], []],
    ],
)
def test_another_size_argument_operation_or_branch_is_not(other: list[Any]) -> None:
    told, pool = entry(({"rope_parameters": 0}, embedding(None, HALF), [[]]), ({"rope_parameters": 1}, other, [[]]))
    before = list(pool.texts)
    free(told, pool)
    assert list(pool.texts) == before
    assert told["free"] == {}
    assert len(told["variants"]) == 2


def test_a_setting_that_is_not_looked_at_stays() -> None:
    told, pool = entry(({"bias": 0}, embedding(None, HALF), [[]]), ({"bias": 1}, embedding(None, HALF), [[]]))
    free(told, pool)
    assert (told["free"], len(told["variants"])) == ({}, 2)


def test_a_variant_without_a_partner_says_the_padding_row_as_well() -> None:
    told, pool = entry(
        ({"pad_token_id": None, "tied": False}, embedding(None, HALF), [[]]),
        ({"pad_token_id": "#", "tied": False}, embedding(PAD, HALF), [[]]),
        ({"pad_token_id": None, "tied": True}, [[*embedding(None, HALF)[0], LINEAR], [], []], [[]]),
    )
    free(told, pool)
    rows = [pool.at(one["templates"]["a"])[0][0][4]["padding_idx"] for one in told["variants"]]
    assert rows == [{"$?": ["null", "pad_token_id"], "then": None, "else": PAD}] * 2
