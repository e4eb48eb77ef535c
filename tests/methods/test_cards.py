"""Method cards against the real library: fields and defaults, and the tensors of adapters that PEFT itself saves."""

from __future__ import annotations

import dataclasses
import enum
from pathlib import Path
from typing import Any

import pytest

import adaptlint
from adaptlint import tables
from adaptlint.methods import load_method
from tests.conftest import ROOT
from tests.test_rules import TARGET, TRANSFORMERS

CARDS = sorted(
    tables.load()[key]["peft_type"] for key in tables.load() if key.startswith("methods/") and key[8:] != "lora.toml"
)
BASE = ROOT / "fixtures" / "bases" / "tiny-llama"
TASK = {"task_type": "CAUSAL_LM"}
QV = {"target_modules": ["q_proj", "v_proj"], "task_type": "CAUSAL_LM"}
# What each method is given, beside its defaults, so that it fits a base of width 32.
SETTINGS: dict[str, list[dict[str, Any]]] = {
    "ADALORA": [{"total_step": 10, **QV}, {"total_step": 10, "init_r": 3, **QV}],
    "ADAPTION_PROMPT": [{"adapter_len": 4, "adapter_layers": 2, **TASK}],
    "BOFT": [{"boft_block_size": 4, **QV}, {"boft_block_num": 2, "boft_block_size": 0, **QV}],
    "C3A": [{"block_size": 8, **QV}, {"block_size": 8, "block_size_pattern": {"v_proj": 4}, **QV}],
    "CARTRIDGE": [{"num_virtual_tokens": 4, **TASK}],
    "CPT": [{"cpt_token_ids": [1, 2, 3], **TASK}],
    "DEFT": [{"r": 4, **QV}, {"r": 4, "para": True, **QV}],
    "FOURIERFT": [{"n_frequency": 20, "n_frequency_pattern": {"v_proj": 10}, **QV}],
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
CASES = [
    pytest.param(name, settings, id=f"{name}-{number}")
    for name in CARDS
    for number, settings in enumerate(SETTINGS.get(name, [{"r": 4, **QV}] if name != "BEFT" else [QV]))
]


@pytest.mark.parametrize("name", CARDS)
def test_fields_and_defaults_are_those_of_the_config_class(name: str) -> None:
    mapping = pytest.importorskip("peft.mapping")
    cls = mapping.PEFT_TYPE_TO_CONFIG_MAPPING[name]
    defaults = {}
    for field in dataclasses.fields(cls):
        value = field.default if field.default_factory is dataclasses.MISSING else field.default_factory()
        defaults[field.name] = value.value if isinstance(value, enum.Enum) else value
    defaults.pop("runtime_config", None)
    card = load_method(name)
    assert {**dict.fromkeys(card.config["none"]), **card.config["defaults"]} == defaults
    assert card.config_class == cls.__name__
    assert card.prefix == mapping.PEFT_TYPE_TO_PREFIX_MAPPING[name]


@pytest.mark.parametrize(("name", "settings"), CASES)
@pytest.mark.filterwarnings("ignore")
def test_what_peft_saves_is_what_the_card_expects(name: str, settings: dict[str, Any], tmp_path: Path) -> None:
    peft = pytest.importorskip("peft")
    from tests.differential.folders import model_of

    model = model_of(BASE, "AutoModelForCausalLM")
    config = peft.mapping.PEFT_TYPE_TO_CONFIG_MAPPING[name](**settings)
    peft.get_peft_model(model, config).save_pretrained(tmp_path)
    report = adaptlint.check(BASE, tmp_path, targets=[TARGET], transformers=TRANSFORMERS)
    (verdict,) = report.verdicts
    assert verdict.outcome == "works", [finding.message for finding in report.findings]
    assert (verdict.left_at_init, verdict.ignored) == ((), ())
