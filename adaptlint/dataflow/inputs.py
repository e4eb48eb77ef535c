"""Ordinary inputs of a model's forward: their axes in symbols, and the largest number that each may hold."""

from __future__ import annotations

from typing import Any, NamedTuple

TEXT = ("batch", "seq")
TARGET = ("batch", "decoder_seq")


class Input(NamedTuple):
    """One argument: its axes (a symbol's name or a number), its kind, and a bound on integers."""

    axes: tuple[Any, ...]
    kind: str
    bound: Any = None


def inputs_of(model: Any, constants: dict[str, Any]) -> dict[str, Input] | None:
    """The arguments by name; None for a model whose main input no recipe is known of.

    `constants` is the model's config as a dictionary.
    """
    main = getattr(model, "main_input_name", "")
    vocabulary = _integer(_text(constants), "vocab_size")
    words = None if vocabulary is None else vocabulary - 1
    if main == "input_ids":
        ids = {"input_ids": Input(TEXT, "int", words), "attention_mask": Input(TEXT, "int", 1)}
        if constants.get("is_encoder_decoder"):
            ids["decoder_input_ids"] = Input(TARGET, "int", words)
        return ids
    if main == "pixel_values":
        size, channels = _image(constants), _integer(constants, "num_channels") or 3
        if size is not None:
            return {"pixel_values": Input(("batch", channels, *size), "float")}
    return None


def _text(config: dict[str, Any]) -> dict[str, Any]:
    for name in ("text_config", "llm_config", "language_config"):
        inner = config.get(name)
        if isinstance(inner, dict):
            return inner
    return config


def _image(config: dict[str, Any]) -> tuple[int, int] | None:
    """Height and width; 224 where the config has no size of its own, as processors do."""
    vision = config.get("vision_config")
    size = config.get("image_size", vision.get("image_size") if isinstance(vision, dict) else None)
    if isinstance(size, list | tuple) and len(size) == 2:
        return (int(size[0]), int(size[1]))
    return (size, size) if isinstance(size, int) else (224, 224)


def _integer(config: dict[str, Any], name: str) -> int | None:
    value = config.get(name)
    return value if isinstance(value, int) and not isinstance(value, bool) else None
