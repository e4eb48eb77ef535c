"""The case that is measured: a LoRA of 448 tensors on Llama-3-8B, base as config.json and sparse shards."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from adaptlint.testing import Built, build, read_recipe

LAYERS, HIDDEN, MIDDLE, KEYS, VOCABULARY, RANK = 32, 4096, 14336, 1024, 128256, 16
# projection -> (out, in), as config.json has it
SIZES = {
    "self_attn.q_proj": (HIDDEN, HIDDEN),
    "self_attn.k_proj": (KEYS, HIDDEN),
    "self_attn.v_proj": (KEYS, HIDDEN),
    "self_attn.o_proj": (HIDDEN, HIDDEN),
    "mlp.gate_proj": (MIDDLE, HIDDEN),
    "mlp.up_proj": (MIDDLE, HIDDEN),
    "mlp.down_proj": (HIDDEN, MIDDLE),
}


def recipe(config: dict[str, Any], headers: bool) -> dict[str, Any]:
    """The case as a recipe: seven projections of every layer, A and B, rank 16."""
    layer = f"model.layers.{{0-{LAYERS - 1}}}"
    tensors = [{"name": f"{layer}.{name}.weight", "shape": size, "dtype": "BF16"} for name, size in SIZES.items()]
    for norm in ("input_layernorm", "post_attention_layernorm"):
        tensors.append({"name": f"{layer}.{norm}.weight", "shape": (HIDDEN,), "dtype": "BF16"})
    for name in ("model.embed_tokens", "lm_head"):
        tensors.append({"name": f"{name}.weight", "shape": (VOCABULARY, HIDDEN), "dtype": "BF16"})
    tensors.append({"name": "model.norm.weight", "shape": (HIDDEN,), "dtype": "BF16"})
    targets = sorted(name.partition(".")[2] for name in SIZES)
    return {
        "base": {"config": config, **({"tensors": tensors, "shards": 4} if headers else {})},
        "values": "sparse",
        "config": {"r": RANK, "lora_alpha": 32, "target_modules": targets, "task_type": "CAUSAL_LM"},
        "tensors": [
            {"modules": f"{layer}.{name}", "rank": RANK, "in": wide, "out": high}
            for name, (high, wide) in SIZES.items()
        ],
    }


def write_case(root: Path, folder: Path, headers: bool) -> Built:
    """Write base and adapter below `folder`; without headers the base is its config.json alone."""
    config = json.loads((root / "fixtures" / "bases" / "llama-3-8b" / "config.json").read_text())
    return build(read_recipe(recipe(config, headers)), str(folder), bases=str(root / "fixtures" / "bases"))
