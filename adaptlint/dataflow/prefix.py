"""A forward behind a prefix: keys and values of earlier positions that are handed in, as prefix tuning does.

PEFT 0.21, peft_model.py, get_prompt: one (batch, heads, virtual tokens, head size) pair for each layer, in a
DynamicCache, for encoder-decoders in the self-attention half of an EncoderDecoderCache; the mask gets as many columns.
"""

from __future__ import annotations

from adaptlint.dataflow.inputs import Input
from adaptlint.hints import Any

PREFIX = "prefix"
SIDES = ("key", "value")


class NoCacheError(Exception):
    """The model keeps no keys and values that a prefix could go into; the text says what it keeps."""


def prefixed(inputs: dict[str, Input], cache: Any, batch: int) -> dict[str, Input]:
    """The inputs with a mask that covers the prefix, and a pair for each layer. Raises NoCacheError.

    Heads and head sizes are those of `cache`, which a forward of the model with so many rows has returned.
    """
    cache = getattr(cache, "self_attention_cache", cache)
    found = dict(inputs)
    decoder = "decoder_input_ids" in inputs
    if not decoder and "attention_mask" in inputs:
        mask = inputs["attention_mask"]
        found["attention_mask"] = mask._replace(axes=(mask.axes[0], f"{PREFIX} + {mask.axes[1]}"))
    for index, layer in enumerate(getattr(cache, "layers", ())):
        for side in SIDES:
            shape = tuple(map(int, getattr(getattr(layer, f"{side}s", None), "shape", ())))
            if len(shape) != 4 or shape[0] != batch:
                raise NoCacheError(f"layer {index} keeps no keys and values in four axes")
            found[f"past.{index}.{side}"] = Input(("batch", shape[1], PREFIX, shape[3]), "float")
    if len(found) == len(inputs):
        raise NoCacheError("it returns no cache of layers")
    return found


def handed_in(given: dict[str, Any]) -> dict[str, Any]:
    """The arguments of the forward, with the pairs put into the cache that PEFT makes of them."""
    from transformers import DynamicCache, EncoderDecoderCache

    plain = {name: tensor for name, tensor in given.items() if not name.startswith("past.")}
    layers = (len(given) - len(plain)) // 2
    pairs = [tuple(given[f"past.{index}.{side}"] for side in SIDES) for index in range(layers)]
    cache = DynamicCache(pairs)
    if "decoder_input_ids" in plain:
        cache = EncoderDecoderCache(cache, DynamicCache())
    return {**plain, "past_key_values": cache}
