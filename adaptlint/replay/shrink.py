"""Smaller bases of the same architecture: one layer at the real sizes, or a tiny model with the ratios kept."""

from __future__ import annotations

from collections.abc import Mapping
from math import gcd

from adaptlint.hints import Any

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
INNER = ("intermediate_size", "d_ff", "ffn_dim", "encoder_ffn_dim", "decoder_ffn_dim", "n_inner", "word_embed_proj_dim")
POSITIONS = ("max_position_embeddings", "n_positions", "max_source_positions", "max_target_positions")
PAIRWISE, SECTIONS = ("short_factor", "long_factor"), ("mrope_section",)  # of rotary embeddings
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


def tiny(config: Mapping[str, Any], seq: int = 0, whole: bool = False, wider: int = 1) -> Config | None:
    """The config with few, narrow layers; heads to key heads and inner to outer width keep their ratios.

    None where the config's own names for them are not known. `seq` is a length that must fit the positions. `whole`
    keeps every layer and every word, so that each module is there under its name, and its widths alone shrink;
    `wider` is how many times as wide as usual its heads are.
    """
    width, heads = _named(config, WIDTHS), _named(config, HEADS)
    if width is None or heads is None:
        parts = {name: _inner(value, seq, whole, wider) for name, value in config.items()}
        return parts if whole and parts != dict(config) else None
    fewer = _fewer(heads, _named(config, KEY_HEADS) or heads)
    head = _named(config, HEAD_WIDTHS) or width // heads
    slimmer = max(1, head // (TINY_HEAD * wider))
    parts_of = {**dict.fromkeys(HEADS + KEY_HEADS, fewer), **dict.fromkeys(HEAD_WIDTHS, slimmer)}
    parts_of.update(dict.fromkeys(WIDTHS + INNER, fewer * slimmer))
    small: Config = {}
    for name, value in config.items():
        if isinstance(value, dict) and "rope" in name:
            small[name] = _rotary(value, head, head // slimmer)
        elif isinstance(value, bool) or not isinstance(value, int):
            small[name] = _inner(value, seq, whole, wider)
        elif name in LAYERS:
            small[name] = value if whole else min(value, 2)
        elif name in POSITIONS:
            small[name] = min(value, max(TINY_POSITIONS, seq))
        else:
            small[name] = max(1, value // parts_of[name]) if name in parts_of else value
    wide = {"initializer_range": 0.2} if "initializer_range" in config else {}  # attention far from even
    return {**small, **wide} if whole else _with_words({**_shallow(config, small), **wide}, TINY_WORDS)


def _fewer(heads: int, key_heads: int) -> int:
    """By how much the heads of both kinds are divided."""
    common = gcd(heads, key_heads)
    fewer = max(1, common // TINY_KEY_HEADS)
    while common % fewer:
        fewer -= 1
    return fewer


def _shallow(config: Mapping[str, Any], small: Config) -> Config:
    """The small config with lists that name every layer as short as it is deep."""
    depth = max((value for name, value in small.items() if name in LAYERS and isinstance(value, int)), default=2)
    deep = {value for name, value in config.items() if name in LAYERS}
    return {n: value[:depth] if isinstance(value, list) and len(value) in deep else value for n, value in small.items()}


def _rotary(value: Config, head: int, new: int) -> Config:
    """Rotary settings for a narrower head: lists with an entry for each pair of its features, and parts of them."""
    made = dict(value)
    for name, listed in value.items():
        if name in PAIRWISE and isinstance(listed, list):
            made[name] = listed[: max(1, len(listed) * new // head)]
        elif name in SECTIONS and isinstance(listed, list) and sum(listed):
            ends = [round(sum(listed[: at + 1]) * (new // 2) / sum(listed)) for at in range(len(listed))]
            made[name] = [end - start for start, end in zip([0, *ends], ends, strict=False)]
        elif isinstance(listed, dict):
            made[name] = _rotary(listed, head, new)
    return made


def _inner(value: Any, seq: int, whole: bool, wider: int) -> Any:
    """An inner config made tiny too, where it is one."""
    return (tiny(value, seq, whole, wider) or value) if isinstance(value, dict) else value


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
