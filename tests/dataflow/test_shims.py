"""What stands in for a device while a forward is recorded, and the inputs that one is recorded with."""

from __future__ import annotations

import json
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest

from adaptlint.dataflow.flow_graph import Node
from adaptlint.dataflow.fold import fold
from adaptlint.dataflow.propagate import propagate
from adaptlint.dataflow.recording import Recording
from tests.conftest import ROOT

torch = pytest.importorskip("torch")
transformers = pytest.importorskip("transformers")
from adaptlint.dataflow import shims  # noqa: E402

BASES = ROOT / "fixtures" / "bases"


def test_what_a_forward_keeps_is_forgotten() -> None:
    class Keeping(torch.nn.Module):  # type: ignore[misc]
        def __init__(self) -> None:
            super().__init__()
            self.table: dict[str, Any] = {}
            self.register_buffer("angles", torch.zeros(3))
            self.length = 3

        def forward(self, x: Any) -> Any:
            self.table["x"] = self.last = x
            self.length = x.shape[0]
            self.register_buffer("angles", torch.zeros(self.length), persistent=False)
            return x

    model = torch.nn.Sequential(Keeping())
    with shims.as_built(model):
        model(torch.zeros(7))
        assert model[0].length == model[0].angles.shape[0] == 7
    assert (model[0].table, model[0].length, tuple(model[0].angles.shape)) == ({}, 3, (3,))
    assert not hasattr(model[0], "last")


def test_masks_of_all_places_at_once_are_those_of_vmap() -> None:
    masking = pytest.importorskip("transformers.masking_utils")
    padding = torch.ones(2, 7, dtype=torch.bool)
    padding[1, 0] = False
    window = masking.and_masks(masking.sliding_window_overlay(3), masking.padding_mask_function(padding))
    both = masking.and_masks(masking.causal_mask_function, window)
    places = torch.arange(2), torch.arange(1), torch.arange(5), torch.arange(7)
    real = masking._vmap_expansion_sdpa(both)(*places)
    with shims.without_vmap(masking):
        ours = masking._vmap_expansion_sdpa(both)(*places)
    assert ours.shape == real.shape
    assert torch.equal(ours, real)


def test_sets_of_a_modeling_file_come_in_the_order_of_names(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "modeling_of_ours.py").write_text("def each(names): return list(set(names)), isinstance({1}, set)\n")
    monkeypatch.syspath_prepend(tmp_path)
    file = import_module("modeling_of_ours")
    names = [f"{kind}_attention" for kind in ("sliding", "linear", "full", "chunked", "sparse", "window", "cross")]
    with shims.sets_in_order([file]):
        assert file.each(names * 2) == (sorted(names), True)
    assert "set" not in vars(file)


def test_autocast_is_left_out_for_meta_tensors_only() -> None:
    with shims.without_autocast(torch):
        assert not torch.is_autocast_enabled("meta")
        with torch.autocast(device_type="meta", enabled=False):
            pass
        with torch.autocast(device_type="cpu", dtype=torch.bfloat16):
            assert torch.is_autocast_enabled("cpu")
    with pytest.raises(RuntimeError):
        torch.is_autocast_enabled("meta")


def test_rates_are_numbers_while_a_class_is_built() -> None:
    with torch.device("meta"), shims.with_numbers(torch):
        assert [rate.item() for rate in torch.linspace(0, 1, 3)] == [0.0, 0.5, 1.0]
        assert torch.linspace(0, 1, 3, device="meta").is_meta
    with torch.device("meta"):
        assert torch.linspace(0, 1, 3).is_meta


@pytest.mark.filterwarnings("ignore")
def test_a_language_is_chosen() -> None:
    from adaptlint.dataflow.record import record

    config = transformers.XmodConfig(
        vocab_size=99, hidden_size=32, num_hidden_layers=2, num_attention_heads=4, intermediate_size=37
    ).to_dict()
    graph, doubt = record({**config, "model_type": "xmod"}, "XmodForMaskedLM", "eager")
    assert doubt == ""
    assert propagate(graph, {"batch": 2, "seq": 5}).outputs["logits"] == (2, 5, 99)


@pytest.mark.parametrize(
    ("name", "inputs"),
    [
        ("tiny-llava", {"input_ids", "attention_mask", "pixel_values"}),
        ("tiny-clip", {"input_ids", "attention_mask", "pixel_values"}),
        ("tiny-qwen2-vl", {"input_ids", "attention_mask"}),  # its images need numbers that no meta tensor holds
        ("tiny-whisper", {"input_features", "decoder_input_ids"}),
        ("tiny-wav2vec2", {"input_values"}),
        ("tiny-t5", {"input_ids", "attention_mask", "decoder_input_ids"}),
    ],
)
@pytest.mark.filterwarnings("ignore")
def test_the_richest_inputs_that_can_be_told(name: str, inputs: set[str]) -> None:
    from adaptlint.dataflow.record import record

    config = json.loads((BASES / name / "config.json").read_text())
    assert set(record(config, None, "eager").graph.inputs) == inputs


OUTPUTS = [{"n": [1, output]} for output in range(3)]


def test_a_list_of_all_outputs_grows_with_them() -> None:
    nodes = [
        Node("", "", "", ["x"], {}, [(3, 4)], ["float"], []),
        Node("unbind", "", "", [{"n": [0, 0]}], {}, [(4,)] * 3, ["float"] * 3, []),
        Node("cat", "", "", [{"a": 1, "o": OUTPUTS}], {}, [(12,)], ["float"], []),
        Node("no_rule", "", "", [{"a": 1, "o": OUTPUTS}], {}, [(9,)], ["float"], []),
    ]
    places = [("", 0)] * 4
    modules = {"joined": ([(2, 0)], 3, ("", 0)), "odd": ([(3, 0)], 4, ("", 0))}
    inputs = {"x": ["batch", 4]}
    graph = fold(Recording("Tiny", "eager", "5", inputs, {}, nodes, places, [], [], modules, {}, [], frozenset()))
    assert propagate(graph, {"batch": 3}).modules == {"joined": [(12,)], "odd": [(9,)]}
    moved = propagate(graph, {"batch": 5})
    assert moved.modules == {"joined": [(20,)]}
    assert set(moved.unknown) == {"odd"}
