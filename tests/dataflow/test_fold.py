"""Folded recordings: depth costs no nodes, and single layers may still differ."""

from __future__ import annotations

import json
from typing import Any

import pytest

from adaptlint.dataflow.changes import Changes
from tests.conftest import ROOT

torch = pytest.importorskip("torch")
transformers = pytest.importorskip("transformers")

BASES = ROOT / "fixtures" / "bases"
SIZES = {"batch": 2, "seq": 7, "decoder_seq": 5}


def graph_of(name: str, **changed: object) -> Any:
    from adaptlint.dataflow.record import record

    config = {**json.loads((BASES / name / "config.json").read_text()), **changed}
    graph, doubt = record(config, None, "eager")
    assert doubt == ""
    return graph


def nodes(graph: Any) -> int:
    return sum(len(template.nodes) for template in graph.templates)


@pytest.mark.parametrize(("name", "field"), [("tiny-llama", "num_hidden_layers"), ("tiny-bert", "num_hidden_layers")])
def test_depth_costs_no_nodes(name: str, field: str) -> None:
    shallow, deep = graph_of(name, **{field: 3}), graph_of(name, **{field: 9})
    assert nodes(shallow) == nodes(deep)
    assert len(shallow.runs) == len(deep.runs)
    assert max(run.times for run in deep.runs) == 9


def test_layers_that_see_other_masks_are_runs_of_their_own() -> None:
    from adaptlint.dataflow.record import record

    config = transformers.Qwen2Config(
        vocab_size=99,
        hidden_size=32,
        intermediate_size=40,
        num_hidden_layers=6,
        num_attention_heads=4,
        num_key_value_heads=2,
        use_sliding_window=True,
        sliding_window=5,
        max_window_layers=3,
    )
    graph, doubt = record(config.to_dict(), "AutoModelForCausalLM", "eager")
    assert doubt == ""
    assert [(run.first, run.times) for run in graph.runs if run.prefix] == [(0, 3), (3, 3)]


def test_one_layer_may_differ_and_the_others_stay() -> None:
    from adaptlint.dataflow.propagate import propagate

    graph = graph_of("tiny-llama", num_hidden_layers=6)
    width = graph_of("tiny-llama")  # two layers of the same widths
    inner = propagate(width, SIZES).modules["model.layers.0.mlp.up_proj"][0][-1]
    hidden = propagate(width, SIZES).modules["model.layers.0"][0][-1]
    cut = {
        f"model.layers.4.mlp.{name}.weight": shape
        for name, shape in {"gate_proj": (24, hidden), "up_proj": (24, hidden), "down_proj": (hidden, 24)}.items()
    }
    moved = propagate(graph, SIZES, Changes(cut))
    assert (moved.conflict, moved.unknown) == (None, {})
    widths = [moved.modules[f"model.layers.{layer}.mlp.up_proj"][0][-1] for layer in range(6)]
    assert widths == [inner, inner, inner, inner, 24, inner]
    cut.pop("model.layers.4.mlp.down_proj.weight")
    broken = propagate(graph, SIZES, Changes(cut))
    assert broken.conflict is not None
    assert broken.conflict.module == "model.layers.4.mlp.down_proj"
    assert set(moved.modules) - set(broken.modules) == set(broken.unknown)
    assert "model.layers.3.mlp.down_proj" in broken.modules
    assert "model.layers.5.mlp" in broken.unknown


def test_a_shared_layer_is_called_again_and_again() -> None:
    from adaptlint.dataflow.propagate import propagate
    from adaptlint.dataflow.record import record

    config = transformers.AlbertConfig(
        vocab_size=99, embedding_size=16, hidden_size=32, num_attention_heads=4, intermediate_size=40
    )
    graph, doubt = record({**config.to_dict(), "num_hidden_layers": 7}, "AutoModelForMaskedLM", "eager")
    assert doubt == ""
    moved = propagate(graph, SIZES)
    assert (moved.conflict, moved.unknown) == (None, {})
    assert [(run.times, run.step) for run in graph.runs if run.times > 1] == [(5, 0)]  # the first meets the parameters


def test_calls_that_are_joined_come_apart_again() -> None:
    from adaptlint.dataflow.runs import joined
    from tests.families.flow_trials import apart

    graph = graph_of("tiny-t5", num_layers=5, num_decoder_layers=4)
    calls, outputs = apart(graph.runs, graph.outputs)
    assert len(calls) == sum(run.times for run in graph.runs) > len(graph.runs)
    assert joined(calls, outputs) == (graph.runs, graph.outputs)


def test_a_module_that_every_layer_has_leaves_no_layer_for_another() -> None:
    from adaptlint.dataflow.propagate import propagate
    from adaptlint.dataflow.record import record

    config = transformers.OpenAIGPTConfig(vocab_size=99, n_embd=16, n_head=2, n_layer=9, n_positions=64)
    graph, doubt = record(config.to_dict(), "AutoModelForCausalLM", "eager")
    assert doubt == ""
    assert [(run.first, run.times) for run in graph.runs if run.prefix] == [(0, 1), (1, 7), (8, 1)]
    moved = propagate(graph, SIZES)
    assert (moved.conflict, moved.unknown) == (None, {})
    assert moved.modules["transformer.h.0.mlp.act"] == [(2, 7, 64)]
