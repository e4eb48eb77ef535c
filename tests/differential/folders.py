"""Real PEFT asked about an adapter folder and a base's config.json, as rule pages and stories have them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
import transformers

from tests.differential.truth import Inputs, Record, measure


def model_of(base: Path, auto: str) -> Any:
    """The base, initialised from its config with a fixed seed."""
    torch.manual_seed(11)
    config = transformers.AutoConfig.from_pretrained(base)
    return getattr(transformers, auto).from_config(config).eval()


def ordinary_inputs(model: Any) -> Inputs:
    """One row of whatever the model's main input is."""
    source = torch.Generator().manual_seed(5)
    ids = torch.randint(3, 30, (1, 7), generator=source)
    if model.main_input_name == "pixel_values":
        size = getattr(model.config, "image_size", 32)
        return {"pixel_values": torch.randn(1, 3, size, size, generator=source)}
    return {"input_ids": ids, "decoder_input_ids": ids} if model.config.is_encoder_decoder else {"input_ids": ids}


def integrated(base: Path, auto: str, adapter: Path) -> Record:
    """What the model's own `load_adapter` does with the folder; what its report calls missing was left as it was."""
    try:
        told = model_of(base, auto).load_adapter(str(adapter.resolve()))
    except Exception as problem:
        error = {"type": type(problem).__name__, "mro": [], "message": str(problem)}
        return {"outcome": "raises", "steps": [{"op": "load_adapter", "outcome": "raises", "error": error}]}
    keys = {"missing_keys": sorted(told.missing_keys), "unexpected_keys": sorted(told.unexpected_keys)}
    return {"outcome": "ok", "steps": [{"op": "load_adapter", "outcome": "ok", "load_result": keys}]}


def recorded(base: Path, auto: str, adapter: Path) -> Record:
    """What `PeftModel.from_pretrained` does with the folder."""
    model = model_of(base, auto)
    return measure(model, ordinary_inputs(model), adapter.resolve())
