"""Graphs of wrapped models from the shipped tables; held against recordings by `make hub-graphs-verify`."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from adaptlint.bases.templates import NotCovered
from adaptlint.dataflow.flow_graph import FlowGraph
from adaptlint.dataflow.propagate import propagate
from adaptlint.runtimes.adapters.composition import read_composition
from adaptlint.runtimes.adapters.recorded import FOLDER, Raises, expanded, graph_from, read_table, recorded_graph
from adaptlint.runtimes.adapters.walk import HubLayers

LLAMA = {
    "architectures": ["LlamaForCausalLM"],
    "model_type": "llama",
    "hidden_size": 4096,
    "intermediate_size": 14336,
    "num_attention_heads": 32,
    "num_hidden_layers": 32,
    "num_key_value_heads": 8,
    "max_position_embeddings": 8192,
    "vocab_size": 128256,
    "torch_dtype": "bfloat16",
}
T5 = {
    "model_type": "t5",
    "d_model": 768,
    "d_ff": 2048,
    "d_kv": 64,
    "num_heads": 12,
    "num_layers": 12,
    "vocab_size": 32128,
    "feed_forward_proj": "gated-gelu",
    "is_gated_act": True,
    "pad_token_id": 0,
    "tie_word_embeddings": False,
}
BERT = {
    "model_type": "bert",
    "hidden_size": 768,
    "num_attention_heads": 12,
    "num_hidden_layers": 12,
    "vocab_size": 30522,
}
BASES = [(LLAMA, "LlamaModel", "sdpa", 4096), (T5, "T5Model", "eager", 768), (BERT, "BertModel", "eager", 768)]
RELEASES = sorted(entry.name for entry in Path(FOLDER).iterdir() if entry.is_dir())
TABLES = [
    (release, file.name.partition(".")[0])
    for release in RELEASES
    for file in sorted((Path(FOLDER) / release).iterdir())
]


def unadapted(release: str) -> HubLayers:
    return HubLayers(read_composition("a"), {}, tuple(map(int, release.split("."))))


@pytest.mark.parametrize("release", RELEASES)
@pytest.mark.parametrize("masked", [True, False])
@pytest.mark.parametrize(("config", "model_class", "backend", "width"), BASES)
def test_real_shapes_flow(
    config: dict[str, Any], model_class: str, backend: str, width: int, masked: bool, release: str
) -> None:
    graph = recorded_graph(config, model_class, release, backend, masked)
    assert isinstance(graph, FlowGraph)
    assert ("attention_mask" in graph.inputs) == masked
    for sizes in ({"batch": 2, "seq": 6, "decoder_seq": 5}, {"batch": 3, "seq": 11, "decoder_seq": 7}):
        moved = propagate(graph, {name: sizes[name] for name in graph.symbols}, layers=unadapted(release))
        assert moved.conflict is None
        assert not any(moved.unknown.values())
        rows = sizes["decoder_seq" if "decoder_seq" in graph.symbols else "seq"]
        assert moved.outputs["last_hidden_state"] == (sizes["batch"], rows, width)


def test_depth_is_that_of_the_config() -> None:
    shallow, deep = (
        recorded_graph({**LLAMA, "num_hidden_layers": layers}, "LlamaModel", RELEASES[-1], "eager", True)
        for layers in (2, 80)
    )
    assert isinstance(shallow, FlowGraph)
    assert isinstance(deep, FlowGraph)
    calls = {run.layer(call) for run in deep.runs for call in range(run.times)}
    assert calls == {"", *(f"layers.{number}" for number in range(80))}
    assert len(shallow.templates) == len(deep.templates)


@pytest.mark.parametrize(
    "change",
    [
        {"position_embedding_type": "relative_key"},
        {"hidden_act": "made_up"},
        {"is_decoder": True},
        {"num_hidden_layers": 2.0},
        {"num_attention_heads": 7},
        {"pruned_heads": {"0": [1]}},
    ],
)
def test_what_was_not_tried_has_no_graph(change: dict[str, Any]) -> None:
    assert recorded_graph(BERT, "BertModel", RELEASES[-1], "eager", True) is not None
    assert recorded_graph({**BERT, **change}, "BertModel", RELEASES[-1], "eager", True) is None


def test_keys_that_the_class_does_not_know_are_nobodys() -> None:
    assert recorded_graph({**BERT, "made_up": 5}, "BertModel", RELEASES[-1], "eager", True) is not None


@pytest.mark.parametrize(
    ("config", "model_class", "release"),
    [
        ({"model_type": "made_up"}, "BertModel", RELEASES[-1]),
        ({"model_type": "../bert"}, "BertModel", RELEASES[-1]),
        ({}, "BertModel", RELEASES[-1]),
        (BERT, "MadeUp", RELEASES[-1]),
        (BERT, "BertModel", "0.0.1"),
        (BERT, "BertModel", ".."),
    ],
)
def test_unknown_names_have_no_graph(config: dict[str, Any], model_class: str, release: str) -> None:
    assert recorded_graph(config, model_class, release, "eager", True) is None


def test_a_backend_that_the_class_refuses_raises() -> None:
    found = recorded_graph(BERT, "BertModel", "1.3.0", "flash_attention_2", True)
    assert isinstance(found, Raises)
    assert found.kind == "ValueError"
    assert found.text.startswith("BertModel does not support Flash Attention 2")


@pytest.mark.parametrize(("release", "model_type"), TABLES)
def test_tables_are_well_formed(release: str, model_type: str) -> None:
    table = read_table(release, model_type)
    assert table is not None
    assert table["release"] == release
    for entry in (entry for known in table["classes"].values() for entry in known["variants"]):
        assert entry["graphs"]
        assert all(0 <= number < len(table["shared"]) for number in entry["graphs"].values())
        assert all(least >= 0 for least in entry["sizes"].values())


@pytest.mark.parametrize(("release", "model_type"), TABLES)
def test_every_table_fills_for_the_defaults_or_says_nothing(release: str, model_type: str) -> None:
    table = read_table(release, model_type)
    assert table is not None
    for model_class, known in table["classes"].items():
        for key in {key for entry in known["variants"] for key in entry["graphs"]}:
            backend, mask = key.split(".")
            graph = graph_from(table, {"model_type": model_type}, model_class, backend, mask == "mask")
            if isinstance(graph, FlowGraph):
                assert (graph.model_class, graph.backend) == (model_class, backend)


def test_tables_are_small() -> None:
    assert sum(file.stat().st_size for file in Path(FOLDER).rglob("*.z")) < 3_000_000


def test_repeats_go_round() -> None:
    entry = [0, "", 0, 0, [], []]
    layer = [1, "layers.", 0, 1, [[1, 1, 5, 0]], [[0, 1, 7, 0]]]
    repeats = [{"calls": 1, "cycle": [entry]}, {"calls": 3, "cycle": [layer]}]
    calls, outputs = expanded(repeats, {"last": [2, 1, 7, 0]})
    assert [call.given for call in calls] == [[], [(0, 5, 0)], [(1, 7, 0)], [(2, 7, 0)]]
    assert [call.layer(0) for call in calls] == ["", "layers.0", "layers.1", "layers.2"]
    assert outputs == {"last": (3, 7, 0)}


def test_a_repeat_without_calls_is_not_covered() -> None:
    layer = [1, "layers.", 0, 1, [], []]
    with pytest.raises(NotCovered):
        expanded([{"calls": 0, "cycle": [layer]}], {})


def test_nothing_heavy_is_imported() -> None:
    code = (
        "import sys; from adaptlint.runtimes.adapters.recorded import recorded_graph; "
        "heavy = {'torch', 'transformers', 'numpy', 'networkx', 'dataclasses'} & set(sys.modules); "
        "sys.exit(1 if heavy else 0)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
