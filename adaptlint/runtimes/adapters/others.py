"""Layers of AdapterHub that know no composition, and what makes one tensor as many rows as another.

The layers take the first adapter that is named, for all rows.

Facts: adapters 0.2.2 to 1.3.0, methods/{reft,prompt_tuning,invertible}.py (`first`), utils.py
(`prefix_attention_mask`), composition.py (`adjust_tensors_for_parallel`, `match_attn_matrices_for_parallel`).
"""

from __future__ import annotations

from collections.abc import Mapping

from adaptlint.dataflow.value import Value
from adaptlint.hints import Any
from adaptlint.runtimes.adapters.composition import Block
from adaptlint.runtimes.adapters.layers import Config, Context
from adaptlint.runtimes.adapters.numbers import made_by
from adaptlint.runtimes.adapters.rows import Raised, Rows, Shape, mapped, stretched


def reft(setup: Block, adapters: Mapping[str, Config], context: Context, hidden: Rows) -> Rows:
    """`ReftLayer.forward`. Raises Raised."""
    first = setup.first
    if first not in adapters:
        return hidden
    config = adapters[first]
    if context.masked and (config["prefix_positions"] > 0 or config["suffix_positions"] > 0):
        stretched((context.batch, 1, 1), hidden.shape)  # where each row's text begins and ends, of the caller's rows
    return mapped(lambda held: made_by(first, "reft", held), hidden)


def prompt(setup: Block, adapters: Mapping[str, Config], context: Context, hidden: Rows) -> Rows:
    """`PromptTuningLayer.forward`: the sequence grows, and the context keeps by how much."""
    first = setup.first
    if first not in adapters:
        return hidden
    context.prompt = adapters[first]["prompt_length"]
    shape = (hidden.shape[0], hidden.shape[1] + context.prompt, *hidden.shape[2:])
    return mapped(lambda held: made_by(first, "prompt", held), hidden, shape)


def prompt_mask(mask: Shape, axes: list[int], context: Context) -> Shape:
    """`prefix_attention_mask`: as many more places on these axes. Raises Raised."""
    if not context.prompt:
        return mask
    grown = list(mask)
    for axis in axes:
        if axis >= len(grown):
            raise Raised("IndexError", "list assignment index out of range")
        grown[axis] += context.prompt
    return tuple(grown)


def invertible(setup: Block, adapters: Mapping[str, Config], hidden: Rows) -> Rows:
    """`InvertibleAdapterLayer.forward`. Raises Raised.

    GLOWCouplingBlock.forward takes the halves of what its network gives from the axis of positions, so that the whole
    width meets half of it (methods/modeling.py, adapters 0.2.2 to 1.3.0).
    """
    first = setup.first
    if first not in adapters:
        return hidden
    right = hidden.shape[-1] - hidden.shape[-1] // 2
    if adapters[first]["inv_adapter"] == "glow" and right > 1:
        sides = f"The size of tensor a ({2 * right}) must match the size of tensor b ({right})"
        raise Raised("RuntimeError", f"{sides} at non-singleton dimension 2")
    return mapped(lambda held: made_by(first, "coupled", held), hidden)


def matched(args: list[Any]) -> tuple[Value, ...]:
    """`match_attn_matrices_for_parallel`. Raises Raised."""
    most = max(value.shape[0] for value in args)
    return tuple(_repeated(value, most) for value in args)


def adjusted(args: list[Any]) -> tuple[Value, ...]:
    """`adjust_tensors_for_parallel`; what is not there stays so. Raises Raised."""
    most = args[0].shape[0]
    return tuple(_repeated(value, most) if value.shape[0] < most else value for value in args[1:] if value is not None)


PAIRED = {"hub.match": matched, "hub.adjust": adjusted}


def kept(args: list[Any]) -> tuple[Value, ...]:
    """Keys, values and, where there is one, the mask of a prefix's layer that has no prefix."""
    return tuple(args[at] for at in (0, 1, 3) if at < len(args) and args[at] is not None)


def _repeated(value: Value, rows: int) -> Value:
    if not value.shape[0]:
        raise Raised("ZeroDivisionError", "integer division or modulo by zero")
    return value._replace(shape=(rows // value.shape[0] * value.shape[0], *value.shape[1:]))
