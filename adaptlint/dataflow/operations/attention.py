"""Attention in one call: torch's own, and the kernels that need not be installed."""

from __future__ import annotations

from adaptlint.dataflow.operations.dims import clash, fits_into, replaced
from adaptlint.dataflow.operations.matmul import matmul, one_kind
from adaptlint.dataflow.value import Shape, Unknown, Value
from adaptlint.hints import Any


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


def multi_head(
    query: Value,
    key: Value,
    value: Value,
    embed_dim_to_check: Any,
    num_heads: Any,
    in_proj_weight: Any,
    in_proj_bias: Any,
    bias_k: Any,
    bias_v: Any,
    add_zero_attn: Any,
    dropout_p: Any,
    out_proj_weight: Any,
    out_proj_bias: Any,
    training: Any = True,
    key_padding_mask: Any = None,
    need_weights: Any = True,
    attn_mask: Any = None,
    use_separate_proj_weight: Any = False,
    average_attn_weights: Any = True,
    **options: Any,
) -> tuple[Value, ...]:
    """`multi_head_attention_forward`, torch's own layer: positions, batch, width (torch 2.13, nn/functional.py)."""
    more = (bias_k, bias_v, *(options.get(name) for name in ("static_k", "static_v")))
    if add_zero_attn or any(isinstance(one, Value) for one in more):
        raise Unknown("attention with keys of its own")
    width = several_heads(query, key, value, num_heads, attn_mask, key_padding_mask)
    if width != embed_dim_to_check:
        raise clash("attention-sizes", query.shape, more=f"of width {embed_dim_to_check}")
    apart = [options.get(f"{name}_proj_weight") for name in "qkv"] if use_separate_proj_weight else []
    square = all(isinstance(one, Value) and one.shape == (width, width) for one in apart)
    if not (square if apart else in_proj_weight.shape == (3 * width, width)) or out_proj_weight.shape[-1:] != (width,):
        raise Unknown("projections of other widths")
    queries, batch, keys = *query.shape[:2], key.shape[0]
    result = Value((queries, batch, out_proj_weight.shape[0]), one_kind(query, key, value))
    scores = (batch, queries, keys) if average_attn_weights else (batch, num_heads, queries, keys)
    return (result, Value(scores, result.kind)) if need_weights else (result,)


def several_heads(query: Value, key: Value, value: Value, heads: int, mask: Any, padding: Any) -> int:
    """Checks sizes and masks of torch's own layer; the width of what it is given."""
    shapes = (query.shape, key.shape, value.shape)
    if any(len(shape) != 3 for shape in shapes):
        raise Unknown("attention without a batch")
    (queries, batch, width), keys = query.shape, key.shape[0]
    if key.shape != value.shape or (batch, width) != key.shape[1:]:
        raise clash("attention-sizes", *shapes)
    if width % heads:
        raise clash("head-count", query.shape, more=f"{heads} heads")
    if isinstance(padding, Value) and padding.shape != (batch, keys):
        raise clash("mask-size", padding.shape, *shapes)
    if isinstance(mask, Value) and mask.shape not in ((queries, keys), (batch * heads, queries, keys)):
        raise clash("mask-size", mask.shape, *shapes)
    return width


def flash(query: Value, key: Value, value: Value, attention_mask: Any = None, query_length: Any = None) -> Value:
    """`_flash_attention_forward`: batch, positions, heads, head size, all of one size for keys and values.

    Without a mask the kernel sees whole batches (flash-attn 2.8, flash_api.cpp, `mha_fwd`). With one, transformers
    5.23 (modeling_flash_attention_utils.py, `_upad_input`) picks the rows that it names from all positions in a row.
    """
    shapes = (query.shape, key.shape, value.shape)
    if any(len(shape) != 4 for shape in shapes):
        raise clash("rank", *shapes, more="need batch, positions, heads and head size")
    if not isinstance(query_length, int) or query_length != query.shape[1]:
        raise Unknown(f"{query_length} queries told, {query.shape[1]} given")
    if key.shape != value.shape or query.shape[3] != key.shape[3]:
        raise clash("attention-sizes", *shapes)
    if not key.shape[2] or query.shape[2] % key.shape[2]:
        raise clash("head-count", *shapes)
    if isinstance(attention_mask, Value):
        unpadded(query.shape, key.shape, attention_mask.shape)
    elif query.shape[0] != key.shape[0]:
        raise clash("attention-batch", *shapes)
    return Value(query.shape, query.kind)


def unpadded(query: Shape, key: Shape, mask: Shape) -> None:
    """Checks that every place that a mask names is one of the queries and of the keys."""
    if len(mask) != 2:
        raise clash("mask-size", mask, key, more="needs a row for each sequence")
    if mask[0] > min(query[0], key[0]):
        raise clash("mask-size", mask, query, key, more="more rows than sequences")
    if query[0] != key[0] or mask[1] != key[1]:
        raise Unknown("a mask that does not tell each key, or keys of another batch")
    if query[1] == 1 != key[1] and mask[0] != key[0]:
        raise clash("mask-size", mask, query, key, more="one query for each row")


def flex(
    query: Value, key: Value, value: Value, block_mask: Any = None, *, enable_gqa: Any = False
) -> tuple[Value, Value]:
    """`flex_attention` and the sums of its scores: torch 2.13, nn/attention/flex_attention.py.

    Batches differ only where the keys' is one and a block mask has the queries'.
    """
    shapes = (query.shape, key.shape, value.shape)
    if any(len(shape) != 4 for shape in shapes):
        raise clash("rank", *shapes, more="need batch, heads, positions and head size")
    if key.shape[:3] != value.shape[:3] or query.shape[3] != key.shape[3]:
        raise clash("attention-sizes", *shapes)
    heads, own = query.shape[1], key.shape[1]
    if not own or (heads % own if enable_gqa else heads != own):
        raise clash("head-count", *shapes)
    masked = isinstance(block_mask, Value)
    if query.shape[0] != key.shape[0] and (key.shape[0] != 1 or not masked or block_mask.shape[0] != query.shape[0]):
        raise clash("attention-batch", *shapes)
    if masked:
        blocks(query.shape, key.shape, block_mask.shape)
    return Value((*query.shape[:3], value.shape[3]), query.kind), Value(query.shape[:3])


def blocks(query: Shape, key: Shape, mask: Shape) -> None:
    """Checks a block mask's lengths; of its batch and heads the kernel takes what is left of a division."""
    if len(mask) != 4:
        raise Unknown(f"a block mask of {len(mask)} axes")
    if mask[2:] != (query[2], key[2]):
        raise clash("mask-size", mask, query, key)
    if mask[0] not in (1, query[0]) or mask[1] not in (1, query[1]):
        raise Unknown("a block mask of another batch or of other heads")


RULES: dict[str, Any] = {
    "flash_attention": flash,
    "flex_attention": flex,
    "multi_head_attention_forward": multi_head,
    "scaled_dot_product_attention": scaled_dot_product_attention,
}
