"""Configs of every method of AdapterHub's library, as the library itself takes them."""

from __future__ import annotations

from typing import Any

Record = dict[str, Any]
BN = {"mh_adapter": False, "output_adapter": True, "reduction_factor": 4, "non_linearity": "relu"}
COUPLED = {"inv_adapter": "nice", "inv_adapter_reduction_factor": 2}
PHM = {"phm_layer": True, "phm_dim": 4, "reduction_factor": 4}
LORA = {"architecture": "lora", "r": 4, "alpha": 8}
PREFIX = {"architecture": "prefix_tuning", "prefix_length": 3, "bottleneck_size": 8}
REFT = {"architecture": "reft", "layers": "all", "prefix_positions": 3, "suffix_positions": 0, "r": 2}
METHODS: dict[str, Record] = {
    "seq_bn": {**BN, "original_ln_before": True},
    "double_seq_bn": {**BN, "mh_adapter": True, "ln_before": True, "scaling": "learned"},
    "par_bn": {**BN, "is_parallel": True, "scaling": 4.0, "init_weights": "mam_adapter"},
    "seq_bn_inv": {**BN, **COUPLED},
    "glow": {**BN, "inv_adapter": "glow", "inv_adapter_reduction_factor": 2},
    "cross": {**BN, "cross_adapter": True, "ln_after": True, "use_gating": True},
    "by_layer": {**BN, "reduction_factor": {"0": 2, "default": 8}, "leave_out": [1]},
    "compacter": {**BN, "mh_adapter": True, **PHM},
    "compacter_shared": {**BN, **PHM, "shared_W_phm": True, "factorized_phm_rule": True, "phm_bias": False},
    "lora": LORA,
    "lora_all": {**LORA, "attn_matrices": ["q", "k", "v"], "intermediate_lora": True, "output_lora": True},
    "lora_gate": {**LORA, "use_gating": True, "leave_out": [0]},
    "ia3": {**LORA, "r": 1, "composition_mode": "scale", "init_weights": "ia3", "attn_matrices": ["k", "v"]},
    "dora": {**LORA, "use_dora": True},
    "vera": {**LORA, "vera_d": 0.1, "vera_b": 0.0, "init_weights": "vera"},
    "mtl_lora": {**LORA, "architecture": "mtl_lora", "n_up_projection": 2},
    "prefix": PREFIX,
    "prefix_flat": {**PREFIX, "flat": True, "cross_prefix": False},
    "loreft": {**REFT, "orthogonality": True},
    "noreft": {**REFT, "orthogonality": False, "tied_weights": True, "layers": [1]},
    "prompt": {"architecture": "prompt_tuning", "prompt_length": 2},
    "mam": {"architecture": "union", "configs": [PREFIX, {**BN, "is_parallel": True, "scaling": 4.0}]},
    "unipelt": {
        "architecture": "union",
        "configs": [{**LORA, "use_gating": True}, {**PREFIX, "use_gating": True}, {**BN, "use_gating": True}],
    },
}
