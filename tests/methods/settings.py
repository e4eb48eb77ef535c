"""Configs of every method that fit the base tiny-llama; read where there is nothing but PEFT, too."""

from __future__ import annotations

from typing import Any

TASK = {"task_type": "CAUSAL_LM"}
QV = {"target_modules": ["q_proj", "v_proj"], "task_type": "CAUSAL_LM"}
# What each method is given, beside its defaults, so that it fits a base of width 32.
SETTINGS: dict[str, list[dict[str, Any]]] = {
    "ADALORA": [{"total_step": 10, **QV}, {"total_step": 10, "init_r": 3, **QV}],
    "ADAMSS": [{"r": 4, "num_subspaces": 3, "target_modules": ["q_proj"], **TASK}, {"r": 64, "subspace_rank": 2, **QV}],
    "ADAPTION_PROMPT": [{"adapter_len": 4, "adapter_layers": 2, **TASK}],
    "BOFT": [{"boft_block_size": 4, **QV}, {"boft_block_num": 2, "boft_block_size": 0, **QV}],
    "C3A": [{"block_size": 8, **QV}, {"block_size": 8, "block_size_pattern": {"v_proj": 4}, **QV}],
    "CARTRIDGE": [{"num_virtual_tokens": 4, **TASK}],
    "CPT": [{"cpt_token_ids": [1, 2, 3], **TASK}],
    "DEFT": [{"r": 4, **QV}, {"r": 4, "para": True, **QV}],
    "FOURIERFT": [{"n_frequency": 20, "n_frequency_pattern": {"v_proj": 10}, **QV}],
    "FROD": [{"sparse_rate": rate, "progressbar": False, **QV} for rate in (0.0, 0.01, 1.0)],
    "GLORA": [
        {"r": 4, "config_A_B": ab, "config_C": c, "config_D_E": de, **QV}
        for ab, c, de in (("lora", "lora", "vector"), ("vector", "vector", "constant"), ("none", "none", "none"))
    ],
    "GRALORA": [{"r": 8, "gralora_k": 2, "hybrid_r": hybrid, **QV} for hybrid in (0, 4)],
    "IA3": [{**QV, "target_modules": ["q_proj", "down_proj"], "feedforward_modules": ["down_proj"]}],
    "LN_TUNING": [{"target_modules": ["input_layernorm"], **TASK}],
    "LOKR": [
        {"r": 2, **QV},
        {"r": 2, "decompose_both": True, "decompose_factor": 4, **QV},
        {"r": 30, "rank_pattern": {"v_proj": 3}, **QV},
    ],
    "LOHA": [{"r": 4, "rank_pattern": {"layers.1.self_attn.v_proj": 2}, **QV}],
    "MISS": [{"r": 4, "init_weights": init, "mini_r": 2, **QV} for init in (True, "bat", "mini")],
    "MULTITASK_PROMPT_TUNING": [{"num_virtual_tokens": 4, "num_tasks": 3, **TASK}],
    "OFT": [{"r": 0, "oft_block_size": size, "block_share": share, **QV} for size, share in ((8, False), (7, True))],
    "OSF": [
        {"effective_rank": 4, **QV},
        QV,
        {"effective_rank": 4, "rank_pattern": {"v_pr": 0.5}, **QV},
    ],
    "PREFIX_TUNING": [{"num_virtual_tokens": 4, **TASK}, {"num_virtual_tokens": 4, "prefix_projection": True, **TASK}],
    "PROMPT_TUNING": [{"num_virtual_tokens": 4, **TASK}],
    "P_TUNING": [{"num_virtual_tokens": 4, "encoder_hidden_size": 16, **TASK}],
    "PEANUT": [{"r": 4, "depth": 2, **QV}],
    "POLY": [{"r": 4, "n_splits": 2, **QV}],
    "PSOFT": [{"r": 4, **QV}, {"r": 4, "psoft_orth": False, "psoft_mag_a": False, **QV}],
    "RANDLORA": [{"r": 4, **QV}],
    "ROAD": [{"variant": variant, "group_size": 8, **QV} for variant in ("road_1", "road_2", "road_4")],
    "SHADOW": [
        {"r": 4, **TASK},
        {"r": 4, "target_modules": ["model.layers.1", "model.layers.2"], "shadow_num_hidden_layers": 2, **TASK},
        {"r": 4, "update_hidden_size": 6, "share_embeddings": False, **TASK},
    ],
    "SHIRA": [{"r": 4, **QV}],
    "SUPERTUNING": [{"sparsity": 0.9, "r": 2, "lora_alpha": 4, **QV}],
    "TINYLORA": [{"r": 2, "u": 3, "weight_tying": tying, **QV} for tying in (0.0, 0.5)],
    "TRAINABLE_TOKENS": [{"token_indices": [1, 5, 7], **TASK}],
    "UNILORA": [{"r": 4, "theta_d_length": 16, **QV}],
    "VBLORA": [
        {"r": 4, "num_vectors": 8, "vector_length": 4, "save_only_topk_weights": top, **QV} for top in (False, True)
    ],
    "VERA": [{"r": 4, **QV}, {"r": 4, "save_projection": False, **QV}],
    "PVERA": [{"r": 4, **QV}],
    "WAVEFT": [
        {"n_frequency": 20, **QV},
        {"n_frequency": 20, "proportional_parameters": True, "n_frequency_pattern": {"v_proj": 7}, **QV},
    ],
}
