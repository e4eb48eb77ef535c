"""Cases of conversions, and what the other libraries themselves write for such a LoRA (`make prove-conversions`)."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from tests.repair.test_converting import CLIP

PLACE = Path(__file__).with_name("recorded.json")
RECORDED: dict[str, Any] = json.loads(PLACE.read_text(encoding="utf-8")) if PLACE.exists() else {}
BERT: dict[str, Any] = {
    "base": "tiny-bert",
    "config": {"target_modules": ["query", "value"], "r": 4, "lora_alpha": 6},
    "tensors": [{"modules": "bert.encoder.layer.{0-1}.attention.self.{query,value}", "rank": 4, "in": 32, "out": 32}],
}
CLIP_WHOLE: dict[str, Any] = {
    **CLIP,
    "config": {"target_modules": ["q_proj", "out_proj", "fc1"], "r": 4, "lora_alpha": 2},
    "tensors": [
        *CLIP["tensors"],
        {"modules": "encoder.layers.{0-1}.self_attn.out_proj", "rank": 4, "in": 32, "out": 32},
    ],
}
ASKED: dict[str, tuple[str, str, dict[str, Any]]] = {
    "adapters-tiny-bert": (
        "adapters-1.3.0",
        "save_adapters.py",
        {"class": "BertForMaskedLM", "base": "tiny-bert", "lora": {"r": 4, "alpha": 6, "attn_matrices": ["q", "v"]}},
    ),
    "adapters-tiny-llama": (
        "adapters-1.3.0",
        "save_adapters.py",
        {"class": "LlamaForCausalLM", "base": "tiny-llama", "lora": {"r": 4, "alpha": 8, "attn_matrices": ["q", "v"]}},
    ),
    "mlx": (
        "mlx-lm-0.32.2",
        "save_mlx.py",
        {
            "base": "tiny-llama",
            "num_layers": 3,
            "lora": {"rank": 4, "scale": 2.5, "dropout": 0.0, "keys": ["self_attn.q_proj", "self_attn.v_proj"]},
        },
    ),
}
