"""What a model holds once an adapter has been added to it: the library's `add_adapter`, on shapes.

Source: adapters 0.2.2 to 1.3.0, model_mixin.py (`add_adapter`, `supports_adapter`, `_add_adapter_weights`),
configuration/model_adapters_config.py (`match`), methods/*.py (`add_adapter`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence

from adaptlint.hints import Any
from adaptlint.named_tuple import NamedTuple
from adaptlint.runtimes.adapters import tensors as t
from adaptlint.runtimes.adapters.layer_checks import (
    check_activation,
    check_bottleneck,
    check_dropout,
    check_lora,
    check_prompt,
    refuse,
)
from adaptlint.runtimes.adapters.parts import Part
from adaptlint.runtimes.adapters.release import HubRelease
from adaptlint.runtimes.adapters.sites import Site
from adaptlint.runtimes.peft.refusal import Refusal

Shape = tuple[int, ...]


class Held(NamedTuple):
    """One name in the model's state dict; `owner` is the first name of the same parameter."""

    shape: Shape
    owner: str


class Place(NamedTuple):
    """Where an adapter goes: the model's sites, the release, and the path of the whole base model ("" for itself)."""

    sites: Sequence[Site]
    release: HubRelease
    body: str = ""


def place(parts: Sequence[Part], name: str, where: Place) -> dict[str, Held]:
    """Every parameter of the adapter, by its full name in the model. Raises Refusal where the library raises."""
    _check_support(parts, where)
    _check_conflicts(parts, name, where)
    held: dict[str, Held] = {}
    for part in parts:
        for key, shape, owner in _PLACED[part.kind](part.config, name, where):
            held[key] = Held(shape, owner)
    return held


def _check_support(parts: Sequence[Part], where: Place) -> None:
    """From 1.2.0 on a method that a model has no layers for is refused; before, nothing is added and nothing said."""
    if not where.release.refuses_unsupported:
        return
    kinds = {site.kind for site in where.sites} | {"bottleneck", "lora", "reft"}
    plugged = any(site.hooked for site in where.sites)
    for part in parts:
        lacking = part.kind in ("prompt", "invertible", "prefix") and part.kind not in kinds
        if part.kind == "prefix" and not plugged:
            lacking = False
        if lacking or (plugged and part.config["architecture"] == "mtl_lora"):
            method = part.config["architecture"] or (
                "invertible adapter" if part.kind == "invertible" else "bottleneck"
            )
            text = "is not supported by this model."
            raise Refusal("ValueError", text, "hub-method-unsupported", facts={"method": method})


def _check_conflicts(parts: Sequence[Part], name: str, where: Place) -> None:
    """Two parts of a union at one place (`match`)."""
    for site in where.sites:
        kind = "lora" if site.kind == "merged_lora" else site.kind
        if len([part for part in parts if part.kind == kind and _in_layer(site, part.config)]) > 1:
            text = f"Multiple adapter definitions conflict for adapter '{name}' in layer {site.layer}."
            raise refuse("ValueError", text, "configs", kind)


def _in_layer(site: Site, config: Mapping[str, Any]) -> bool:
    """True where the config names the site's location and does not leave its layer out (`match`)."""
    left_out = site.layer in (config.get("leave_out") or ())
    return not left_out and bool(site.location is None or config.get(site.location, False))


Rows = Iterator[tuple[str, Shape, str]]


def _rows(path: str, tensors: t.Tensors) -> Rows:
    for suffix, shape in tensors.items():
        yield f"{path}.{suffix}", shape, f"{path}.{suffix}"


def _lora(config: Mapping[str, Any], name: str, where: Place) -> Rows:
    shared: tuple[Shape, Shape] | None = None
    vera = where.release.has_vera and t.is_vera(config) and config["composition_mode"] == "add"
    for site in where.sites:
        if site.kind not in ("lora", "merged_lora") or not _in_layer(site, config):
            continue
        if site.kind == "lora" and site.attn is not None and site.attn not in config["attn_matrices"]:
            continue
        check_lora(config, where.release)
        heads = t.merged_heads(config, where.release.fused_counts_qkv)
        if config.get("use_dora") and site.kind == "merged_lora" and heads != 3:
            raise refuse("RuntimeError", "must match the size of tensor b", "use_dora", True)
        shared = shared or t.lora_shapes(site, config, heads)
        yield from _rows(f"{site.module}.loras.{name}", t.lora_tensors(site, config, heads))
    if vera and shared is None:
        raise refuse("KeyError", name, "attn_matrices", config["attn_matrices"])
    if vera and shared is not None:
        yield from _in_all(f"shared_parameters.{name}", where, {"lora_A": shared[0], "lora_B": shared[1]})


