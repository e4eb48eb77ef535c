"""A method's card, read from its TOML table."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from typing import Any, NamedTuple

from adaptlint import tables
from adaptlint.shapes import Signature


class TensorSpec(NamedTuple):
    """One tensor of a method: its name in the checkpoint and in the model, its signature, and its layer kinds."""

    saved: str
    key: str
    signature: Signature
    layers: frozenset[str]
    when: str = ""  # LoRA: the config field that switches it on; other methods: a formula; empty: always there
    repeat: str = ""  # the name of a count: {i} in the names goes from 0 up to it
    alias: bool = False  # a layer's view of a shared tensor: in the state dict, but nothing of its own


class Check(NamedTuple):
    """What a layer or a config refuses: a formula, the exception, and the field that is to blame."""

    when: str
    type: str
    match: str
    field: str
    layers: frozenset[str] = frozenset()  # empty: all


class Method(NamedTuple):
    """What one PEFT method adds to the modules it adapts; the fields are those of methods/<name>.toml.

    `root_checks` are asked once, before any layer is made. `sizes` are formulas that are worked out in order before the
    checks, `late_sizes` after them, `root_sizes` once. `patterns` names the fields whose keys give a size another value
    for some modules (`form`: how a key matches, `unless`: a field that switches them off), `matches` those that tell
    whether a module is meant. `shared` tensors exist once, at the model's root. `needs` maps a flag to what PEFT says
    when the shared tensors that it asks for are not in the file; `consumes` are endings of keys that PEFT takes out of
    the file by itself. `neutral` are the factors of each part of the update: a part is nothing if one of its factors
    is zero. `scale` is the field of another factor of all. `no_match` is what the method says by itself where no layer
    is found, `unknown` a formula for settings that are not followed, and `must_agree` names fields that all adapters
    of a model share, with what PEFT raises otherwise.
    """

    peft_type: str
    prefix: str
    tensors: tuple[TensorSpec, ...]
    config_class: str = ""
    config: Mapping[str, Any] = {}
    config_rules: tuple[str, ...] = ()
    config_checks: tuple[Check, ...] = ()
    required: Mapping[str, str] = {}
    refusal: Mapping[str, str] = {}
    skips_other_layers: bool = False
    checks_mamba: bool = False
    keeps_list: bool = False
    copies: str = ""
    infix: str = "base_layer"  # what stands between an adapted module's key and its own parameters
    adapts_attention: bool = False  # takes the top attention modules, whatever lies in them
    is_prompt: bool = False  # learns virtual tokens and adapts no module
    fills_cache: bool = False  # a prompt that goes into the key-value cache
    default_targets: str = ""  # the targets where neither the config nor the model type has any
    no_match: str = ""
    neutral: tuple[tuple[str, ...], ...] = ()
    made_again: tuple[str, ...] = ()  # frozen tensors that come out the same where the file lacks them
    scale: str = ""
    unknown: str = ""
    root_checks: tuple[Check, ...] = ()
    forward_checks: tuple[Check, ...] = ()  # what only a forward raises, asked of the config's values
    sizes: Mapping[str, str] = {}
    late_sizes: Mapping[str, str] = {}
    root_sizes: Mapping[str, str] = {}
    checks: tuple[Check, ...] = ()
    patterns: Mapping[str, Mapping[str, str]] = {}
    matches: Mapping[str, str] = {}
    shared: tuple[TensorSpec, ...] = ()
    needs: Mapping[str, str] = {}
    consumes: tuple[str, ...] = ()
    must_agree: Mapping[str, Mapping[str, str]] = {}

    def tensors_for(self, kind: str, switched_on: frozenset[str]) -> tuple[TensorSpec, ...]:
        """The tensors that a layer of this kind gets, given the config fields that are switched on."""
        return tuple(t for t in self.tensors if kind in t.layers and (not t.when or t.when in switched_on))

    @property
    def layers(self) -> frozenset[str]:
        """The kinds of layers that the method can adapt."""
        return frozenset(kind for spec in self.tensors for kind in spec.layers)


def has_method(name: str) -> bool:
    """True if the method of that peft_type has a card."""
    return name.isupper() and f"methods/{name.lower()}.toml" in tables.load()


@cache
def load_method(name: str) -> Method:
    """The card of `methods/<name>.toml`; KeyError for a method without one."""
    card = dict(tables.load()[f"methods/{name.lower()}.toml"])
    tensors = tuple(_tensor(row, row["layers"]) for row in card.pop("tensor", ()))
    shared = tuple(_tensor(row, ()) for row in card.pop("shared", ()))
    checks = tuple(_check(row) for row in card.pop("check", ()))
    config_checks = tuple(_check(row) for row in card.pop("config_check", ()))
    root_checks = tuple(_check(row) for row in card.pop("root_check", ()))
    card["forward_checks"] = tuple(_check(row) for row in card.pop("forward_check", ()))
    for field in ("config_rules", "consumes", "made_again"):
        card[field] = tuple(card.get(field, ()))
    neutral = card.get("neutral", ())
    card["neutral"] = tuple(
        tuple(part) for part in (neutral if neutral and isinstance(neutral[0], list) else [neutral])
    )
    card.update(tensors=tensors, shared=shared, checks=checks, config_checks=config_checks, root_checks=root_checks)
    return Method(**card)


def _tensor(row: Mapping[str, Any], layers: Any) -> TensorSpec:
    saved = row["saved"]
    first, dot, rest = saved.partition(".")
    key = row.get("key", f"{first}.{{adapter}}{dot}{rest}")
    signature = Signature.parse(row["shape"])
    options = {name: row[name] for name in ("when", "repeat", "alias") if name in row}
    return TensorSpec(saved, key, signature, frozenset(layers), **options)


def _check(row: Mapping[str, Any]) -> Check:
    return Check(row["when"], row["type"], row["match"], row["field"], frozenset(row.get("layers", ())))
