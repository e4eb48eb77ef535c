"""Attention in one call: torch's own, and the kernels that need not be installed."""

from __future__ import annotations

from typing import Any

from adaptlint.dataflow.operations.dims import broadcast, clash, fits_into, replaced
from adaptlint.dataflow.operations.matmul import matmul, one_kind
from adaptlint.dataflow.value import Unknown, Value


def scaled_dot_product_attention(
    query: Value,
    key: Value,
    value: Value,
    attn_mask: Any = None,
    dropout_p: Any = 0.0,
    is_causal: Any = False,
    scale: Any = None,
    enable_gqa: Any = False,
) -> Value:
    """Scores of every query with every key, of which the mask may hide some; axes before them stretch."""
    shapes = (query.shape, key.shape, value.shape)
    if min(len(shape) for shape in shapes) < 2:
        raise clash("rank", *shapes, more="need at least 2 axes")
    if enable_gqa:
        key, value = shared(query, key), shared(query, value)
    turned = Value((*key.shape[:-2], key.shape[-1], key.shape[-2]), key.kind)
    one_kind(query, key, value)
    if query.shape[-1] != key.shape[-1] or key.shape[-2] != value.shape[-2]:
        raise clash("attention-sizes", *shapes)
    scores = matmul(query, turned)
    if isinstance(attn_mask, Value):
        if is_causal:
            raise clash("mask-and-causal", scores.shape, attn_mask.shape)
        fits_into(attn_mask.shape, scores.shape)
    return matmul(scores, value)


def shared(query: Value, states: Value) -> Value:
    """Keys or values whose heads serve several query heads each."""
    if len(query.shape) < 3 or len(states.shape) < 3:
        raise clash("rank", query.shape, states.shape, more="need heads")
    heads, own = query.shape[-3], states.shape[-3]
    if not own or heads % own:
        raise clash("head-count", query.shape, states.shape)
    return states._replace(shape=replaced(states.shape, len(states.shape) - 3, heads))


def kernel(query: Value, key: Value, value: Value) -> Value:
    """What both kernels ask of heads and sizes; heads come out behind the positions."""
    shapes = (query.shape, key.shape, value.shape)
    if any(len(shape) != 4 for shape in shapes):
        raise clash("rank", *shapes, more="need batch, heads, positions and head size")
    if key.shape[:3] != value.shape[:3] or query.shape[3] != key.shape[3]:
        raise clash("attention-sizes", *shapes)
    if not key.shape[1] or query.shape[1] % key.shape[1]:
        raise clash("head-count", *shapes)
    return Value((query.shape[0], query.shape[2], query.shape[1], value.shape[3]), query.kind)


def flash(query: Value, key: Value, value: Value, attention_mask: Any = None) -> Value:
    """`attn_flash`: equal batches; a mask has a row for each and reaches over all keys."""
    result = kernel(query, key, value)
    if query.shape[0] != key.shape[0]:
        raise clash("attention-batch", query.shape, key.shape, value.shape)
    if isinstance(attention_mask, Value):
        mask = attention_mask.shape
        if len(mask) != 2 or mask[0] != query.shape[0] or mask[1] < key.shape[2]:
            raise clash("mask-size", mask, key.shape)
    return result


def flex(query: Value, key: Value, value: Value, block_mask: Any = None) -> Value:
    """`attn_flex`: the keys' batch may be one; a block mask's batch and heads may be, its lengths are those of both."""
    result = kernel(query, key, value)
    if key.shape[0] not in (1, query.shape[0]):
        raise clash("attention-batch", query.shape, key.shape, value.shape)
    if isinstance(block_mask, Value):
        if len(block_mask.shape) != 4:
            raise Unknown(f"a block mask of {len(block_mask.shape)} axes")
        lengths = (query.shape[0], query.shape[1], query.shape[2], key.shape[2])
        if block_mask.shape[2:] != lengths[2:] or broadcast(block_mask.shape, lengths) != lengths:
            raise clash("mask-size", block_mask.shape, query.shape, key.shape)
    return result


RULES: dict[str, Any] = {
    "attn_flash": flash,
    "attn_flex": flex,
    "scaled_dot_product_attention": scaled_dot_product_attention,
}
