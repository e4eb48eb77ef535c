"""Adapters as they were saved, and as they reach people: real files, and what real PEFT makes of them."""

from __future__ import annotations

import shutil
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from adaptlint.testing import Built, build, read_recipe
from tests.conftest import ROOT

BASES = ROOT / "fixtures" / "bases"
LLAMA: dict[str, Any] = {
    "base": "tiny-llama",
    "config": {"target_modules": ["q_proj", "v_proj"], "r": 4, "lora_alpha": 8},
    "tensors": [
        {"modules": "model.layers.{0-2}.self_attn.q_proj", "rank": 4, "in": 32, "out": 32},
        {"modules": "model.layers.{0-2}.self_attn.v_proj", "rank": 4, "in": 32, "out": 16},
    ],
}
GPT2: dict[str, Any] = {
    "base": "tiny-gpt2",
    "config": {"target_modules": ["c_attn"], "r": 4, "fan_in_fan_out": True},
    "tensors": [{"modules": "transformer.h.{0-2}.attn.c_attn", "rank": 4, "in": 32, "out": 96}],
}

LLAVA: dict[str, Any] = {
    "base": "tiny-llava",
    "config": {"target_modules": ["q_proj"], "r": 4},
    "tensors": [
        {
            "modules": [
                "model.language_model.layers.{0-2}.self_attn.q_proj",
                "model.vision_tower.encoder.layers.{0-1}.self_attn.q_proj",
            ],
            "rank": 4,
            "in": 32,
            "out": 32,
        }
    ],
}


def made(folder: Path, table: Mapping[str, Any], *mutations: Mapping[str, Any], **config: Any) -> Built:
    """The recipe with further mutations and config fields, as files below `folder`."""
    whole = {**table, "config": {**table["config"], **config}, "mutate": [*table.get("mutate", ()), *mutations]}
    return build(read_recipe(whole), str(folder), str(BASES))


def saw(model: str, adapter: str | Path) -> dict[str, Any]:
    """What real PEFT makes of a folder on the base with the weights of seed 7: outputs, tensors, warnings."""
    import peft
    import torch
    import transformers

    torch.manual_seed(7)
    config = transformers.AutoConfig.from_pretrained(model)
    kind = getattr(transformers, config.architectures[0])
    base = kind(config).eval()
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        loaded = peft.PeftModel.from_pretrained(base, str(adapter)).eval()
    ids = torch.arange(8).reshape(1, 8)
    with torch.no_grad():
        out = loaded(input_ids=ids)
        logits = out[0]
        with loaded.disable_adapter():
            off = loaded(input_ids=ids)[0]
    own = {name: value.detach() for name, value in loaded.named_parameters() if ".default" in name}
    return {"logits": logits, "off": off, "own": own, "warnings": [str(w.message) for w in caught]}


def same_effect(one: dict[str, Any], other: dict[str, Any]) -> None:
    """Equal outputs and adapter tensors, bit by bit, and an effect that is there."""
    import torch

    assert one["own"].keys() == other["own"].keys()
    assert all(torch.equal(value, other["own"][name]) for name, value in one["own"].items())
    assert torch.equal(one["logits"], other["logits"])
    assert not torch.equal(one["logits"], one["off"])


def copied(source: str | Path, target: Path) -> Path:
    """A copy of a folder, for tests that damage it."""
    shutil.copytree(source, target, symlinks=True)
    return target


def files_of(folder: str | Path) -> dict[str, bytes]:
    """Every file below a folder with its bytes."""
    root = Path(folder)
    return {str(path.relative_to(root)): path.read_bytes() for path in sorted(root.rglob("*")) if path.is_file()}
