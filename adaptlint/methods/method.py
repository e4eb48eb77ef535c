"""A method's card, read from its TOML table."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache

from adaptlint import tables
from adaptlint.hints import Any
from adaptlint.named_tuple import NamedTuple
from adaptlint.shapes import Signature

Version = tuple[int, ...]
PEFT_PREFIX = "base_model.model."  # PEFT's wrappers, before the base's own path in every key of a checkpoint
NEWEST: Version = (1_000_000,)  # what is read without a release in mind is read as the newest release has it
ROWS = ("tensor", "shared", "check", "config_check", "root_check", "forward_check")


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
    the file by itself, `integers` parts of the keys of tensors that hold whole numbers. `neutral` are the factors of
    each part of the update: a part is nothing if one of its factors is zero; where the name of some ends in {i}, each
    number is a part, and the other factors act in all of them. `scale` is the field of another factor of all, `scaling`
    its formula where it is not the field as it stands. `no_match` is what the method says by itself where no layer is
    found, `unknown` a formula for settings that are not followed, and `must_agree` names fields that
    all adapters of a model share, with what PEFT raises otherwise. `fixed` are fields that the config's class sets
    whatever the file says, `one_size` is what the method says to targets of several sizes, `own_bias` the value of
    `bias` that means the adapted modules' own, and with `skips_task_check` its config does not ask what task_type is.

    A card speaks of every release: rows with `since` or `until` stand for the releases from the one on and before the
    other, and `[[earlier]]` has what the card's head said before `until` (`defaults` and `nulls` are of config fields).
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
    merging: Mapping[str, str] = {}  # the exception of merge_and_unload, for methods that cannot be merged
    refusal_without_bias: Mapping[str, str] = {}
    skips_other_layers: bool = False
    checks_mamba: bool = False
    keeps_list: bool = False
    copies: str = ""
    infix: str = "base_layer"  # what stands between an adapted module's key and its own parameters
    adapts_attention: bool = False  # takes the top attention modules, whatever lies in them
    shared_state: bool = False  # needs PEFT's own model around the base, which transformers' load_adapter does not make
    adapts_blocks: bool = False  # wraps whole decoder blocks, whatever their class
    mixes_experts: bool = False  # loads LoRA adapters of its own, and learns how to mix them
    takes_any_shape: bool = False  # the loader replaces a parameter by one of the file's shape
    is_prompt: bool = False  # learns virtual tokens and adapts no module
    fills_cache: bool = False  # a prompt that goes into the key-value cache
    default_targets: str = ""  # the targets where neither the config nor the model type has any
    no_match: str = ""
    neutral: tuple[tuple[str, ...], ...] = ()
    made_again: tuple[str, ...] = ()  # frozen tensors that come out the same where the file lacks them
    scale: str = ""
    scaling: str = ""
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
    needs: Mapping[str, Mapping[str, str]] = {}
    consumes: tuple[str, ...] = ()
    integers: tuple[str, ...] = ()
    must_agree: Mapping[str, Mapping[str, str]] = {}
    fixed: Mapping[str, Any] = {}
    one_size: str = ""
    own_bias: str = "lora_only"
    skips_task_check: bool = False

    def tensors_for(self, kind: str, switched_on: frozenset[str]) -> tuple[TensorSpec, ...]:
        """The tensors that a layer of this kind gets, given the config fields that are switched on."""
        return tuple(t for t in self.tensors if kind in t.layers and (not t.when or t.when in switched_on))

    @property
    def adapts_modules(self) -> bool:
        """True for methods whose tensors sit at single modules, under the adapter's name."""
        return not self.is_prompt and not self.adapts_attention

    @property
    def layers(self) -> frozenset[str]:
        """The kinds of layers that the method can adapt."""
        return frozenset(kind for spec in self.tensors for kind in spec.layers)


def has_method(name: str) -> bool:
    """True if the method of that peft_type has a card."""
    return name.isupper() and f"methods/{name.lower()}.toml" in tables.load()


@cache
def load_method(name: str, version: Version = NEWEST) -> Method:
    """The card of `methods/<name>.toml` as it is for one release; KeyError for a method without one."""
    card = dict(tables.load()[f"methods/{name.lower()}.toml"])
    earlier = [row for row in card.pop("earlier", ()) if _holds(row, version)]
    for row in reversed(earlier):  # the oldest that holds is written last, and wins
        own = {field: value for field, value in row.items() if field not in ("until", "defaults", "nulls")}
        card = {**card, **own, "config": _earlier_config(card.get("config", {}), row)}
    rows = {field: [row for row in card.pop(field, ()) if _holds(row, version)] for field in ROWS}
    tensors = tuple(_tensor(row, row["layers"]) for row in rows["tensor"])
    shared = tuple(_tensor(row, ()) for row in rows["shared"])
    checks = tuple(_check(row) for row in rows["check"])
    config_checks = tuple(_check(row) for row in rows["config_check"])
    rules = (rule if isinstance(rule, dict) else {"name": rule} for rule in card.pop("config_rules", ()))
    card["config_rules"] = tuple(rule["name"] for rule in rules if _holds(rule, version))
    root_checks = tuple(_check(row) for row in rows["root_check"])
    card["forward_checks"] = tuple(_check(row) for row in rows["forward_check"])
    for field in ("consumes", "integers", "made_again"):
        card[field] = tuple(card.get(field, ()))
    neutral = card.get("neutral", ())
    parts = neutral if neutral and isinstance(neutral[0], list) else [neutral]
    card["neutral"] = tuple(tuple(part) for part in parts if part)
    card.update(tensors=tensors, shared=shared, checks=checks, config_checks=config_checks, root_checks=root_checks)
    return Method(**card)


def _earlier_config(config: Mapping[str, Any], row: Mapping[str, Any]) -> dict[str, Any]:
    """The config's fields with the defaults that they had."""
    defaults = {**config.get("defaults", {}), **row.get("defaults", {})}
    nulls = row.get("nulls", ())
    known = {field: value for field, value in defaults.items() if field not in nulls}
    return {**config, "none": [*config.get("none", ()), *nulls], "defaults": known}


def _holds(row: Mapping[str, Any], version: Version) -> bool:
    """True for a row of the releases from its `since` on and before its `until`."""
    started = "since" not in row or version >= _numbers(row["since"])
    return started and not ("until" in row and version >= _numbers(row["until"]))


def _numbers(release: str) -> Version:
    return tuple(int(part) for part in release.split("."))


def _tensor(row: Mapping[str, Any], layers: Any) -> TensorSpec:
    saved = row["saved"]
    first, dot, rest = saved.partition(".")
    key = row.get("key", f"{first}.{{adapter}}{dot}{rest}")
    signature = Signature.parse(row["shape"])
    options = {name: row[name] for name in ("when", "repeat", "alias") if name in row}
    return TensorSpec(saved, key, signature, frozenset(layers), **options)


def _check(row: Mapping[str, Any]) -> Check:
    return Check(row["when"], row["type"], row["match"], row["field"], frozenset(row.get("layers", ())))
