"""A tiny Llama with PEFT's adapters on it, in memory."""

from __future__ import annotations

from typing import Any

import peft
import torch
import transformers

from tests.conftest import ROOT

CONFIG = ROOT / "fixtures" / "bases" / "tiny-llama"


def base() -> Any:
    """The base with its own random weights."""
    torch.manual_seed(0)
    return transformers.AutoModelForCausalLM.from_config(transformers.AutoConfig.from_pretrained(CONFIG)).eval()


def trained(model: Any, **settings: Any) -> Any:
    """The model with a LoRA whose factors are all unlike their initial values."""
    wrapped = peft.get_peft_model(
        model, peft.LoraConfig(**{"r": 4, "target_modules": ["q_proj", "v_proj"], **settings})
    )
    train(wrapped)
    return wrapped.eval()


def train(wrapped: Any) -> None:
    """Give every adapter parameter random values."""
    with torch.no_grad():
        for name, parameter in wrapped.named_parameters():
            if "lora_" in name or "modules_to_save" in name or "ia3" in name or "prompt" in name:
                parameter.normal_(std=0.1)


def logits(model: Any) -> Any:
    """What the model says of a few tokens."""
    with torch.no_grad():
        return model(input_ids=torch.tensor([[1, 2, 3, 4]])).logits


def without_adapters(wrapped: Any) -> Any:
    """What its base says of them."""
    with wrapped.disable_adapter():
        return logits(wrapped)
