"""Layers of AdapterHub that know no composition: they take the first adapter that is named, for all rows.

Facts: adapters 1.0.0 to 1.3.0, methods/{reft,prompt_tuning,invertible}.py (`first`), utils.py (`prefix_attention_mask`).
"""

from __future__ import annotations

from collections.abc import Mapping

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
    """`InvertibleAdapterLayer.forward`."""
    first = setup.first
    return mapped(lambda held: made_by(first, "coupled", held), hidden) if first in adapters else hidden
