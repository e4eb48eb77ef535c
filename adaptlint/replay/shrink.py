"""Smaller bases of the same architecture: one layer at the real sizes, or a tiny model with the ratios kept."""

from __future__ import annotations

from collections.abc import Mapping
from math import gcd
from typing import Any

Config = dict[str, Any]

LAYERS = (
    "num_hidden_layers",
    "n_layer",
    "n_layers",
    "num_layers",
    "encoder_layers",
    "decoder_layers",
    "num_decoder_layers",
)
WIDTHS = ("hidden_size", "d_model", "n_embd", "dim", "embed_dim")
HEADS = ("num_attention_heads", "n_head", "n_heads", "num_heads", "encoder_attention_heads", "decoder_attention_heads")
KEY_HEADS = ("num_key_value_heads", "num_kv_heads", "n_head_kv")
HEAD_WIDTHS = ("head_dim", "d_kv")
INNER = ("intermediate_size", "d_ff", "ffn_dim", "encoder_ffn_dim", "decoder_ffn_dim", "n_inner")
POSITIONS = ("max_position_embeddings", "n_positions", "max_source_positions", "max_target_positions")
TINY_HEAD, TINY_KEY_HEADS, TINY_WORDS, TINY_POSITIONS = 8, 2, 128, 512
FEW_WORDS = 1024
"""Rows of the vocabulary that stay beside one layer: the embedding of an 8B model is larger than the layer."""


def one_layer(config: Mapping[str, Any], keep: int = 0, words: int = FEW_WORDS) -> Config | None:
    """The config with a single layer, the `keep`th of each kind that is listed; None where it names no layers."""
    found = False
    small: Config = {}
    depths = {value for name, value in config.items() if name in LAYERS and isinstance(value, int)}
    for name, value in config.items():
        if name in LAYERS and isinstance(value, int) and not isinstance(value, bool):
            small[name], found = 1, True
        elif isinstance(value, list) and len(value) in depths and len(value) > keep:
            small[name] = [value[keep]]
        elif isinstance(value, dict) and (inner := one_layer(value, keep, words)) is not None:
            small[name], found = inner, True
        else:
            small[name] = value
    return _with_words(small, words) if found else None


def tiny(config: Mapping[str, Any], seq: int = 0) -> Config | None:
    """The config with few, narrow layers; heads to key heads and inner to outer width keep their ratios.

    None where the config's own names for them are not known. `seq` is a length that must fit the positions.
    """
    width, heads = _named(config, WIDTHS), _named(config, HEADS)
    if width is None or heads is None:
        return None
    key_heads = _named(config, KEY_HEADS) or heads
    common = gcd(heads, key_heads)
    fewer = max(1, common // TINY_KEY_HEADS)
    while common % fewer:
        fewer -= 1
    head = _named(config, HEAD_WIDTHS) or width // heads
    slimmer = max(1, head // TINY_HEAD)
    small: Config = {}
    for name, value in config.items():
        if isinstance(value, bool) or not isinstance(value, int):
            small[name] = _inner(value, seq)
        elif name in LAYERS:
            small[name] = min(value, 2)
        elif name in HEADS or name in KEY_HEADS:
            small[name] = max(1, value // fewer)
        elif name in HEAD_WIDTHS:
            small[name] = max(1, value // slimmer)
        elif name in WIDTHS or name in INNER:
            small[name] = max(1, value // (fewer * slimmer))
        elif name in POSITIONS:
            small[name] = min(value, max(TINY_POSITIONS, seq))
        else:
            small[name] = value
    depth = max((value for name, value in small.items() if name in LAYERS and isinstance(value, int)), default=2)
    deep = {value for name, value in config.items() if name in LAYERS}
    for name, value in small.items():
        if isinstance(value, list) and len(value) in deep:
            small[name] = value[:depth]
    wide = {"initializer_range": 0.2} if "initializer_range" in config else {}  # attention far from even
    return _with_words({**small, **wide}, TINY_WORDS)


def _inner(value: Any, seq: int) -> Any:
    """An inner config made tiny too, where it is one."""
    return (tiny(value, seq) or value) if isinstance(value, dict) else value


def _named(config: Mapping[str, Any], names: tuple[str, ...]) -> int | None:
    found = (config.get(name) for name in names)
    return next((each for each in found if isinstance(each, int) and not isinstance(each, bool) and each > 0), None)


def _with_words(config: Config, words: int) -> Config:
    """A smaller vocabulary; tokens that are not in it any more are none."""
    held = config.get("vocab_size")
    if not isinstance(held, int) or held <= words:
        return config
    cut = {
        name: None
        for name, value in config.items()
        if name.endswith("_token_id") and isinstance(value, int) and value >= words
    }
    start = {"decoder_start_token_id": 0} if "decoder_start_token_id" in cut else {}
    return {**config, **cut, **start, "vocab_size": words}
