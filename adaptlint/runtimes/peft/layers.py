"""Putting LoRA on one module: what PEFT's layer classes refuse, and the parameters they make."""

from __future__ import annotations

import math

from adaptlint.bases import Module
from adaptlint.hints import Any
from adaptlint.methods import Method, load_method
from adaptlint.runtimes.peft.refusal import NotModelled, Refusal, as_python_does
from adaptlint.runtimes.peft.settings import Settings
from adaptlint.runtimes.peft.variants import BLOCKED, blocked, blocks_of, check_variant, extra_sizes
from adaptlint.runtimes.peft.wrapped import Applied, Shape

CONVOLUTIONS = ("Conv1d", "Conv2d", "Conv3d")
SUPPORTED = ("Linear", "Conv1D", "Embedding", *CONVOLUTIONS)
SCALED_EMBEDDING = "ScaledWordEmbedding"  # subclasses that take token ids; position tables take masks or lengths
SWITCHES = ("lora_bias", "use_dora")
VARIANT_TENSORS = ("kasa_config", "velora_config", "monteclora_config")
MAGNITUDE = "lora_magnitude_vector"
SAMPLER = "lora_monteclora_sampler"


def pattern_value(settings: Settings, field: str, key: str, default: str) -> Any:
    """`get_pattern_key` with its lookup: the first pattern that matches the module, else the global value."""
    if settings[field] == {}:
        return settings[default]
    release = settings.release
    fields = ("rank_pattern", "alpha_pattern") if release.one_pattern_key_for_both else (field,)
    for name in fields:
        patterns = settings.pattern_keys(name)
        found = patterns.first(key)
        if found is not None:
            return settings[field].get(patterns.keys[found], settings[default])
    return settings[field].get(key, settings[default])


class Layers:
    """Makes the LoRA layers of one adapter; equal layers (a base has few different ones) are worked out once."""

    __slots__ = ("adapter", "blocked", "known", "low_memory", "settings", "uniform")

    def __init__(self, settings: Settings, adapter: str, low_memory: bool) -> None:
        self.settings = settings
        self.adapter = adapter
        self.low_memory = low_memory
        self.known: dict[tuple[object, ...], Applied] = {}
        self.uniform = settings["rank_pattern"] == {} and settings["alpha_pattern"] == {}
        self.blocked = settings[BLOCKED] is not None

    def shared(self) -> list[tuple[str, str, Shape]]:
        """LoRA keeps nothing at the model's root."""
        return []

    def apply(self, module: Module) -> Applied:
        """The parameters that LoRA adds to a module; Refusal or NotModelled where PEFT's layer refuses."""
        key: tuple[object, ...] = (module.cls, module.params.get("weight"), module.attrs.get("groups"))
        if self.blocked:
            key = (*key, *blocks_of(self.settings, module.path))
        if self.uniform and key in self.known:
            return self.known[key]
        rank = pattern_value(self.settings, "rank_pattern", module.path, "r")
        alpha = pattern_value(self.settings, "alpha_pattern", module.path, "lora_alpha")
        key = key if self.uniform else (*key, str(rank), str(alpha))
        applied = self.known.get(key)
        if applied is None:
            applied = apply_to_module(self.settings, self.adapter, module, rank, alpha, self.low_memory)
            self.known[key] = applied
        return applied


def is_other_embedding(module: Module) -> bool:
    """True for tables that are asked for something else than rows by token, such as positions."""
    return module.kind == "Embedding" and module.cls != module.kind and not module.cls.endswith(SCALED_EMBEDDING)


def apply_to_module(
    settings: Settings, adapter: str, module: Module, rank: Any, alpha: Any, low_memory: bool
) -> Applied:
    """`LoraModel._create_and_replace` for a module: Refusal where PEFT's layer refuses, else its parameters."""
    kind, path = module.kind, module.path
    if kind == "MultiheadAttention":
        raise NotModelled("layer-not-modelled", at=settings.where("target_modules"), module=path, facts={"kind": kind})
    if is_other_embedding(module):
        raise NotModelled(
            "layer-not-modelled", at=settings.where("target_modules"), module=path, facts={"kind": module.cls}
        )
    if kind not in SUPPORTED or not _known_kind(settings, kind):
        raise unsupported(settings, module.cls, module.path)
    _check_method(settings, module)
    check_variant(settings, module)
    sizes = feature_sizes(module)
    if kind in CONVOLUTIONS:
        _check_groups(settings, module, rank)
    if kind == "Embedding" and settings["lora_bias"]:
        match = f"lora_bias={settings['lora_bias']} is not supported for Embedding."
        raise Refusal(
            "ValueError", match, "config-value-impossible", at=settings.where("lora_bias"), facts={"field": "lora_bias"}
        )
    scale = check_rank_and_scale(settings, adapter, path, rank, alpha)
    _check_initialisation(settings, module, rank, low_memory)
    applied = made(settings, adapter, kind, *decomposed(settings, kind, rank, sizes), scale)
    if low_memory and settings["monteclora_config"] is not None:  # its sampler is not made on the meta device
        applied = applied._replace(tensors=tuple(row for row in applied.tensors if SAMPLER not in row[0]))
    return blocked(settings, path, applied._replace(rank=rank))


