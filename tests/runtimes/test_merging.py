"""`merge` steps against real merges: what raises, and whether the merged model computes what the adapted one did."""

from __future__ import annotations

import contextlib
import logging
from pathlib import Path
from typing import Any

import pytest

import adaptlint
from tests.conftest import ROOT
from tests.methods.test_cards import BASE, CASES
from tests.test_rules import TARGET, TRANSFORMERS

torch = pytest.importorskip("torch")
peft = pytest.importorskip("peft")

RESNET = ROOT / "fixtures" / "bases" / "tiny-resnet"
OPT = ROOT / "fixtures" / "bases" / "tiny-opt"
GPT2 = ROOT / "fixtures" / "bases" / "tiny-gpt2"
Q = {"r": 4, "target_modules": ["q_proj"]}
CONVOLUTION = {"target_modules": ["convolution"]}
MORE: list[tuple[Path, str, str, dict[str, Any]]] = [
    *(
        (BASE, "AutoModelForCausalLM", "LORA", {**Q, **more})
        for more in (
            {"use_dora": True},
            {"lora_bias": True},
            {"layer_replication": [[0, 2], [1, 3]]},
            {"modules_to_save": ["lm_head"]},
            {"target_modules": ["embed_tokens"]},
            {"trainable_token_indices": [1, 2]},
            {"alora_invocation_tokens": [1, 2]},
        )
    ),
    (GPT2, "AutoModelForCausalLM", "LORA", {"r": 4, "target_modules": ["c_attn", "wte"], "fan_in_fan_out": True}),
    (GPT2, "AutoModelForCausalLM", "TRAINABLE_TOKENS", {"token_indices": [1, 2]}),
    (OPT, "AutoModelForCausalLM", "BEFT", {"target_modules": ["q_proj"]}),
    (RESNET, "AutoModelForImageClassification", "OFT", {"r": 0, "oft_block_size": 1, **CONVOLUTION}),
    (RESNET, "AutoModelForImageClassification", "LORA", {"r": 2, **CONVOLUTION}),
]
NEAR = 1e-4


def merged(model: Any, inputs: Any) -> bool | Exception:
    """True if a merge leaves the output as it was; the exception where it raises."""
    from tests.differential.truth import outputs

    with torch.no_grad():
        before: Any = None
        with contextlib.suppress(ValueError):  # Poly and multitask prompts want task ids for a forward; neither merges
            before = outputs(model(**inputs))[0]
        try:
            after = outputs(model.merge_and_unload()(**inputs))[0]
        except Exception as problem:
            return problem
        return bool(torch.allclose(before, after, atol=NEAR))


@pytest.mark.parametrize(
    ("base", "auto", "name", "settings"),
    [*((BASE, "AutoModelForCausalLM", *case.values) for case in CASES), *MORE],
)
@pytest.mark.filterwarnings("ignore")
def test_merge(base: Path, auto: str, name: str, settings: dict[str, Any], tmp_path: Path) -> None:
    from tests.differential.folders import model_of, ordinary_inputs

    logging.getLogger("peft").setLevel(logging.ERROR)
    config = peft.mapping.PEFT_TYPE_TO_CONFIG_MAPPING[name](**settings)
    model = peft.get_peft_model(model_of(base, auto), config).eval()
    torch.manual_seed(1)
    for key, parameter in model.named_parameters():
        if "default" in key.split(".") and parameter.is_floating_point():
            parameter.data += 0.05 * torch.randn_like(parameter)
    model.save_pretrained(tmp_path)
    report = adaptlint.check(
        base,
        tmp_path,
        targets=[TARGET],
        transformers=TRANSFORMERS,
        model_class=auto,
        plan="load default; merge",
    )
    (verdict,) = report.verdicts
    step = verdict.steps[-1]
    assert step.op == "merge", [finding.message for finding in report.findings]
    seen = merged(model, ordinary_inputs(model.get_base_model()))
    if isinstance(seen, Exception):
        assert step.outcome == "fails", seen
        assert step.error is not None
        assert step.error.type == type(seen).__name__
        assert step.error.match in str(seen)
    else:
        assert step.outcome == ("works" if seen else "wrong")
