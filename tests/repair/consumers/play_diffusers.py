"""Outputs of a text encoder with a LoRA that diffusers has loaded."""

import json
import sys

import torch
import transformers
from diffusers.loaders import StableDiffusionLoraLoaderMixin
from safetensors.torch import load_file

asked = json.load(sys.stdin)
config = transformers.AutoConfig.from_pretrained(asked["config"])
encoder = getattr(transformers, asked["class"])(config).eval()
below = "text_model." if hasattr(encoder, "text_model") else ""
encoder.load_state_dict({below + name: value for name, value in load_file(asked["weights"]).items()})
state, alphas = StableDiffusionLoraLoaderMixin.lora_state_dict(asked["adapter"], weight_name=asked["file"])
StableDiffusionLoraLoaderMixin.load_lora_into_text_encoder(state, alphas, encoder)
with torch.no_grad():
    out = encoder(torch.tensor([asked["ids"]]))[0]
print(json.dumps({"keys": sorted(state), "out": out.flatten().tolist()}))
