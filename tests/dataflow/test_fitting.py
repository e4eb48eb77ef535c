"""Weights that have to change with those that were pruned, held against real models that have them all."""

from __future__ import annotations

from typing import Any

import pytest

from tests.dataflow.test_replication import graph_of, model_of, really
from tests.dataflow.test_widths import with_weights

torch = pytest.importorskip("torch")

SIZES = {"batch": 2, "seq": 7, "decoder_seq": 5}


def in_all(name: str, layers: int = 3) -> list[str]:
    return [f"model.layers.{layer}.{name}.weight" for layer in range(layers)]


def runs(name: str, shapes: dict[str, tuple[int, ...]]) -> bool:
    graph, model = graph_of(name, "eager"), model_of(name, "eager")
    sizes = {symbol: SIZES[symbol] for symbol in graph.symbols}
    return really(with_weights(model, shapes), sizes, {})[0] == ""


@pytest.mark.filterwarnings("ignore")
def test_a_pruned_gate_asks_for_the_other_two() -> None:
    from adaptlint.dataflow.fitting import fitted

    shapes: dict[str, Any] = dict.fromkeys(in_all("mlp.gate_proj"), (24, 32))
    found = fitted(graph_of("tiny-llama", "eager"), shapes)
    assert (found.conflict, found.unknown) == (None, "")
    assert found.shapes == {
        **dict.fromkeys(in_all("mlp.up_proj"), (24, 32)),
        **dict.fromkeys(in_all("mlp.down_proj"), (32, 24)),
    }
    assert not runs("tiny-llama", shapes)
    assert runs("tiny-llama", {**shapes, **found.shapes})


@pytest.mark.filterwarnings("ignore")
def test_heads_that_are_cut_away_take_their_keys_along() -> None:
    from adaptlint.dataflow.fitting import fitted

    shapes: dict[str, Any] = dict.fromkeys(in_all("self_attn.q_proj"), (16, 32))
    found = fitted(graph_of("tiny-llama", "eager"), shapes)
    assert (found.conflict, found.unknown) == (None, "")
    assert set(found.shapes) == {
        *in_all("self_attn.k_proj"),
        *in_all("self_attn.v_proj"),
        *in_all("self_attn.o_proj"),
    }
    assert runs("tiny-llama", {**shapes, **found.shapes})


def test_only_the_layers_that_were_pruned_are_asked_for() -> None:
    from adaptlint.dataflow.fitting import fitted

    found = fitted(graph_of("tiny-llama", "eager"), {"model.layers.1.mlp.up_proj.weight": (8, 32)})
    assert set(found.shapes) == {"model.layers.1.mlp.gate_proj.weight", "model.layers.1.mlp.down_proj.weight"}


def test_sizes_that_contradict_each_other_are_a_conflict() -> None:
    from adaptlint.dataflow.fitting import fitted

    shapes: dict[str, Any] = {**dict.fromkeys(in_all("mlp.gate_proj"), (24, 32))}
    shapes |= dict.fromkeys(in_all("mlp.up_proj"), (16, 32))
    found = fitted(graph_of("tiny-llama", "eager"), shapes)
    assert found.conflict is not None
    assert (found.conflict.op, found.conflict.module, found.conflict.layers) == ("mul", "model.layers.0.mlp", 3)
    assert not runs("tiny-llama", {**shapes, **found.shapes})