def _known_kind(settings: Settings, kind: str) -> bool:
    """False for convolutions that the release could not adapt yet."""
    release = settings.release
    return not (kind == "Conv1d" and not release.adapts_conv1d) and not (kind == "Conv3d" and not release.adapts_conv3d)


def _check_method(settings: Settings, module: Module) -> None:
    """Combinations of DoRA, groups and layers that older releases refuse, or do in a way that is not modelled."""
    release, path = settings.release, module.path
    if settings["use_dora"] and module.kind == "Embedding" and not release.dora_on_embeddings:
        match, at = "Embedding does not support DoRA yet, please set it to False", settings.where("use_dora")
        raise Refusal("ValueError", match, "config-value-impossible", at=at, module=path, facts={"field": "use_dora"})
    grouped = module.attrs.get("groups", 1) != 1 and not release.knows_groups
    early = bool(settings["use_dora"]) and not release.magnitude_is_module
    if module.kind in CONVOLUTIONS and (grouped or early):
        at = settings.where("target_modules")
        raise NotModelled("layer-not-modelled", at=at, module=path, facts={"kind": module.kind})


def decomposed(settings: Settings, kind: str, rank: int, sizes: dict[str, Any]) -> tuple[int, dict[str, Any]]:
    """Rank and sizes after PiSSA and OLoRA put factors of the base weight in place of A and B.

    A decomposition has no more than min(in, out) components; OLoRA takes Conv1D's weight as it is stored, [in, out],
    so that its factors are exchanged (PEFT 0.21.2, olora_init: saved like that, and no forward can use them).
    """
    init = settings["init_lora_weights"]
    text = init if isinstance(init, str) and kind in ("Linear", "Conv1D") else ""
    text = text if knows_initialisation(settings, text) else ""
    if text.lower() == "olora" and kind == "Conv1D":
        sizes = {"in": sizes["out"], "out": sizes["in"]}
    if text.startswith("pissa") or text.lower() == "olora":
        rank = min(rank, sizes["in"], sizes["out"])
    return rank, sizes


def switched_on(settings: Settings) -> frozenset[str]:
    """The config fields that give a layer further tensors."""
    fields = [field for field in SWITCHES if settings[field]]
    return frozenset(fields + [field for field in VARIANT_TENSORS if settings[field] is not None])


def made(settings: Settings, adapter: str, kind: str, rank: int, sizes: dict[str, Any], scale: float) -> Applied:
    """The parameters of a layer of this kind, from the method's signatures."""
    method: Method = load_method("lora")
    bound = sizes | {"r": int(rank)} | extra_sizes(settings, sizes)
    tensors = tuple(
        (spec.key.replace("{adapter}", adapter), spec.saved, spec.signature.shape(bound))
        for spec in method.tensors_for(kind, switched_on(settings))
    )
    if settings["use_dora"] and not settings.release.magnitude_is_module:
        tensors = tuple(
            (key.removesuffix(".weight") if MAGNITUDE in key else key, saved, shape) for key, saved, shape in tensors
        )
    return Applied(int(rank), scale, tensors)


def feature_sizes(module: Module) -> dict[str, Any]:
    """`_get_in_out_features` (tuners_utils.py): in, out, groups, kernel and ones of a layer."""
    weight = module.params.get("weight", (0, 0))
    if module.kind in CONVOLUTIONS:
        groups = int(module.attrs.get("groups", 1))
        kernel = weight[2:]
        ones = (1,) * len(kernel)
        return {"in": weight[1] * groups, "out": weight[0], "groups": groups, "kernel": kernel, "ones": ones}
    if module.kind == "Linear":
        return {"in": weight[1], "out": weight[0]}
    return {"in": weight[0], "out": weight[1]}


