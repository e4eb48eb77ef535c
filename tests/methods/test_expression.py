"""Formulas of the cards: what they compute, and what they will not."""

from __future__ import annotations

import pytest

from adaptlint.shapes.expression import Unevaluable, divisor_near, evaluate, high, low


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("in//2 + r", 20),
        ("out if r == 4 else in", 8),
        ("not given(nothing) and r >= 4", True),
        ("max(in, out) % 5", 2),
        ("ceil(r / 3)", 2),
        ("variant != 'road_1'", False),
        ("-r", -4),
        ("most(indices)", 7),
    ],
)
def test_formulas(text: str, value: object) -> None:
    names = {"in": 32, "out": 8, "r": 4, "nothing": None, "variant": "road_1", "indices": [3, 7, 1]}
    assert evaluate(text, names) == value


def test_texts_and_lists_are_not_multiplied() -> None:
    for value in ("x", [1], {}):
        with pytest.raises(Unevaluable):
            evaluate("r * 1000000000", {"r": value})


def test_a_formula_may_not_reach_further() -> None:
    for text in ("().__class__", "[r, r]", "lambda: 1", "r ** 9"):
        with pytest.raises((Unevaluable, KeyError)):
            evaluate(text, {"r": 4})


@pytest.mark.parametrize("size", [1, 7, 12, 32, 64, 97, 127, 128, 250, 256])
@pytest.mark.parametrize("factor", [-1, 2, 4, 5, 16])
def test_factors_are_those_of_lokr(size: int, factor: int) -> None:
    layer = pytest.importorskip("peft.tuners.lokr.layer")
    assert (low(size, factor), high(size, factor)) == layer.factorization(size, factor)


@pytest.mark.parametrize(("size", "wanted"), [(32, 8), (32, 7), (32, 33), (30, 7), (97, 5), (48, 10)])
def test_block_sizes_are_those_of_oft(size: int, wanted: int) -> None:
    layer = pytest.importorskip("peft.tuners.oft.layer")
    adjusted = wanted
    if size % wanted or wanted > size:
        adjusted = layer.OFTLayer.adjust_oft_parameters(None, size, wanted)
    assert divisor_near(size, wanted) == adjusted
