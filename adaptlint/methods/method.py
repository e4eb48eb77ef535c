"""A method's card, read from its TOML table."""

from __future__ import annotations

from functools import cache
from typing import NamedTuple

from adaptlint import tables
from adaptlint.shapes import Signature


class TensorSpec(NamedTuple):
    """One tensor of a method: its name in the checkpoint and in the model, its signature, and its layer kinds."""

    saved: str
    key: str
    signature: Signature
    layers: frozenset[str]
    when: str  # the config field that switches it on; empty: always there


class Method(NamedTuple):
    """What one PEFT method adds to the modules it adapts."""

    peft_type: str
    prefix: str
    tensors: tuple[TensorSpec, ...]

    def tensors_for(self, kind: str, switched_on: frozenset[str]) -> tuple[TensorSpec, ...]:
        """The tensors that a layer of this kind gets, given the config fields that are switched on."""
        return tuple(t for t in self.tensors if kind in t.layers and (not t.when or t.when in switched_on))


@cache
def load_method(name: str) -> Method:
    """The card of `methods/<name>.toml`; KeyError for a method without one."""
    card = tables.load()[f"methods/{name}.toml"]
    specs = (
        TensorSpec(t["saved"], t["key"], Signature.parse(t["shape"]), frozenset(t["layers"]), t.get("when", ""))
        for t in card["tensor"]
    )
    return Method(card["peft_type"], card["prefix"], tuple(specs))
