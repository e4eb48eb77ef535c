"""check_live against real models of PEFT: each verdict is held against a real forward."""

from __future__ import annotations

from typing import Any

import jsonschema
import peft
import pytest
import torch

import adaptlint
from adaptlint.findings import Report
from adaptlint.reporters import render
from adaptlint.reporters.json import schema_path
from tests.live import base, logits, train, trained, without_adapters


def codes(report: Report) -> list[str]:
    return [finding.code for finding in report.findings]


def outcome(report: Report) -> str:
    (verdict,) = report.verdicts
    return verdict.outcome


METHODS = {
    "lora": peft.LoraConfig(target_modules=["q_proj", "embed_tokens"], modules_to_save=["lm_head"], use_dora=False),
    "dora": peft.LoraConfig(target_modules=["q_proj"], use_dora=True),
    "ia3": peft.IA3Config(target_modules=["k_proj", "down_proj"], feedforward_modules=["down_proj"]),
    "loha": peft.LoHaConfig(target_modules=["q_proj"]),
    "oft": peft.OFTConfig(target_modules=["q_proj"], oft_block_size=4),
    "vera": peft.VeraConfig(target_modules=["q_proj"]),
    "prompt": peft.PromptTuningConfig(task_type="CAUSAL_LM", num_virtual_tokens=3),
    "prefix": peft.PrefixTuningConfig(task_type="CAUSAL_LM", num_virtual_tokens=3),
}


@pytest.mark.parametrize("name", METHODS)
def test_healthy_models_have_no_findings(name: str) -> None:
    model = peft.get_peft_model(base(), METHODS[name]).eval()
    train(model)
    report = adaptlint.check_live(model)
    assert codes(report) == []
    assert outcome(report) == "works"
    (adapter,) = report.subject.adapters
    assert adapter.tensors > 0
    assert report.subject.model_class == "LlamaForCausalLM"


def test_an_adapter_that_was_never_trained_changes_nothing() -> None:
    model = peft.get_peft_model(base(), peft.LoraConfig(target_modules=["q_proj"])).eval()
    report = adaptlint.check_live(model)
    assert (codes(report), outcome(report)) == (["AL402"], "wrong")
    assert set(report.verdicts[0].left_at_init) == {name for name, _ in model.named_parameters() if "lora_B" in name}
    assert torch.equal(logits(model), without_adapters(model))


def test_some_layers_that_were_never_trained() -> None:
    model = trained(base())
    with torch.no_grad():
        model.get_submodule("base_model.model.model.layers.1.self_attn.q_proj.lora_B.default").weight.zero_()
    report = adaptlint.check_live(model)
    assert (codes(report), outcome(report)) == (["AL404"], "works")
    assert report.findings[0].module == "base_model.model.model.layers.1.self_attn.q_proj"


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_values_that_spoil_the_output(value: float) -> None:
    model = trained(base())
    with torch.no_grad():
        model.get_submodule("base_model.model.model.layers.0.self_attn.v_proj.lora_A.default").weight[0, 0] = value
    report = adaptlint.check_live(model)
    assert (codes(report), outcome(report)) == (["AL401"], "wrong")
    assert not logits(model).isfinite().all()


def test_a_scale_of_zero() -> None:
    model = trained(base(), lora_alpha=0)
    report = adaptlint.check_live(model)
    assert (codes(report), outcome(report)) == (["AL403"], "wrong")
    assert torch.equal(logits(model), without_adapters(model))


def test_adapters_that_are_not_active() -> None:
    model = trained(base())
    model.add_adapter("second", peft.LoraConfig(target_modules=["q_proj"], r=2))
    train(model)
    report = adaptlint.check_live(model)
    assert [(f.code, f.adapter) for f in report.findings] == [("AL407", "second")]
    assert outcome(report) == "works"
    model.set_adapter("second")
    assert [(f.code, f.adapter) for f in adaptlint.check_live(model).findings] == [("AL407", "default")]
    with model.disable_adapter():
        switched_off = adaptlint.check_live(model)
    assert [f.adapter for f in switched_off.findings] == ["default", "second"]
    assert all("are switched off" in f.message for f in switched_off.findings)
    model.base_model.set_adapter(["default", "second"])
    assert codes(adaptlint.check_live(model)) == []


def test_a_merged_adapter_is_in_effect() -> None:
    model = trained(base())
    model.merge_adapter()
    assert codes(adaptlint.check_live(model)) == []


@pytest.mark.parametrize("side", ["in", "out", "rank"])
def test_factors_that_do_not_fit(side: str) -> None:
    model = trained(base(), target_modules=["q_proj"])
    layer = model.get_submodule("base_model.model.model.layers.0.self_attn.q_proj")
    if side == "rank":
        layer.lora_A["default"] = torch.nn.Linear(32, 3, bias=False)
    else:
        sizes = (16, 32) if side == "in" else (32, 16)
        layer.base_layer = torch.nn.Linear(*sizes, bias=False)
    report = adaptlint.check_live(model)
    assert (codes(report), outcome(report)) == (["AL314"], "fails")
    error = report.verdicts[0].error
    assert error is not None
    with pytest.raises(RuntimeError) as raised:
        logits(model)
    assert error.type == raised.type.__name__
    with model.disable_adapter():
        assert outcome(adaptlint.check_live(model)) == "works"


def test_layers_that_were_taken_away() -> None:
    model = trained(base())
    fresh = base()
    model.base_model.model.model = fresh.model
    report = adaptlint.check_live(model)
    assert (codes(report), outcome(report)) == (["AL218"], "wrong")
    assert torch.equal(logits(model), logits(fresh))


def test_values_on_the_meta_device_cannot_be_told() -> None:
    model = peft.get_peft_model(base(), peft.LoraConfig(target_modules=["q_proj"])).to("meta")
    report = adaptlint.check_live(model)
    assert (codes(report), outcome(report)) == ([], "unknown")


def test_adapters_of_transformers_own_loader() -> None:
    model = base()
    model.add_adapter(peft.LoraConfig(target_modules=["q_proj"]), "default")
    assert codes(adaptlint.check_live(model)) == ["AL402"]


def test_nothing_is_changed() -> None:
    model = trained(base())
    before = {name: value.clone() for name, value in model.state_dict().items()}
    adaptlint.check_live(model)
    after = model.state_dict()
    assert list(before) == list(after)
    assert all(torch.equal(before[name], after[name]) for name in before)
    assert all(parameter.grad is None for parameter in model.parameters())


@pytest.mark.parametrize("thing", [torch.nn.Linear(2, 2), object(), None])
def test_what_has_no_adapters_is_refused(thing: Any) -> None:
    with pytest.raises(TypeError, match="no adapters of PEFT"):
        adaptlint.check_live(thing)


def test_the_report_is_one_like_any_other() -> None:
    import json
    from pathlib import Path

    report = adaptlint.check_live(peft.get_peft_model(base(), peft.LoraConfig(target_modules=["q_proj"])))
    jsonschema.validate(json.loads(render(report, "json")), json.loads(Path(schema_path()).read_text()))
    assert "adapter changes nothing" in " ".join(render(report, "text").split())
    assert {line.status for line in report.ledger} == {"fired", "passed", "not-run"}
    assert codes(adaptlint.check_live(base_with_fresh_lora(), ignore=["AL402"])) == []


def base_with_fresh_lora() -> Any:
    return peft.get_peft_model(base(), peft.LoraConfig(target_modules=["q_proj"]))
