"""What an adapter folder holds."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from adaptlint.artefacts import Folder, open_folder
from adaptlint.graph.portrait import Portrait, portrait, rank_rows, scale
from adaptlint.testing import build, read_recipe

LLAMA = {"model_type": "llama", "architectures": ["LlamaForCausalLM"]}


def folder_of(tmp_path: Path, **recipe: Any) -> str:
    return build(read_recipe({"base": {"config": LLAMA}, **recipe}), str(tmp_path), "").adapter


def seen(path: str) -> Portrait | None:
    folder = open_folder(path)
    assert isinstance(folder, Folder)
    return portrait(folder)


def pairs(modules: str, rank: int) -> Mapping[str, Any]:
    return {"modules": modules, "rank": rank, "in": 64, "out": 32, "dtype": "F16"}


def test_ranks_sizes_and_what_is_not_the_methods_own(tmp_path: Path) -> None:
    extra = {"name": "base_model.model.lm_head.weight", "shape": [10, 64]}
    tensors = [pairs("model.layers.{0-2}.self_attn.q_proj", 8), pairs("model.layers.1.mlp.up_proj", 4), extra]
    found = seen(folder_of(tmp_path, tensors=tensors, config={"use_rslora": True, "lora_alpha": 16, "r": 4}))
    assert found is not None
    assert found.method == "LORA"
    assert found.tensors == 9
    assert found.dtypes == {"F16": 8, "F32": 1}
    assert found.bytes == 3 * (8 * 64 + 32 * 8) * 2 + (4 * 64 + 32 * 4) * 2 + 10 * 64 * 4
    assert found.scale == 8.0
    assert found.others == ["base_model.model.lm_head.weight"]
    assert found.ranks["model.layers.1.mlp.up_proj"] == 4


def test_rank_table_folds_equal_layers() -> None:
    ranks = {f"model.layers.{layer}.q": 8 for layer in range(40)} | {"model.layers.3.v": 4, "lm_head": 2}
    assert [tuple(row) for row in rank_rows(ranks)] == [
        ("model.layers.{0-2,4-39}", {"q": "8"}),
        ("model.layers.3", {"q": "8", "v": "4"}),
        ("(top)", {"lm_head": "2"}),
    ]


def test_experts_share_a_cell() -> None:
    ranks = {f"m.0.experts.{expert}.w": 4 + expert % 2 for expert in range(8)}
    assert [tuple(row) for row in rank_rows(ranks)] == [("m.0", {"experts.*.w": "4-5"})]


@pytest.mark.parametrize(
    ("config", "expected"),
    [
        ({"peft_type": "LORA", "r": 8, "lora_alpha": 16}, 2.0),
        ({"peft_type": "LORA", "r": 0, "lora_alpha": 16}, None),
        ({"peft_type": "LORA", "r": True, "lora_alpha": 16}, None),
        ({"peft_type": "LORA", "r": 8, "lora_alpha": 10**400}, None),
        ({"peft_type": "LORA", "r": 8, "lora_alpha": "16"}, None),
        ({"peft_type": "IA3", "r": 8, "lora_alpha": 16}, None),
    ],
)
def test_scale(config: dict[str, Any], expected: float | None) -> None:
    assert scale(config) == expected


def test_other_folders(tmp_path: Path) -> None:
    assert seen(str(tmp_path)) is None
    (tmp_path / "adapter_config.json").write_text("[1")
    broken = seen(str(tmp_path))
    assert broken is not None
    assert [problem.reason for problem in broken.problems] == ["json-syntax"]
    for peft_type in ("IA3", ["LORA"], None, 7, "../lora"):
        (tmp_path / "adapter_config.json").write_text(json.dumps({"peft_type": peft_type}))
        found = seen(str(tmp_path))
        assert found is not None
        assert (found.ranks, found.tensors) == ({}, 0)
    assert os.listdir(tmp_path) == ["adapter_config.json"]
