"""Recorded forwards against real ones: every module's shapes, at sizes that were not recorded, under each backend."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.conftest import ROOT

torch = pytest.importorskip("torch")
transformers = pytest.importorskip("transformers")

BASES = ROOT / "fixtures" / "bases"
NAMES = sorted(path.name for path in BASES.iterdir() if path.name.startswith("tiny-") and path.is_dir())
SIZES = {"batch": 3, "seq": 5, "decoder_seq": 4, "frames": 37, "samples": 811}


@pytest.mark.parametrize("backend", ["eager", "sdpa", "flash_attention_2", "flex_attention"])
@pytest.mark.parametrize("name", NAMES)
@pytest.mark.filterwarnings("ignore")
def test_every_module_gives_what_it_gives_for_real(name: str, backend: str) -> None:
    from adaptlint.dataflow.load import FlowProblem
    from adaptlint.dataflow.propagate import propagate
    from adaptlint.dataflow.record import record
    from tests.dataflow.real import real_shapes

    config = json.loads((BASES / name / "config.json").read_text())
    try:
        graph, doubt = record(config, None, backend)
        if doubt:  # a loop, or fewer positions than a recording has words
            graph, doubt = record(config, None, backend, SIZES)
    except FlowProblem as problem:
        pytest.skip(str(problem))
    assert doubt == ""
    sizes = {symbol: SIZES[symbol] for symbol in graph.symbols}
    moved = propagate(graph, sizes)
    if any("another branch" in reason for reason in moved.unknown.values()):  # a window that these sizes lie within
        graph, doubt = record(config, None, backend, sizes)
        moved = propagate(graph, sizes)
    assert (moved.conflict, moved.unknown) == (None, {})
    built = getattr(transformers, graph.model_class)
    loaded = transformers.AutoConfig.from_pretrained(BASES / name)
    model = built._from_config(loaded, attn_implementation="sdpa" if backend == "sdpa" else "eager").eval()
    real = real_shapes(model, SIZES, graph.inputs)
    same = [path for path, shapes in moved.modules.items() if real.get(path) == shapes]
    if backend in ("eager", "sdpa"):
        assert {path: shapes for path, shapes in moved.modules.items() if path not in same} == {}
        assert set(moved.modules) == set(real)
    else:  # the kernel itself is not there to be run: all but what it returns beside its result is the same
        assert len(same) > 0.8 * len(real)


def test_layers_that_a_forward_makes_itself_are_followed() -> None:
    """BigBird takes other attention layers for short texts, and initialises them inside its forward."""
    from adaptlint.dataflow.record import record

    sizes = {"hidden_size": 32, "intermediate_size": 48, "num_attention_heads": 4, "vocab_size": 97}
    config = transformers.BigBirdConfig(**sizes, num_hidden_layers=2).to_dict()
    graph, doubt = record({**config, "architectures": ["BigBirdForMaskedLM"]}, None, "eager")
    assert doubt == ""
    assert any(node.op == "kaiming_uniform_" for template in graph.templates for node in template.nodes)


def test_a_graph_survives_json(tmp_path: Path) -> None:
    from adaptlint.dataflow.flow_graph import read_graph
    from adaptlint.dataflow.propagate import propagate
    from adaptlint.dataflow.record import record

    graph, _ = record(json.loads((BASES / "tiny-llama" / "config.json").read_text()), None, "sdpa")
    again = read_graph(json.loads(json.dumps(graph.to_json(), default=str)))
    assert again is not None
    sizes = {"batch": 2, "seq": 9}
    assert propagate(again, sizes).modules == propagate(graph, sizes).modules
    assert read_graph({**graph.to_json(), "format": 0}) is None
