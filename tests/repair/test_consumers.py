"""Converted adapters opened by the libraries that they are for: the outputs are those of PEFT with the original.

Behind `make prove-conversions`, which makes an environment for each library.
"""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file

from adaptlint.repair import Outcome, Wish, repair
from tests.repair.cases import BASES, LLAMA, made, saw
from tests.repair.consumers.environments import played
from tests.repair.recorded import ASKED, BERT, CLIP_WHOLE, PLACE, RECORDED

pytestmark = pytest.mark.skipif("CONSUMERS" not in os.environ, reason="make prove-conversions")
IDS = [*range(8)]
LLAMA_FULL: dict[str, Any] = {
    "base": {"from": "tiny-llama", "config": {"rms_norm_eps": 1e-6, "tie_word_embeddings": False}},
    "config": {"target_modules": ["q_proj", "v_proj", "up_proj"], "r": 4, "lora_alpha": 10},
    "tensors": [
        *LLAMA["tensors"],
        {"modules": "model.layers.{0-2}.mlp.up_proj", "rank": 4, "in": 32, "out": 48},
    ],
}


def asked_of(model: str, folder: Path, adapter: Path) -> dict[str, Any]:
    """The question to a consumer: the base with its weights of seed 7, as `saw` has them."""
    import transformers

    torch.manual_seed(7)
    config = transformers.AutoConfig.from_pretrained(model)
    name = config.architectures[0]
    state = getattr(transformers, name)(config).state_dict()
    save_file({key: value.clone() for key, value in state.items()}, folder / "base.safetensors")
    place = Path(model)
    written = place if place.is_file() else place / "config.json"
    return {
        "config": str(written),
        "class": name,
        "weights": str(folder / "base.safetensors"),
        "adapter": str(adapter),
        "file": next((path.name for path in adapter.glob("*.safetensors")), ""),
        "ids": IDS,
    }


@pytest.mark.parametrize(
    ("table", "config", "target", "environment", "script"),
    [
        (BERT, {}, "adapters==1.3.0", "adapters-1.3.0", "play_adapters.py"),
        (BERT, {"use_rslora": True}, "adapters==1.3.0", "adapters-1.3.0", "play_adapters.py"),
        (LLAMA, {}, "adapters==1.3.0", "adapters-1.3.0", "play_adapters.py"),
        (LLAMA_FULL, {}, "mlx-lm", "mlx-lm-0.32.2", "play_mlx.py"),
        (LLAMA_FULL, {"use_rslora": True}, "mlx-lm", "mlx-lm-0.32.2", "play_mlx.py"),
        (CLIP_WHOLE, {}, "diffusers", "diffusers-0.42.1", "play_diffusers.py"),
    ],
)
def test_the_consumer_computes_what_peft_does(
    table: Any, config: dict[str, Any], target: str, environment: str, script: str, tmp_path: Path
) -> None:
    built = made(tmp_path / "peft", table, **config)
    copy = tmp_path / "copy"
    outcome = repair(Wish(built.adapter, built.model, (target,), unsafe=True, output=str(copy)))
    assert isinstance(outcome, Outcome)
    assert outcome.kept, outcome.plan.refused
    truth = saw(built.model, built.adapter)
    told = played(environment, script, asked_of(built.model, tmp_path, copy))
    out = torch.tensor(told["out"])
    effect = float((truth["off"] - truth["logits"]).abs().max())
    assert float((out - truth["logits"].flatten()).abs().max()) < effect / 1000
    assert not any(told.get("told", {}).values()), json.dumps(told["told"])


@pytest.mark.parametrize("name", ASKED)
def test_the_records_are_what_the_libraries_write(name: str) -> None:
    """With CONSUMERS=write they are written anew."""
    environment, script, question = ASKED[name]
    told = played(environment, script, {**question, "config": str(BASES / question["base"] / "config.json")})
    if os.environ["CONSUMERS"] == "write":
        RECORDED[name] = told
        PLACE.write_text(json.dumps(RECORDED, indent=1, sort_keys=True) + "\n")
    assert RECORDED[name] == told
