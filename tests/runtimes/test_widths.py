"""Widths that disagree: a pruned sibling, a model with grouped keys and values, or another size."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

import adaptlint
from adaptlint.findings import Finding
from adaptlint.testing import build, read_recipe
from tests.conftest import ROOT

BASES = str(ROOT / "fixtures" / "bases")
ATTENTION = "model.layers.{layers}.self_attn.{name}"
MLP = "model.layers.{layers}.mlp.{name}"
SIZES = {"q_proj": (32, 32), "k_proj": (32, 16), "v_proj": (32, 16), "o_proj": (32, 32)}
SIZES |= {"gate_proj": (32, 48), "up_proj": (32, 48), "down_proj": (48, 32)}


def tensors(name: str, sizes: tuple[int, int] | None = None, layers: str = "{0-2}") -> dict[str, Any]:
    """The pairs of one projection, in the base's sizes or in others (in, out)."""
    template = MLP if name in ("gate_proj", "up_proj", "down_proj") else ATTENTION
    wide, high = sizes or SIZES[name]
    return {"modules": template.format(layers=layers, name=name), "rank": 8, "in": wide, "out": high}


def findings(folder: Path, base: Any, *specs: dict[str, Any]) -> tuple[Finding, ...]:
    names = sorted({spec["modules"].rpartition(".")[2] for spec in specs})
    recipe = read_recipe({"base": base, "config": {"target_modules": names}, "tensors": list(specs)})
    built = build(recipe, str(folder), BASES)
    return adaptlint.check(built.model, built.adapter, targets=("peft==0.21.2",)).findings


@pytest.fixture(autouse=True)
def needs_transformers() -> None:
    pytest.importorskip("transformers")


def test_pruned_neurons_and_heads_are_one_finding(tmp_path: Path) -> None:
    (finding,) = findings(
        tmp_path,
        "tiny-llama",
        tensors("q_proj", (32, 16)),
        tensors("o_proj", (16, 32)),
        tensors("up_proj", (32, 20)),
        tensors("down_proj", (20, 32)),
    )
    assert finding.code == "AL303"
    assert "the outputs of q_proj and the inputs of o_proj have 16 = 2 heads x 8" in finding.message
    assert "the inputs of down_proj and the outputs of up_proj have 20 features in the file and 48" in (
        finding.message.replace(
            "the outputs of up_proj and the inputs of down_proj", "the inputs of down_proj and the outputs of up_proj"
        )
    )


def test_layers_pruned_unequally_are_told_as_a_range(tmp_path: Path) -> None:
    (finding,) = findings(
        tmp_path, "tiny-llama", tensors("q_proj", (32, 24), "0"), tensors("q_proj", (32, 16), "{1-2}")
    )
    assert finding.code == "AL303"
    assert "16 to 24 features in the file, layer by layer, and 32 in the base" in finding.message


def test_some_layers_pruned_are_named(tmp_path: Path) -> None:
    (finding,) = findings(tmp_path, "tiny-llama", tensors("q_proj", layers="0"), tensors("q_proj", (32, 16), "{1-2}"))
    assert "in layers 1-2 of model.layers" in finding.message


def test_as_many_key_value_heads_as_queries_is_said(tmp_path: Path) -> None:
    (finding,) = findings(tmp_path, "tiny-llama", tensors("v_proj", (32, 32)))
    assert finding.code == "AL302"
    assert "32 = 4 heads x 8 features in the file, as a model without grouped queries has and 16 = 2" in finding.message


def test_one_quarter_everywhere_is_one_rank_of_four(tmp_path: Path) -> None:
    (finding,) = findings(
        tmp_path,
        "tiny-llama",
        tensors("q_proj", (32, 8)),
        tensors("o_proj", (8, 32)),
        tensors("gate_proj", (32, 12)),
        tensors("down_proj", (12, 32)),
    )
    assert finding.code == "AL312"
    assert "1/4 of the base's layers" in finding.message


def test_public_bases_with_these_widths_are_named(tmp_path: Path) -> None:
    spec = {"modules": "model.layers.{0-39}.self_attn.q_proj", "rank": 8, "in": 5120, "out": 5120}
    values = {"modules": "model.layers.{0-39}.self_attn.v_proj", "rank": 8, "in": 5120, "out": 5120}
    (finding,) = [f for f in findings(tmp_path, "llama-2-7b", spec, values) if f.code == "AL302"]
    assert "have the sizes of Llama-2-13B." in finding.message


def test_fewer_key_value_heads_are_another_model(tmp_path: Path) -> None:
    (finding,) = findings(tmp_path, "tiny-llama", tensors("q_proj"), tensors("v_proj", (32, 8)))
    assert finding.code == "AL302"


def test_wider_inner_size_is_another_model(tmp_path: Path) -> None:
    (finding,) = findings(tmp_path, "tiny-llama", tensors("up_proj", (32, 64)))
    assert finding.code == "AL302"


def test_other_residual_width_is_another_model(tmp_path: Path) -> None:
    (finding,) = findings(tmp_path, "tiny-llama", tensors("q_proj", (16, 16)), tensors("up_proj", (16, 24)))
    assert finding.code == "AL302"
    assert "heads" not in finding.message


def test_smaller_vocabulary_is_no_pruning(tmp_path: Path) -> None:
    spec = {"modules": "lm_head", "rank": 8, "in": 32, "out": 88}
    (finding,) = findings(tmp_path, "tiny-llama", spec)
    assert finding.code == "AL302"
    assert (
        "outside the layers, the outputs of lm_head have 88 features in the file and 96 in the base" in finding.message
    )


def test_fused_projections_are_not_counted_in_heads(tmp_path: Path) -> None:
    spec = {"modules": "transformer.h.{0-2}.attn.c_attn", "rank": 8, "in": 32, "out": 48}
    (finding,) = findings(tmp_path, "tiny-gpt2", spec)
    assert finding.code == "AL303"
    assert "have 48 features in the file and 96 in the base" in finding.message


def test_config_s_base_is_a_witness_only_if_named(tmp_path: Path) -> None:
    (finding,) = findings(tmp_path, "tiny-llama", tensors("q_proj", (32, 16)))
    assert len(finding.because) == 1