def check_rank_and_scale(settings: Settings, adapter: str, path: str, rank: Any, alpha: Any) -> float:
    """The order of `LoraLayer.update_layer`: rank, dropout, the adapter's name, sizes, scale."""
    at = settings.where("r")
    if as_python_does(lambda: rank <= 0, "rank-impossible", at, "r"):
        if not settings.release.checks_rank:
            raise NotModelled("layer-not-modelled", at=at, module=path, facts={"r": str(rank)})
        match = f"`r` should be a positive integer value but the value passed is {rank}"
        raise Refusal("ValueError", match, "rank-impossible", at=at, module=path, facts={"field": "r", "value": rank})
    dropout = settings["lora_dropout"]
    where = settings.where("lora_dropout")
    if as_python_does(lambda: dropout > 0.0, "config-value-impossible", where, "lora_dropout") and dropout > 1:
        match = f"dropout probability has to be between 0 and 1, but got {dropout}"
        facts = {"field": "lora_dropout"}
        raise Refusal("ValueError", match, "config-value-impossible", at=where, facts=facts)
    check_name(adapter)
    if type(rank) is not int:  # torch takes no bool for a size
        match = "empty(): argument 'size'"
        raise Refusal("TypeError", match, "rank-impossible", at=at, module=path, facts={"field": "r", "value": rank})
    divisor = math.sqrt(rank) if settings["use_rslora"] else rank
    at = settings.where("lora_alpha")
    return as_python_does(lambda: float(alpha / divisor), "config-value-impossible", at, "lora_alpha")


def check_name(adapter: str) -> None:
    """`torch.nn.Module.add_module`: an adapter's name is the name of a submodule."""
    if "." in adapter:
        match = f't contain ".", got: {adapter}'
    elif not adapter:
        match = 't be empty string ""'
    else:
        return
    raise Refusal("KeyError", match, "adapter-name-impossible", facts={"name": adapter})


def unsupported(settings: Settings, cls: str, path: str) -> Refusal:
    """PEFT's refusal of a target whose class, `cls`, no LoRA layer can wrap."""
    return Refusal(
        "ValueError",
        f"Target module {cls}(",
        "layer-not-supported",
        at=settings.where("target_modules"),
        module=path,
        facts={"class": cls},
    )


def _check_groups(settings: Settings, module: Module, rank: Any) -> None:
    groups = int(module.attrs.get("groups", 1))
    if as_python_does(lambda: rank % groups, "rank-impossible", settings.where("r"), "r"):
        match = f"Targeting a {module.cls} with groups={groups} and rank {rank}."
        facts = {"field": "r", "value": rank}
        raise Refusal("ValueError", match, "rank-impossible", at=settings.where("r"), module=module.path, facts=facts)


def knows_initialisation(settings: Settings, text: str) -> bool:
    """False for a value of init_lora_weights that is younger than the release."""
    name = next((name for name in ("pissa", "corda") if text.startswith(name)), text.lower())
    return settings.release.has("initialisations", name)


def _check_initialisation(settings: Settings, module: Module, rank: int, low_memory: bool) -> None:
    """`init_lora_weights` runs before the checkpoint is copied in, and some values of it raise."""
    init, at = settings["init_lora_weights"], settings.where("init_lora_weights")
    facts = {"field": "init_lora_weights", "value": str(init)}

    def refuse(type_name: str, match: str) -> Refusal:
        return Refusal(type_name, match, "initialisation-impossible", at=at, module=module.path, facts=facts)

    if init is True or not init or not settings.release.checks_initialisation:
        return
    linear = module.kind in ("Linear", "Conv1D")
    text = init if isinstance(init, str) and knows_initialisation(settings, init) else ""
    if linear and text.startswith("pissa"):
        if text != "pissa" and len(text.split("_niter_")) != 2:
            raise refuse("ValueError", "init_lora_weights should be 'pissa' or 'pissa_niter_[number of iters]'")
        if low_memory:
            raise refuse("RuntimeError", "Attempted to call `variable.set_data(tensor)`")
        if text != "pissa" and rank > min(module.params["weight"]):
            raise refuse("ValueError", "must be non-negative integer and not greater than min(m, n)")
        return
    if linear and text.startswith("corda"):
        raise refuse("ValueError", "`eigens` attribute not found for layer")
    if linear and text.lower() == "olora":
        if low_memory:
            raise refuse("RuntimeError", "Attempted to call `variable.set_data(tensor)`")
        return
    if text.lower() == "mica" and module.kind not in CONVOLUTIONS:
        if rank > min(module.params["weight"]) and not low_memory:
            raise refuse("ValueError", "MiCA requires `r` <= min(")
        return
    if text == "loftq":
        raise refuse("ValueError", "bitsandbytes is not available, please install it to use LoftQ.")
    if linear and text == "orthogonal" and rank % 2:
        raise refuse("ValueError", "Orthogonal initialization requires the LoRA rank to be even")
    if text == "lora_ga" or (linear and text in ("eva", "orthogonal")):
        return
    if module.kind == "Embedding":  # reset_lora_parameters reads the value only for lora_A, which embeddings lack
        return
    lowered = as_python_does(lambda: init.lower(), "initialisation-impossible", at, "init_lora_weights", init)
    if lowered != "gaussian":
        raise refuse("ValueError", f"Unknown initialization init_lora_weights={init!r}")
