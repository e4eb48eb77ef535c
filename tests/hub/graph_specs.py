"""The architectures that `adapters` wraps: which integers of a config are sizes, how to draw them, what else varies.

Sizes are drawn independently of each other, but for what every config of the class has to obey. Everything else of a
config is a setting; those named here are given values of their own, in each variant again.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from itertools import product
from random import Random
from typing import Any, NamedTuple

Sizes = dict[str, int]
GROUPED = ["<", "num_key_value_heads", "num_attention_heads"]
UNGROUPED = ["=", "num_key_value_heads", "num_attention_heads"]
HEADS_DIVIDE = ["%", "hidden_size", "num_attention_heads"]
HEAD_DIM = {"head_dim": ["//", "hidden_size", "num_attention_heads"]}


class Variant(NamedTuple):
    """Configs whose forward has operations of its own: their condition, their settings, what their sizes obey."""

    when: tuple[Any, ...] = ()
    settings: Mapping[str, Any] = {}
    sizes: Mapping[str, Any] = {}


class Spec(NamedTuple):
    """One class. `extra`: settings that the config class itself does not name, with what their absence means.

    `parts` are expressions that count as operands of their own; `turns`: after how many layers the kinds of layers
    come again; `least` the smallest values that are tried, 2 where it says nothing.
    """

    model_type: str
    model_class: str
    sizes: Callable[[Random], Sizes]
    variants: tuple[Variant, ...] = (Variant(),)
    settings: Mapping[str, Any] = {}
    fallbacks: Mapping[str, Any] = {}
    demands: tuple[Any, ...] = (HEADS_DIVIDE,)
    least: Mapping[str, int] = {}
    nullable: tuple[str, ...] = ()
    extra: Mapping[str, Any] = {}
    parts: tuple[Any, ...] = ()
    inner: Mapping[str, str] = {}
    turns: int = 1


def _encoder(rng: Random) -> Sizes:
    heads = rng.randrange(3, 40)
    return {
        "vocab_size": rng.randrange(1000, 9999),
        "hidden_size": heads * rng.randrange(8, 90, 2),
        "num_hidden_layers": rng.randrange(3, 6),
        "num_attention_heads": heads,
        "intermediate_size": rng.randrange(100, 999),
        "max_position_embeddings": rng.randrange(100, 999),
        "type_vocab_size": rng.randrange(2, 60),
        "pad_token_id": rng.randrange(0, 40),
    }


def _but(sizes: Callable[[Random], Sizes], *absent: str, **more: Callable[[Random], int]) -> Callable[[Random], Sizes]:
    def drawn(rng: Random) -> Sizes:
        kept = {name: size for name, size in sizes(rng).items() if name not in absent}
        return {**kept, **{name: draw(rng) for name, draw in more.items()}}

    return drawn


def _decoder(rng: Random) -> Sizes:
    groups, shared, wide = rng.randrange(2, 30), rng.randrange(2, 30), rng.randrange(8, 90, 2)
    sizes = _but(_encoder, "type_vocab_size")(rng)
    heads = groups * shared
    own = {"num_attention_heads": heads, "num_key_value_heads": shared, "hidden_size": heads * wide}
    return {**sizes, **own, "head_dim": rng.randrange(8, 90, 2)}


def _window(rng: Random) -> int:
    return rng.randrange(50, 99)


def _renamed(sizes: Callable[[Random], Sizes], names: Mapping[str, str]) -> Callable[[Random], Sizes]:
    return lambda rng: {names[name]: size for name, size in sizes(rng).items() if name in names}


_GPT = {
    "vocab_size": "vocab_size",
    "hidden_size": "n_embd",
    "num_hidden_layers": "n_layer",
    "num_attention_heads": "n_head",
    "intermediate_size": "n_inner",
    "max_position_embeddings": "n_positions",
    "pad_token_id": "pad_token_id",
}
_DISTIL = {
    "vocab_size": "vocab_size",
    "hidden_size": "dim",
    "num_hidden_layers": "n_layers",
    "num_attention_heads": "n_heads",
    "intermediate_size": "hidden_dim",
    "max_position_embeddings": "max_position_embeddings",
    "pad_token_id": "pad_token_id",
}


def _gptj(rng: Random) -> Sizes:
    sizes = _renamed(_encoder, _GPT)(rng)
    wide = rng.randrange(12, 40, 2)
    return {**sizes, "n_embd": sizes["n_head"] * wide, "rotary_dim": rng.randrange(4, wide + 1, 2)}


def _bart(rng: Random) -> Sizes:
    encoder, decoder = rng.sample((3, 5, 7, 11, 13, 17, 19), 2)
    return {
        "vocab_size": rng.randrange(1000, 9999),
        "d_model": encoder * decoder * rng.randrange(4, 40, 2),
        "encoder_layers": rng.randrange(3, 7),
        "decoder_layers": rng.randrange(3, 7),
        "encoder_attention_heads": encoder,
        "decoder_attention_heads": decoder,
        "encoder_ffn_dim": rng.randrange(100, 999),
        "decoder_ffn_dim": rng.randrange(100, 999),
        "max_position_embeddings": rng.randrange(100, 999),
        "pad_token_id": rng.randrange(0, 40),
    }


_BART_DIVIDES = (["%", "d_model", "encoder_attention_heads"], ["%", "d_model", "decoder_attention_heads"])


def _whisper(rng: Random) -> Sizes:
    return {
        **_but(_bart, "max_position_embeddings")(rng),
        "num_mel_bins": rng.randrange(20, 60),
        "max_source_positions": rng.randrange(60, 120),
        "max_target_positions": rng.randrange(60, 120),
    }


def _t5(rng: Random) -> Sizes:
    return {
        "vocab_size": rng.randrange(1000, 9999),
        "d_model": rng.randrange(40, 400),
        "d_kv": rng.randrange(5, 60),
        "d_ff": rng.randrange(100, 999),
        "num_layers": rng.randrange(3, 7),
        "num_decoder_layers": rng.randrange(3, 7),
        "num_heads": rng.randrange(3, 40),
        "relative_attention_num_buckets": rng.randrange(8, 200, 2),
        "relative_attention_max_distance": rng.randrange(150, 999),
        "pad_token_id": rng.randrange(0, 40),
    }


def _seen(rng: Random) -> Sizes:
    patch = rng.randrange(4, 20)
    sizes = _but(_encoder, "vocab_size", "max_position_embeddings", "type_vocab_size", "pad_token_id")(rng)
    image = patch * rng.randrange(3, 20)
    return {**sizes, "num_channels": rng.randrange(2, 20), "patch_size": patch, "image_size": image}


def _pooled(rng: Random) -> Sizes:
    return {**_seen(rng), "pooler_output_size": rng.randrange(20, 99)}


def _read(rng: Random) -> Sizes:
    return {**_but(_encoder, "type_vocab_size")(rng), "eos_token_id": rng.randrange(3, 40)}


def _below(name: str, sizes: Sizes) -> Sizes:
    return {f"{name}.{field}": size for field, size in sizes.items()}


def _grid(name: str = "") -> list[Any]:
    """How many patches an image has."""
    along = ["//", f"{name}image_size", f"{name}patch_size"]
    return ["*", along, along]


_SEEN = (HEADS_DIVIDE, ["%", "image_size", "patch_size"])
_DISTANCES = ["-", ["*", 2, ["//", "image_size", "patch_size"]], 1]


def _clip(rng: Random) -> Sizes:
    return {
        **_below("text_config", _read(rng)),
        **_below("vision_config", _seen(rng)),
        "projection_dim": rng.randrange(30, 99),
    }


def _two_berts(rng: Random) -> Sizes:
    encoder, decoder = _encoder(rng), _encoder(rng)
    wide = encoder["num_attention_heads"] * decoder["num_attention_heads"] * rng.randrange(2, 9, 2)
    encoder["hidden_size"] = decoder["hidden_size"] = wide
    return {**_below("encoder", encoder), **_below("decoder", decoder)}


def _beneath(name: str, condition: list[Any]) -> list[Any]:
    return [condition[0], *(f"{name}.{operand}" for operand in condition[1:])]


def _crossed(*choices: tuple[Variant, ...]) -> tuple[Variant, ...]:
    return tuple(
        Variant(
            tuple(condition for one in each for condition in one.when),
            {name: value for one in each for name, value in one.settings.items()},
            {name: value for one in each for name, value in one.sizes.items()},
        )
        for each in product(*choices)
    )


def _either(name: str, first: Any, second: Any) -> tuple[Variant, ...]:
    return tuple(Variant((["is", name, value],), {name: value}) for value in (first, second))


_HEADS = (Variant((GROUPED,)), Variant((UNGROUPED,), sizes={"num_key_value_heads": "num_attention_heads"}))
_WINDOW = (
    Variant((["not", ["null", "sliding_window"]],)),
    Variant((["null", "sliding_window"],), sizes={"sliding_window": None}),
)
_GROUPS: dict[str, Any] = {"least": {"num_key_value_heads": 1, "pad_token_id": 0}, "nullable": ("pad_token_id",)}
_KV = {**HEAD_DIM, "num_key_value_heads": "num_attention_heads"}
_SIXFOLD = {"sliding_window_pattern": 6}
_RELATIVE = {"relative_attention": True, "pos_att_type": ["c2p", "p2c"], "position_biased_input": False}
_DEBERTA = {"relative_attention": True, "pos_att_type": ["c2p", "p2c"], "type_vocab_size": 0}
_GATED = (
    Variant((["is", "feed_forward_proj", "relu"],), {"feed_forward_proj": "relu"}),
    Variant((["is", "feed_forward_proj", "gated-gelu"],), {"feed_forward_proj": "gated-gelu"}),
)
_TWO_LAYERS = (  # fewer layers than there are kinds of them, as in models for tests
    Variant((["is", "num_hidden_layers", 2],), sizes={"num_hidden_layers": 2}),
    Variant((["<", 2, "num_hidden_layers"],)),
)
_EMBEDDED = (
    Variant((["not", ["=", "embedding_size", "hidden_size"]],)),
    Variant((["=", "embedding_size", "hidden_size"],), sizes={"embedding_size": "hidden_size"}),
)


def _embedded(rng: Random) -> Sizes:
    return {**_encoder(rng), "embedding_size": rng.randrange(20, 60)}


def _end_of_text(name: str) -> tuple[Variant, ...]:
    """CLIP pools at the highest token where the config has the end token of its first release, 2."""
    return (
        Variant((["is", name, 2],), sizes={name: 2}),
        Variant((["not", ["is", name, 2]],)),
    )


_ONE_TYPE = {"type_vocab_size": 1, "pad_token_id": 0}
_NO_PAD = {"pad_token_id": 0}
_ROTATED = ["int", ["*", "partial_rotary_factor", ["//", "hidden_size", "num_attention_heads"]]]
_NAMELESS = {"position_buckets": -1, "share_att_key": False, "norm_rel_ebd": "none", "conv_kernel_size": 0}
_V3 = {**_RELATIVE, "share_att_key": True, "norm_rel_ebd": "layer_norm", "type_vocab_size": 0}


def _buckets(rng: Random) -> int:
    return rng.randrange(5, 30)


def _phi(rng: Random) -> Sizes:
    """Heads so wide that each of the factors leaves an even number of rotated axes."""
    sizes = _but(_decoder, "head_dim")(rng)
    return {**sizes, "hidden_size": sizes["num_attention_heads"] * 20 * rng.randrange(1, 5)}


def _deberta(rng: Random) -> Sizes:
    sizes = _but(_encoder, "type_vocab_size")(rng)
    return {**sizes, "pooler_hidden_size": sizes["hidden_size"]}


SPECS: tuple[Spec, ...] = (
    Spec(
        "llama",
        "LlamaModel",
        _decoder,
        _crossed(_HEADS, _either("attention_bias", False, True)),
        fallbacks=_KV,
        **_GROUPS,
    ),
    Spec("bert", "BertModel", _encoder, least=_ONE_TYPE, nullable=("pad_token_id",)),
    Spec("t5", "T5Model", _t5, _GATED, fallbacks={"num_decoder_layers": "num_layers"}, demands=(), least=_NO_PAD),
    Spec("mt5", "MT5Model", _t5, _GATED, fallbacks={"num_decoder_layers": "num_layers"}, demands=(), least=_NO_PAD),
    Spec("roberta", "RobertaModel", _encoder, least=_ONE_TYPE),
    Spec("xlm-roberta", "XLMRobertaModel", _encoder, least=_ONE_TYPE),
    Spec(
        "gpt2",
        "GPT2Model",
        _renamed(_encoder, _GPT),
        fallbacks={"n_inner": ["*", 4, "n_embd"]},
        demands=(["%", "n_embd", "n_head"],),
        least=_NO_PAD,
        nullable=("pad_token_id",),
    ),
    Spec(
        "bart",
        "BartModel",
        _bart,
        extra={"force_bos_token_to_be_generated": False},
        demands=_BART_DIVIDES,
        least=_NO_PAD,
    ),
    Spec("vit", "ViTModel", _pooled, fallbacks={"pooler_output_size": "hidden_size"}, demands=_SEEN, parts=(_grid(),)),
    Spec(
        "clip",
        "CLIPModel",
        _clip,
        _end_of_text("text_config.eos_token_id"),
        demands=(
            _beneath("text_config", HEADS_DIVIDE),
            *(_beneath("vision_config", condition) for condition in _SEEN),
        ),
        parts=(_grid("vision_config."),),
        least={"text_config.pad_token_id": 0},
        nullable=("text_config.pad_token_id",),
        inner={"text_config": "clip_text_model", "vision_config": "clip_vision_model"},
    ),
    Spec("clip_vision_model", "CLIPVisionModel", _seen, demands=_SEEN, parts=(_grid(),)),
    Spec(
        "clip_text_model",
        "CLIPTextModel",
        _read,
        _end_of_text("eos_token_id"),
        least=_NO_PAD,
        nullable=("pad_token_id",),
    ),
    Spec(
        "encoder-decoder",
        "EncoderDecoderModel",
        _two_berts,
        settings={"decoder.is_decoder": True, "decoder.add_cross_attention": True},
        demands=(
            _beneath("encoder", HEADS_DIVIDE),
            _beneath("decoder", HEADS_DIVIDE),
            ["=", "encoder.hidden_size", "decoder.hidden_size"],
        ),
        least={
            "encoder.type_vocab_size": 1,
            "decoder.type_vocab_size": 1,
            "encoder.pad_token_id": 0,
            "decoder.pad_token_id": 0,
        },
        inner={"encoder": "bert", "decoder": "bert"},
    ),
    Spec(
        "distilbert", "DistilBertModel", _renamed(_encoder, _DISTIL), demands=(["%", "dim", "n_heads"],), least=_NO_PAD
    ),
    Spec("electra", "ElectraModel", _embedded, _EMBEDDED, least=_ONE_TYPE),
    Spec("albert", "AlbertModel", _embedded, _TWO_LAYERS, least=_ONE_TYPE, turns=2),
    Spec(
        "xmod", "XmodModel", _but(_encoder, adapter_reduction_factor=lambda rng: rng.randrange(2, 5)), least=_ONE_TYPE
    ),
    Spec("bert-generation", "BertGenerationEncoder", _but(_encoder, "type_vocab_size"), least=_NO_PAD),
    Spec(
        "gptj",
        "GPTJModel",
        _gptj,
        fallbacks={"n_inner": ["*", 4, "n_embd"]},
        demands=(["%", "n_embd", "n_head"],),
        least=_NO_PAD,
        nullable=("pad_token_id",),
    ),
    Spec(
        "mistral",
        "MistralModel",
        _but(_decoder, sliding_window=_window),
        _crossed(_HEADS, _WINDOW),
        fallbacks=_KV,
        **_GROUPS,
    ),
    Spec("mbart", "MBartModel", _bart, demands=_BART_DIVIDES, least=_NO_PAD),
    Spec("plbart", "PLBartModel", _bart, demands=_BART_DIVIDES, least=_NO_PAD),
    Spec("whisper", "WhisperModel", _whisper, demands=_BART_DIVIDES, least=_NO_PAD),
    Spec(
        "beit",
        "BeitModel",
        _but(_seen, vocab_size=lambda rng: rng.randrange(1000, 9999)),
        _crossed(
            _either("use_relative_position_bias", False, True), _either("use_absolute_position_embeddings", False, True)
        ),
        demands=_SEEN,
        parts=(_grid(), ["*", _DISTANCES, _DISTANCES]),
    ),
    Spec(
        "deberta",
        "DebertaModel",
        _deberta,
        (
            *_crossed(
                (
                    Variant((["is", "relative_attention", True], ["is", "max_relative_positions", -1]), _DEBERTA),
                    Variant(
                        (["is", "relative_attention", True], ["<", 0, "max_relative_positions"]),
                        _DEBERTA,
                        {"max_relative_positions": _window},
                    ),
                ),
                _either("position_biased_input", False, True),
            ),
            Variant((["is", "relative_attention", False],), {"type_vocab_size": 0}),
        ),
        extra={"attention_head_size": None},
        least=_NO_PAD,
    ),
    Spec(
        "deberta-v2",
        "DebertaV2Model",
        _deberta,
        (
            Variant(
                (
                    ["is", "relative_attention", True],
                    ["<", 0, "position_buckets"],
                    ["is", "max_relative_positions", -1],
                ),
                _V3,
                {"position_buckets": _buckets},
            ),
            Variant(
                (["is", "relative_attention", True], ["<", 0, "position_buckets"], ["<", 0, "max_relative_positions"]),
                _V3,
                {"position_buckets": _buckets, "max_relative_positions": _window},
            ),
            Variant((["is", "relative_attention", False],), {"type_vocab_size": 0}),
        ),
        extra={**_NAMELESS, "attention_head_size": None},
        least=_NO_PAD,
    ),
    Spec(
        "qwen2",
        "Qwen2Model",
        _but(_decoder, "head_dim"),
        _HEADS,
        settings={"sliding_window": 4096},
        fallbacks={"num_key_value_heads": "num_attention_heads"},
        **_GROUPS,
    ),
    Spec(
        "qwen3",
        "Qwen3Model",
        _decoder,
        _HEADS,
        settings={"sliding_window": 4096},
        fallbacks={"num_key_value_heads": "num_attention_heads"},
        **_GROUPS,
    ),
    Spec(
        "gemma2",
        "Gemma2Model",
        _but(_decoder, sliding_window=_window, num_hidden_layers=lambda rng: rng.randrange(5, 9)),
        _HEADS,
        turns=2,
        **_GROUPS,
    ),
    Spec(
        "gemma3_text",
        "Gemma3TextModel",
        _but(_decoder, sliding_window=_window, num_hidden_layers=lambda rng: rng.randrange(12, 18)),
        _crossed(_HEADS, _TWO_LAYERS),
        turns=6,
        extra=_SIXFOLD,
        **_GROUPS,
    ),
    Spec(
        "phi",
        "PhiModel",
        _phi,
        _crossed(_HEADS, _either("partial_rotary_factor", 0.5, 0.4)),
        fallbacks={"num_key_value_heads": "num_attention_heads"},
        parts=(_ROTATED,),
        **_GROUPS,
    ),
    Spec(
        "modernbert",
        "ModernBertModel",
        _but(_encoder, "type_vocab_size", local_attention=_window, num_hidden_layers=lambda rng: rng.randrange(8, 12)),
        _TWO_LAYERS,
        least=_NO_PAD,
        turns=3,
    ),
)
