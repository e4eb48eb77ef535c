"""Folding loses nothing: order, names that look like ranges, siblings that differ."""

from __future__ import annotations

import json

import pytest

from adaptlint.bases import Module
from adaptlint.bases.folded import count_modules, expand_tree, find_node, fold_modules


def module(path: str, size: int = 1, cls: str = "Linear") -> Module:
    return Module(path, cls, cls if cls == "Linear" else "", {"weight": (size, 2)}, {}, {})


def trip(modules: list[Module]) -> list[Module]:
    tree = json.loads(json.dumps(fold_modules(modules)))
    assert count_modules(tree, 10_000) == len(modules)
    return expand_tree(tree)


ROOT = Module("", "Model", "", {}, {}, {})


@pytest.mark.parametrize(
    "names",
    [
        ["0", "1", "2", "10", "11"],
        ["2", "1", "0"],
        ["0", "1", "norm", "2", "3"],
        ["0", "1", "1-2", "=x", "0,1", "-", "00", "٣"],
        ["b", "a", "7"],
    ],
)
@pytest.mark.parametrize("sizes", [1, 2, 3])
def test_children_come_back_in_order(names: list[str], sizes: int) -> None:
    modules = [ROOT] + [module(name, size=index % sizes) for index, name in enumerate(names)]
    assert trip(modules) == modules


def test_nested_repetition_folds_to_one_entry() -> None:
    modules = [ROOT, Module("layers", "ModuleList", "ModuleList", {}, {}, {})]
    for layer in range(32):
        modules.append(Module(f"layers.{layer}", "Layer", "", {}, {"mask": (1,)}, {}))
        modules += [module(f"layers.{layer}.{name}") for name in ("q_proj", "k_proj")]
    tree = fold_modules(modules)
    assert list(tree["children"]["layers"]["children"]) == ["0-31"]
    assert len(json.dumps(tree)) < 400
    assert trip(modules) == modules


def test_alternating_layers_keep_their_order() -> None:
    modules = [ROOT] + [module(str(layer), size=layer % 2) for layer in range(8)]
    assert list(fold_modules(modules)["children"]) == ["0,2,4,6", "1,3,5,7"]
    assert trip(modules) == modules


def test_a_class_that_only_shares_a_name_keeps_its_kind() -> None:
    odd = Module("x", "Linear", "", {}, {}, {"groups": 2})
    assert trip([ROOT, odd, Module("y", "ScaledLinear", "Linear", {}, {}, {})])[1] == odd


def test_counting_stops_before_a_bomb() -> None:
    tree = {"class": "M", "children": {"0-999999999": {"class": "L"}}}
    assert count_modules(tree, 1000) > 1000
    nested: dict[str, object] = {"class": "L"}
    for _ in range(8):
        nested = {"class": "M", "children": {"0-99": nested}}
    assert count_modules(nested, 1000) > 1000


@pytest.mark.parametrize(
    "tree",
    [
        {},
        {"class": 1},
        {"class": "M", "params": {"w": [-1]}},
        {"class": "M", "params": {"w": ["4"]}},
        {"class": "M", "params": [1]},
        {"class": "M", "children": {"0-": {"class": "L"}, "-": 3}},
        {"class": "M", "children": {",": {"class": "L"}}},
        {"class": "M", "attrs": []},
    ],
)
def test_a_tree_that_is_none_is_refused(tree: dict[str, object]) -> None:
    with pytest.raises((TypeError, ValueError, KeyError, AttributeError)):
        count_modules(tree, 1000)


@pytest.mark.parametrize(
    ("path", "cls"),
    [
        ("", "Root"),
        ("layers.0", "Layer"),
        ("layers.11", "Layer"),
        ("layers.3", "Other"),
        ("layers.12", None),
        ("layers.x", None),
        ("norm", "Norm"),
        ("norm.weight", None),
        ("2", None),
    ],
)
def test_a_node_is_found_by_its_path(path: str, cls: str | None) -> None:
    children = {"0-2,4-11": {"class": "Layer"}, "3": {"class": "Other"}}
    tree = {"class": "Root", "children": {"layers": {"class": "List", "children": children}, "norm": {"class": "Norm"}}}
    found = find_node(tree, path)
    assert (found and found["class"]) == cls
