"""What real PEFT says to an adapter whose config was changed after it was saved, method by method."""

from __future__ import annotations

import json
import re
from itertools import zip_longest
from pathlib import Path
from typing import Any

import pytest

import adaptlint
from adaptlint.methods import load_method
from tests.conftest import ROOT
from tests.methods.test_cards import CARDS, SETTINGS
from tests.oracle.wanted import wanted
from tests.test_rules import TARGET, TRANSFORMERS

BASE = ROOT / "fixtures" / "bases" / "tiny-llama"
CAUSAL = "AutoModelForCausalLM"
QV: dict[str, Any] = {"target_modules": ["q_proj", "v_proj"], "task_type": "CAUSAL_LM"}
CASES: list[tuple[str, dict[str, Any], dict[str, Any]]] = [
    ("VERA", {"r": 4}, {"r": -1}),
    ("VERA", {"r": 4}, {"r": 0}),
    ("VERA", {"r": 4}, {"projection_prng_key": 2.5}),
    ("PVERA", {"r": 4}, {"r": -1}),
    ("RANDLORA", {"r": 4}, {"r": -1}),
    ("RANDLORA", {"r": 4}, {"r": 0}),
    ("RANDLORA", {"r": 4}, {"projection_prng_key": None}),
    ("FOURIERFT", {"n_frequency": 20}, {"random_loc_seed": 2.5}),
    ("WAVEFT", {"n_frequency": 20}, {"random_loc_seed": "8"}),
    ("WAVEFT", {"n_frequency": 20}, {"wavelet_family": "haar"}),
    ("WAVEFT", {"n_frequency": 20}, {"wavelet_family": "db38"}),
    ("WAVEFT", {"n_frequency": 20}, {"proportional_parameters": True}),
    ("TINYLORA", {"r": 2, "u": 3}, {"projection_seed": 2.5}),
    ("TINYLORA", {"r": 2, "u": 3}, {"projection_seed": None}),
    ("C3A", {"block_size": 8}, {"init_weights": "no_such"}),
    ("C3A", {"block_size": 8}, {"init_weights": "gaussian"}),
    ("C3A", {"block_size": 8}, {"init_weights": None}),
    ("OSF", {"effective_rank": 4}, {"effective_rank": -3}),
    ("OSF", {"effective_rank": 4}, {"effective_rank": 0.25}),
    ("OSF", {"effective_rank": 4}, {"effective_rank": "4"}),
    ("OSF", {"effective_rank": 4}, {"rank_pattern": {"v_pr": 2}}),
    ("DEFT", {"r": 4}, {"bias": None}),
]


@pytest.mark.parametrize(("name", "settings", "change"), CASES, ids=lambda value: str(value)[:40])
@pytest.mark.filterwarnings("ignore")
def test_the_verdict_is_what_happens(
    name: str, settings: dict[str, Any], change: dict[str, Any], tmp_path: Path
) -> None:
    peft = pytest.importorskip("peft")
    from tests.differential.folders import model_of, recorded

    config = peft.mapping.PEFT_TYPE_TO_CONFIG_MAPPING[name](**settings, **QV)
    peft.get_peft_model(model_of(BASE, CAUSAL), config).save_pretrained(tmp_path)
    path = tmp_path / "adapter_config.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), **change}))
    want = wanted(recorded(BASE, CAUSAL, tmp_path), fresh=True)
    (verdict,) = adaptlint.check(BASE, tmp_path, targets=[TARGET], transformers=TRANSFORMERS).verdicts
    assert verdict.outcome in want.accepted
    if verdict.error is not None:
        assert verdict.error.type == want.type
        assert verdict.error.match in want.message


@pytest.mark.parametrize("name", [name for name in CARDS if load_method(name).neutral])
@pytest.mark.filterwarnings("ignore")
def test_an_update_is_nothing_where_a_factor_of_each_part_is_zero(name: str, tmp_path: Path) -> None:
    peft = pytest.importorskip("peft")
    import torch
    from safetensors.torch import load_file, save_file

    from tests.differential.folders import model_of, recorded
    from tests.differential.making import randomise

    settings = SETTINGS.get(name, [{"r": 4, **QV} if name != "BEFT" else QV])[-1]
    model = peft.get_peft_model(model_of(BASE, CAUSAL), peft.mapping.PEFT_TYPE_TO_CONFIG_MAPPING[name](**settings))
    randomise(model)
    model.save_pretrained(tmp_path)
    path = tmp_path / "adapter_model.safetensors"
    for factors in zip_longest(*load_method(name).neutral):
        endings = [re.escape(f".{factor}").replace(r"\{i\}", r"\d+") + "$" for factor in factors if factor]
        whole = load_file(path)
        hit = [key for key in whole if any(re.search(ending, key) for ending in endings)]
        save_file({k: torch.zeros_like(v) if k in hit else v for k, v in whole.items()}, path, {"format": "pt"})
        no_effect = wanted(recorded(BASE, CAUSAL, tmp_path), fresh=False).reasons == ("no-effect",)
        (verdict,) = adaptlint.check(
            BASE, tmp_path, targets=[TARGET], transformers=TRANSFORMERS, values="full"
        ).verdicts
        assert (verdict.outcome == "wrong") == no_effect, endings
        save_file(whole, path, {"format": "pt"})


def test_heads_that_take_no_cache_are_those_of_transformers() -> None:
    transformers = pytest.importorskip("transformers")
    from inspect import signature

    from adaptlint import tables
    from adaptlint.runtimes.peft.release import PEFT

    row = tables.load()[PEFT]["no_cache"]
    for family in row["families"]:
        heads = [getattr(transformers, f"{family}For{head}", None) for head in row["heads"]]
        models = [getattr(transformers, f"{family}Model", None), *heads]
        found = [cls for cls in models if cls is not None and not type(cls).__name__.startswith("Dummy")]
        assert found
        assert all("past_key_values" not in signature(cls.forward).parameters for cls in found), family
