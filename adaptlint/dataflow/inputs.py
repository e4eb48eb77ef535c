"""Ordinary inputs of a model's forward: their axes in symbols, and the largest number that each may hold.

Names and layouts are those of transformers' processors: pixels [batch, channels, height, width], with an axis for the
images of a text before the channels where the class wants one; sound as samples or as frames of a spectrum.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from inspect import signature

from adaptlint.hints import Any
from adaptlint.named_tuple import NamedTuple

TEXT = ("batch", "seq")
TARGET = ("batch", "decoder_seq")
INNER = ("text_config", "llm_config", "language_config", "decoder", "text_encoder")  # configs of the part with words
SEEING = ("vision_config", "encoder")
HEARING = ("encoder_config", "audio_config", "encoder", "audio_encoder")
FRAMES = ("feature_projection_input_dim", "num_mel_bins", "mel_bins", "n_mels")


class Input(NamedTuple):
    """One argument: its axes (a symbol's name or a number), its kind, and a bound on integers."""

    axes: tuple[Any, ...]
    kind: str
    bound: Any = None


Recipe = dict[str, Input]


def recipes_of(model: Any, constants: dict[str, Any]) -> list[Recipe]:
    """Arguments by name, the richest set first: a class that refuses one may take the next. Empty: none is known.

    `constants` is the model's config as a dictionary.
    """
    takes = signature(model.forward).parameters  # a class of transformers 5 may take others as well, in **kwargs
    needs = {name for name, one in takes.items() if one.default is one.empty and one.kind is one.POSITIONAL_OR_KEYWORD}
    main = getattr(model, "main_input_name", "")
    if main == "inputs":  # a model of two, whose first names what it takes; or one that takes anything
        main = getattr(getattr(model, "encoder", None), "main_input_name", "inputs")
    found = [recipe for recipe in _recipes(main, set(takes), constants) if main in recipe and needs <= set(recipe)]
    return [recipe for at, recipe in enumerate(found) if recipe not in found[:at]]


def taken_by(model: Any) -> set[str]:
    """The arguments of its forward, with "use_cache" for one that hands on whatever it is given."""
    takes = signature(model.forward).parameters
    text = getattr(model, "main_input_name", "") == "input_ids" or "input_ids" in takes or "decoder_input_ids" in takes
    passes = text and any(one.kind is one.VAR_KEYWORD for one in takes.values())
    return set(takes) | ({"use_cache"} if passes else set())


def axes_of(recipe: Recipe) -> dict[str, list[Any]]:
    """What a recorded graph keeps of the arguments."""
    return {name: list(entry.axes) for name, entry in recipe.items()}


def _recipes(main: str, takes: set[str], config: dict[str, Any]) -> Iterator[Recipe]:
    text = {name: entry for name, entry in _words(config).items() if name in takes}
    target = {name: entry for name, entry in _target(config).items() if name in takes}
    if main == "input_ids":
        if "pixel_values" in takes and isinstance(config.get("vision_config"), dict):
            yield from ({**text, **target, "pixel_values": pixels} for pixels in _pixels(config))
        yield {**text, **target}
    elif main == "pixel_values":
        for pixels in _pixels(config):
            if "input_ids" in takes:
                yield {"pixel_values": pixels, **text}
            yield {"pixel_values": pixels, **target}
            yield {"pixel_values": pixels}
    elif main in ("input_features", "input_values"):
        yield from ({main: sound, **target} for sound in _sound(main, config))
    elif main == "flattened_patches" and isinstance(config.get("vision_config"), dict):
        wide = _integer(config["vision_config"], "patch_embed_hidden_size")
        if wide is not None:  # two numbers before each patch say where it lies
            yield {main: Input(("batch", "patches", 2 + wide), "float"), **target}
    elif main == "inputs" and "attention_mask" in takes:
        yield {"inputs": _words(config)["input_ids"], "attention_mask": Input(TEXT, "int", 1)}


def _words(config: dict[str, Any]) -> Recipe:
    ids = Input(TEXT, "int", _last_word(_part(config, INNER[:3])))
    asked = config.get("qformer_config")
    question = Input(("batch", "question_seq"), "int", _last_word(asked if isinstance(asked, dict) else {}))
    return {"input_ids": ids, "attention_mask": Input(TEXT, "int", 1), "qformer_input_ids": question}


def _target(config: dict[str, Any]) -> Recipe:
    if not config.get("is_encoder_decoder"):
        return {}
    return {"decoder_input_ids": Input(TARGET, "int", _last_word(_part(config, INNER)))}


def _last_word(config: dict[str, Any]) -> int | None:
    vocabulary = _integer(config, "vocab_size")
    return None if vocabulary is None else vocabulary - 1


def _pixels(config: dict[str, Any]) -> Iterator[Input]:
    """One image for each text, or for each sample."""
    vision = _part(config, SEEING)
    channels = next((found for each in (config, vision) if (found := _integer(each, "num_channels"))), 3)
    size = _image(config.get("image_size", vision.get("image_size")))
    yield Input(("batch", channels, *size), "float")
    if vision is not config:
        yield Input(("batch", 1, channels, *size), "float")


def _image(size: Any) -> tuple[int, int]:
    """Height and width; 224 where the config has no size of its own, as processors do."""
    if isinstance(size, list | tuple) and len(size) == 2:
        return (int(size[0]), int(size[1]))
    return (size, size) if isinstance(size, int) else (224, 224)


def _sound(main: str, config: dict[str, Any]) -> Iterator[Input]:
    """Frames of a spectrum where the config says how wide one is, else samples."""
    own = _part(config, HEARING)
    wide = next((found for name in FRAMES for each in (config, own) if (found := _integer(each, name))), None)
    length = next((found for each in (config, own) if (found := _integer(each, "max_source_positions"))), None)
    per_channel, channels = _integer(config, "input_feat_per_channel"), _integer(config, "input_channels")
    if per_channel and channels:  # Speech2Text
        yield Input(("batch", "frames", per_channel * channels), "float")
    elif wide and _integer(config, "max_length") and main == "input_values":  # the spectrogram as a picture
        yield Input(("batch", config["max_length"], wide), "float")
    elif wide:
        yield Input(("batch", "frames", wide), "float")
        if length:  # Whisper: 30 seconds, halved by a convolution
            yield Input(("batch", wide, 2 * length), "float")
    if main == "input_values":
        yield Input(("batch", "samples"), "float")


def _part(config: dict[str, Any], names: Iterable[str]) -> dict[str, Any]:
    """The first of these inner configs; the config itself where it has none."""
    inner = (config[name] for name in names if isinstance(config.get(name), dict))
    return next(inner, config)


def _integer(config: dict[str, Any], name: str) -> int | None:
    value = config.get(name)
    return value if isinstance(value, int) and not isinstance(value, bool) else None
