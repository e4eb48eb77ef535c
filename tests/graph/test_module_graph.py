"""The networkx graph: nodes, shapes, ties, folding."""

from __future__ import annotations

import networkx
import pytest

from adaptlint.graph.module_graph import folded_path, knots, module_graph
from tests.graph.bases import decoder, module


def test_every_module_is_a_node_under_its_path() -> None:
    base = decoder(layers=3)
    graph = module_graph(base)
    assert list(graph) == ["", *(found.path for found in base.modules)]
    assert graph.nodes["model.layers.1.q_proj"]["params"] == {"weight": (64, 64), "bias": (64,)}
    assert graph.nodes["lm_head"]["kind"] == "Linear"
    assert networkx.is_arborescence(networkx.DiGraph((a, b) for a, b, e in graph.edges(data=True) if e["contains"]))


def test_ties_join_the_owners() -> None:
    edge = module_graph(decoder()).edges["model.embed_tokens", "lm_head"]
    assert edge == {"contains": False, "ties": [("model.embed_tokens.weight", "lm_head.weight")]}


def test_folded_nodes_stand_for_all_equal_siblings() -> None:
    graph = module_graph(decoder(layers=40), folded=True)
    assert graph.nodes["model.layers.{0-39}.q_proj"]["count"] == 40
    assert len(graph) == 7
    assert graph.has_edge("model.layers.{0-39}", "model.layers.{0-39}.q_proj")


def test_a_different_layer_is_not_folded_in() -> None:
    paths = [knot.path for knot in knots(decoder(layers=4, odd_layer=2).tree)]
    assert "model.layers.{0-1,3}.q_proj" in paths
    assert "model.layers.2.q_proj" in paths


def test_counts_multiply_down_the_tree() -> None:
    extra = [module("blocks", "ModuleList")]
    for outer in range(2):
        extra.append(module(f"blocks.{outer}", "ModuleList"))
        extra += [module(f"blocks.{outer}.{inner}", "Linear", weight=(2, 2)) for inner in range(3)]
    found = {knot.path: (knot.siblings, knot.total) for knot in knots(decoder(extra=tuple(extra)).tree)}
    assert found["blocks.{0-1}.{0-2}"] == (3, 6)


@pytest.mark.parametrize(
    ("path", "folded"),
    [
        ("", ""),
        ("model.layers.3.q_proj", "model.layers.{0-1,3}.q_proj"),
        ("model.layers.2", "model.layers.2"),
        ("lm_head", "lm_head"),
    ],
)
def test_folded_path_finds_the_knot(path: str, folded: str) -> None:
    assert folded_path(decoder(layers=4, odd_layer=2).tree, path) == folded


@pytest.mark.parametrize("path", ["nowhere", "model.layers.9", "model.layers.x"])
def test_folded_path_knows_no_other_module(path: str) -> None:
    with pytest.raises(KeyError):
        folded_path(decoder().tree, path)


def test_a_tie_of_nothing_is_passed_over() -> None:
    base = decoder()
    base.record["ties"].append(["ghost.weight", "lm_head.weight"])
    assert "ghost" not in module_graph(base)


def test_names_that_look_like_ranges_are_names() -> None:
    base = decoder(extra=(module("0-1", "Linear", weight=(1, 1)), module("7", "Linear", weight=(1, 2))))
    paths = [knot.path for knot in knots(base.tree)]
    assert "0-1" in paths
    assert "7" in paths
    assert folded_path(base.tree, "0-1") == "0-1"
