"""A LoRA of a text encoder as sd-scripts writes it, and as common programs around it read it.

Source: sd-scripts, networks/lora.py (`LoRANetwork`: `lora_te_` and the module's path with `_` for `.`; `LoRAModule`:
scale alpha / rank). Before transformers 5 the layers of CLIP's text
models lay below `text_model`, and in these files they still do.
"""

from __future__ import annotations

import struct

from adaptlint.bases import Base
from adaptlint.drafts.words import UNSAFE, Inexact, Piece
from adaptlint.repair.exporting import Written
from adaptlint.repair.plain_lora import PlainLora

FILE = "pytorch_lora_weights.safetensors"
ENCODERS = {"CLIPTextModel": "lora_te", "CLIPTextModelWithProjection": "lora_te2"}
BELOW = "text_model."
WHICH = {
    "lora_te": "lora_te_ is the text encoder of Stable Diffusion 1 and 2; SDXL and Flux call it lora_te1_",
    "lora_te2": "lora_te2_ is the second text encoder of SDXL",
}


def write(lora: PlainLora, base: Base, release: str) -> Written:
    """The one file, without a config. Raises Inexact."""
    start = ENCODERS.get(base.model_class or "")
    if start is None:
        raise Inexact(
            f"{base.model_class} is no text encoder of CLIP, and what other models are called there is not known"
        )
    pieces: list[Piece] = []
    for path, each in lora.modules.items():
        below = path if path.startswith(BELOW) else f"{BELOW}{path}"
        name = f"{start}_{below.replace('.', '_')}"
        pieces += [
            each.first._replace(name=f"{name}.lora_down.weight"),
            each.second._replace(name=f"{name}.lora_up.weight"),
            _number(f"{name}.alpha", lora.alpha(path)),
        ]
    said = f"{WHICH[start]}; every alpha becomes a tensor of its own"
    return Written(None, FILE, pieces, {"format": "pt"}, said, UNSAFE)


def _number(name: str, value: float) -> Piece:
    """A tensor of one number, which is in the config until now."""
    data = struct.pack("<f", value)
    if struct.unpack("<f", data)[0] != value:
        raise Inexact(f"alpha {value:g} would be rounded as a tensor")
    return Piece(name, "F32", (), "", 0, 0, name, made=data)