def _bottleneck(config: Mapping[str, Any], name: str, where: Place) -> Rows:
    placed: Site | None = None
    for site in where.sites:
        if site.kind != "bottleneck" or not _in_layer(site, config):
            continue
        placed = placed or site
        factor = t.reduction_at(config["reduction_factor"], site.layer)
        check_bottleneck(site, config, factor)
        path = f"{site.module}.adapters.{name}"
        for suffix, shape in t.bottleneck_tensors(site.width_in, config, factor or 1).items():
            first = "adapter_norm_before" if config["ln_before"] and suffix.startswith("adapter_down.0.") else ""
            owner = f"{path}.{first}.{suffix.rpartition('.')[2]}" if first else f"{path}.{suffix}"
            yield f"{path}.{suffix}", shape, owner
    if config["phm_layer"] and (config["shared_phm_rule"] or config["shared_W_phm"]) and where.sites:
        width = (placed or where.sites[0]).width_in
        yield from _in_all(f"shared_parameters.{name}", where, t.shared_phm_tensors(width, config))


def _prefix(config: Mapping[str, Any], name: str, where: Place) -> Rows:
    """A prefix for each location, in a pool that every layer of the same body holds, too (`set_pool`)."""
    if not config["flat"]:
        check_activation(config["non_linearity"])
    check_dropout(config["dropout"])
    pools: dict[str, dict[str, list[Site]]] = {}
    for site in where.sites:
        if site.kind == "prefix" and _takes_prefix(site, config):
            pools.setdefault(site.body, {}).setdefault(str(site.location), []).append(site)
            if config["use_gating"]:
                yield from _rows(f"{site.module}.prefix_gates.{name}", t.gate_tensors(site, config))
    bodies = dict.fromkeys(site.body for site in where.sites if site.kind == "prefix")
    if any(body not in pools for body in bodies) or not bodies:
        text = f"Prefix {name} not found in PrefixTuningPool"
        raise refuse("ValueError", text, "leave_out", config["leave_out"])
    for body, locations in pools.items():
        copies = [f"{site.module}.pool" for site in where.sites if site.kind == "prefix" and site.body == body]
        pool = _below(body, "prefix_tuning")
        for location, sites in locations.items():
            width = where.release.prefix_width(sites[-1])
            for suffix, shape in t.prefix_tensors(sites, config, width).items():
                ending = f"prefix_tunings.{name}.{location}.{suffix}"
                for path in (*copies, pool):
                    yield f"{path}.{ending}", shape, f"{pool}.{ending}"


def _takes_prefix(site: Site, config: Mapping[str, Any]) -> bool:
    location = str(site.location)
    asked = location.startswith(("cross", "encoder"))
    return site.layer not in (config["leave_out"] or ()) and (not asked or bool(config.get(location, False)))


def _reft(config: Mapping[str, Any], name: str, where: Place) -> Rows:
    for site in where.sites:
        if site.kind != "reft" or not _in_layer(site, config):
            continue
        check_dropout(config["dropout"])
        if config["layers"] == "all" or site.layer in config["layers"]:
            yield from _rows(f"{site.module}.refts.{name}", t.reft_tensors(site, config))


def _prompt(config: Mapping[str, Any], name: str, where: Place) -> Rows:
    for site in where.sites:
        if site.kind == "prompt":
            check_prompt(config)
            path = _below(site.module, f"prompt_tuning.prompt_tunings.{name}")
            yield from _rows(path, t.prompt_tensors(site, config))


def _invertible(config: Mapping[str, Any], name: str, where: Place) -> Rows:
    for site in where.sites:
        if site.kind == "invertible":
            if config["inv_adapter"] not in ("nice", "glow"):
                text = f"Invalid invertible adapter type '{config['inv_adapter']}'."
                raise refuse("ValueError", text, "inv_adapter", config["inv_adapter"])
            tensors, own = t.invertible_tensors(site.width_in, config), f"invertible_adapters.{name}"
            if len(_wholes(where)) > 1:
                yield from _in_all(own, where, tensors)
            else:
                yield from _rows(_below(site.module, own), tensors)


def _in_all(name: str, where: Place, tensors: t.Tensors) -> Rows:
    """What a model of models keeps once and holds in each of its parts and in itself, under the first part's name.

    Source: models/encoder_decoder/mixin_encoder_decoder.py (`init_adapters`, `set_shared_parameters`).
    """
    paths = [_below(whole, name) for whole in _wholes(where)]
    for suffix, shape in tensors.items():
        for path in paths:
            yield f"{path}.{suffix}", shape, f"{paths[0]}.{suffix}"


def _wholes(where: Place) -> list[str]:
    """The paths of the base models: of each part and of all, or of the one that there is."""
    bodies = list(dict.fromkeys(site.body for site in where.sites))
    return [*bodies, where.body] if len(bodies) > 1 else [where.body]


def _below(path: str, name: str) -> str:
    return f"{path}.{name}" if path else name


_PLACED: dict[str, Callable[[Mapping[str, Any], str, Place], Rows]] = {
    "lora": _lora,
    "bottleneck": _bottleneck,
    "prefix": _prefix,
    "reft": _reft,
    "prompt": _prompt,
    "invertible": _invertible,
}
