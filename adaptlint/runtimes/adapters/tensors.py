"""The parameters that a part of a config puts into a site, by their names below the adapter's own.

Source: adapters 0.2.2 to 1.3.0, methods/lora.py (LoRA, MTLLoRA, IA3, Vera, LoRAMergedLinear), methods/modeling.py
(Adapter, PHMLayer, NICECouplingBlock, GLOWCouplingBlock, init_shared_parameters), methods/prefix_tuning.py
(PrefixTuning, FlatPrefixTuning), methods/reft.py, methods/prompt_tuning.py; torch's `parametrizations.orthogonal`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from adaptlint.hints import Any
from adaptlint.runtimes.adapters.sites import Site

Shape = tuple[int, ...]
Tensors = dict[str, Shape]


def is_vera(config: Mapping[str, Any]) -> bool:
    """True where a LoRA config asks for shared random matrices: by the type of its two fields, as the library asks."""
    return isinstance(config.get("vera_d"), float) or isinstance(config.get("vera_b"), float)


def merged_heads(config: Mapping[str, Any], counts_only_qkv: bool) -> int:
    """How many of a fused projection's three matrices are adapted."""
    named = set(config["attn_matrices"])
    return len(named & {"q", "k", "v"} if counts_only_qkv else named)


def lora_shapes(site: Site, config: Mapping[str, Any], heads: int) -> tuple[Shape, Shape]:
    """The shapes of lora_A and lora_B."""
    r = config["r"]
    if site.kind == "merged_lora":
        return (r * heads, site.width_in), (site.width_out // 3 * heads, r)
    return (r, site.width_in), (site.width_out, r)


def lora_tensors(site: Site, config: Mapping[str, Any], heads: int) -> Tensors:
    """A LoRA, (IA)^3, VeRA, DoRA or MTL-LoRA at a projection; `heads` are the matrices of a fused one."""
    a, b = lora_shapes(site, config, heads)
    gates = heads if site.kind == "merged_lora" else 1
    multitask = config["architecture"] == "mtl_lora"
    found: Tensors
    if config["composition_mode"] == "scale":
        found = {"lora_B": b}
    elif multitask:
        up = config["n_up_projection"]
        found = {"lora_A": a, "lora_B": (up, *b), "weights": (up,), "task_specific.values": (config["r"],)}
    elif is_vera(config):
        found = {"vera_D": (a[0], a[0]), "vera_B": (b[0], b[0])}
    else:
        found = {"lora_A": a, "lora_B": b}
    if config.get("use_dora"):
        found["m.weight"] = (b[0], 1)
    if config["use_gating"]:
        found |= {"gate.weight": (gates, a[1]), "gate.bias": (gates,)}
    return found


def reduction_at(factor: Any, layer: int) -> float | None:
    """The reduction factor of one layer; None where a mapping has none for it."""
    if isinstance(factor, Mapping):
        found = factor.get(str(layer), factor.get("default"))
        return found if isinstance(found, int | float) else None
    return float(factor)


def bottleneck_tensors(width: int, config: Mapping[str, Any], factor: float) -> Tensors:
    """A bottleneck; a layer norm in front of it is saved twice, under its own name and as part of adapter_down."""
    inner = max(int(width // factor), 1)
    found: Tensors = {}
    first = 1 if config["ln_before"] else 0
    if config["ln_before"]:
        for name in ("adapter_norm_before", "adapter_down.0"):
            found |= {f"{name}.weight": (width,), f"{name}.bias": (width,)}
    found |= _projection(f"adapter_down.{first}", width, inner, config)
    found |= _projection("adapter_up", inner, width, config)
    if config["scaling"] in ("learned", "channel"):
        found["scaling"] = (1,) if config["scaling"] == "learned" else (width,)
    if config["ln_after"]:
        found |= {"adapter_norm_after.weight": (width,), "adapter_norm_after.bias": (width,)}
    if config["use_gating"]:
        found |= {"gate.weight": (1, width), "gate.bias": (1,)}
    return found


def _projection(name: str, given: int, wanted: int, config: Mapping[str, Any]) -> Tensors:
    if not config["phm_layer"]:
        return {f"{name}.weight": (wanted, given), f"{name}.bias": (wanted,)}
    dim, rank = config["phm_dim"], config["phm_rank"]
    found: Tensors = {}
    if not config["shared_phm_rule"]:
        found |= _rule(f"{name}.phm_rule", config)
    if not config["shared_W_phm"] and config["factorized_phm_W"]:
        found |= {f"{name}.W_left": (dim, given // dim, rank), f"{name}.W_right": (dim, rank, wanted // dim)}
    elif not config["shared_W_phm"]:
        found[f"{name}.W"] = (dim, given // dim, wanted // dim)
    if config["phm_bias"]:
        found[f"{name}.b"] = (wanted,)
    return found


def _rule(name: str, config: Mapping[str, Any]) -> Tensors:
    dim = config["phm_dim"]
    if config["factorized_phm_rule"]:
        return {f"{name}_left": (dim, dim, 1), f"{name}_right": (dim, 1, dim)}
    return {name: (dim, dim, dim)}


def shared_phm_tensors(width: int, config: Mapping[str, Any]) -> Tensors:
    """What the PHM layers of a model share."""
    found: Tensors = {}
    dim, rank = config["phm_dim"], config["phm_rank"]
    if config["shared_W_phm"]:
        inner = width // config["reduction_factor"]
        found |= {"W_down_left": (dim, width // dim, rank), "W_down_right": (dim, rank, inner // dim)}
        found |= {"W_up_left": (dim, inner // dim, rank), "W_up_right": (dim, rank, width // dim)}
    return found | _rule("phm_rule", config) if config["shared_phm_rule"] else found


def invertible_tensors(width: int, config: Mapping[str, Any]) -> Tensors:
    """A coupling block at the embeddings."""
    left, right = width // 2, width - width // 2
    factor = config["inv_adapter_reduction_factor"]
    found: Tensors = {}
    nice = config["inv_adapter"] == "nice"
    pairs = (("F", right, left), ("G", left, right)) if nice else (("s1", left, right * 2), ("s2", right, left * 2))
    for name, given, wanted in pairs:
        inner = int(given // factor)
        found |= {f"{name}.0.weight": (inner, given), f"{name}.0.bias": (inner,)}
        found |= {f"{name}.2.weight": (wanted, inner), f"{name}.2.bias": (wanted,)}
    return found


def prefix_tensors(sites: Sequence[Site], config: Mapping[str, Any], width: int) -> Tensors:
    """The prefixes of one location; `width` is that of the keys of one layer."""
    length, given = config["prefix_length"], sites[-1].width_in
    total = len(sites) * 2 * width
    if config["flat"]:
        return {"control_trans": (length * total,)}
    inner = config["bottleneck_size"]
    return {
        "wte.weight": (length, given),
        "control_trans.0.weight": (inner, given),
        "control_trans.0.bias": (inner,),
        "control_trans.2.weight": (total, inner),
        "control_trans.2.bias": (total,),
    }


def gate_tensors(site: Site, config: Mapping[str, Any]) -> Tensors:
    """The gate of a prefix in one layer."""
    outputs = 1 if config["shared_gating"] else 2
    return {"weight": (outputs, site.width_in), "bias": (outputs,)}


def reft_tensors(site: Site, config: Mapping[str, Any]) -> Tensors:
    """The interventions of one layer; torch keeps an orthogonal projection as a difference from a square base."""
    width, r = site.width_in, config["r"]
    found: Tensors = {}
    for unit in range(1 if config["tied_weights"] else 2):
        name = f"units.{unit}"
        found |= {f"{name}.learned_source.weight": (r, width), f"{name}.learned_source.bias": (r,)}
        if config["orthogonality"]:
            side = max(width, r)
            found[f"{name}.projection.parametrizations.weight.original"] = (r, width)
            found[f"{name}.projection.parametrizations.weight.0.base"] = (side, side)
        else:
            found[f"{name}.projection.weight"] = (r, width)
    return found


def prompt_tensors(site: Site, config: Mapping[str, Any]) -> Tensors:
    """The rows in front of the embeddings."""
    return {"prompt_embedding.weight": (config["prompt_length"], site.width_in)}
