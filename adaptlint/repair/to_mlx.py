"""A LoRA for mlx_lm: both matrices the other way round, the scale as a factor.

Source: mlx-lm 0.32.2, tuner/utils.py (`linear_to_lora_layers`, `load_adapters`, which refuses tensors that the model
has no place for, and other shapes), tuner/lora.py (`LoRALinear`: y + scale * (x @ lora_a) @ lora_b, lora_b zero before
the training, so that a layer without tensors adds nothing). Which models have transformers' module names there is
mlx_models.toml.
"""

from __future__ import annotations

import re

from adaptlint import tables
from adaptlint.bases import Base
from adaptlint.drafts.words import Inexact, Piece
from adaptlint.repair.exporting import Written
from adaptlint.repair.plain_lora import PlainLora

MODELS = "repair/mlx_models.toml"
FILE = "adapters.safetensors"
LAYER = re.compile(r"model\.layers\.(\d+)\.(.+)")
DTYPES = ("F32", "F16", "BF16")


def write(lora: PlainLora, base: Base, release: str) -> Written:
    """The files of `mlx_lm.lora`. Raises Inexact."""
    if base.model_type not in tables.load()[MODELS]["same_names"]:
        raise Inexact(f"it is not known that mlx_lm has {base.model_type} models whose layers are called the same")
    found = {path: LAYER.fullmatch(path) for path in lora.modules}
    outside = next((path for path, match in found.items() if match is None), "")
    if outside:
        raise Inexact(f"{outside} lies in no layer of model.layers")
    numbers = {int(match[1]) for match in found.values() if match}
    keys = sorted({match[2] for match in found.values() if match})
    rank = lora.one({path: each.rank for path, each in lora.modules.items()}, "ranks", "mlx_lm")
    scale = lora.one({path: lora.scale(path) for path in lora.modules}, "scales", "mlx_lm")
    count = sum(1 for path in base.by_path if re.fullmatch(r"model\.layers\.\d+", path))
    config = {
        "fine_tune_type": "lora",
        "lora_parameters": {
            "dropout": lora.settings.get("lora_dropout", 0.0),
            "keys": keys,
            "rank": int(rank),
            "scale": scale,
        },
        "model": lora.settings.get("base_model_name_or_path"),
        "num_layers": count - min(numbers),
    }
    divisor = "the root of the rank" if lora.rooted else "the rank"
    said = f"transposed, and scale {scale:g} is lora_alpha divided by {divisor}"
    pieces = [
        _turned(piece, f"{path}.lora_{side}")
        for path, each in lora.modules.items()
        for piece, side in ((each.first, "a"), (each.second, "b"))
    ]
    return Written(config, FILE, pieces, {}, said)


def _turned(piece: Piece, name: str) -> Piece:
    if piece.dtype not in DTYPES:
        raise Inexact(f"{piece.name} is {piece.dtype}, which MLX does not have")
    return piece._replace(name=name, shape=(piece.shape[1], piece.shape[0]), turned=not piece.turned)
