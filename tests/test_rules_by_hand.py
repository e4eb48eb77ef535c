"""Examples that no recipe can make, named by the Bad section of their pages."""

from __future__ import annotations

import json
import shutil
import warnings
from pathlib import Path
from typing import Any

import pytest

import adaptlint
from adaptlint.testing import Built, build, page_examples, read_recipe
from tests.conftest import ROOT
from tests.differential.folders import model_of
from tests.test_rules import BASES, TARGET, TRANSFORMERS


def test_adapter_name_with_a_dot(tmp_path: Path) -> None:
    page = ROOT / "rules" / "config" / "AL115-adapter-name-impossible.md"
    (good,) = page_examples(page.read_text(encoding="utf-8"))["good"]
    built = build(read_recipe(good), str(tmp_path), str(BASES))
    report = adaptlint.check(built.model, ("v1.5", built.adapter), targets=(TARGET,), transformers=TRANSFORMERS)
    assert [finding.code for finding in report.findings] == ["AL115"]
    (verdict,) = report.verdicts
    assert (verdict.outcome, verdict.stage) == ("fails", "load")
    assert verdict.error is not None
    peft, transformers = pytest.importorskip("peft"), pytest.importorskip("transformers")
    base = transformers.AutoModelForCausalLM.from_config(transformers.AutoConfig.from_pretrained(built.model))
    with pytest.raises(KeyError) as raised:
        peft.PeftModel.from_pretrained(base, built.adapter, adapter_name="v1.5")
    assert verdict.error.type == raised.type.__name__
    assert verdict.error.match in str(raised.value.args[0])


def healthy(page: str, folder: Path) -> Built:
    """The first good example of a page, built."""
    text = next((ROOT / "rules").rglob(f"{page}-*.md")).read_text(encoding="utf-8")
    return build(read_recipe(page_examples(text)["good"][0]), str(folder), str(BASES))


def test_base_named_differently(tmp_path: Path) -> None:
    built = healthy("AL121", tmp_path)
    snapshot = tmp_path / "hub" / "models--an-owner--a-model-bnb-4bit" / "snapshots" / "0a1b"
    snapshot.parent.mkdir(parents=True)
    shutil.copytree(built.model, snapshot)
    report = adaptlint.check(snapshot, built.adapter, targets=(TARGET,), transformers=TRANSFORMERS)
    assert [finding.code for finding in report.findings] == ["AL121"]
    assert "someone/else" in report.findings[0].message
    config = Path(built.adapter) / "adapter_config.json"
    config.write_text(config.read_text().replace("someone/else", "another-owner/A-Model"))
    again = adaptlint.check(snapshot, built.adapter, targets=(TARGET,), transformers=TRANSFORMERS)
    assert [finding.code for finding in again.findings] == []


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("added_tokens.json", '{"<a>": 96, "<b>": 97, "</s>": 2, "<odd>": null}'),
        ("tokenizer_config.json", '{"added_tokens_decoder": {"2": {}, "96": {}, "97": {}, "no": {}}}'),
        ("tokenizer.json", '{"version": "1.0", "added_tokens": [{"id": 96}, {"id": 97}, 3], "model": {'),
    ],
)
def test_tokens_without_rows(tmp_path: Path, name: str, text: str) -> None:
    built = healthy("AL127", tmp_path)
    (Path(built.adapter) / name).write_text(text)
    report = adaptlint.check(built.model, built.adapter, targets=(TARGET,), transformers=TRANSFORMERS)
    assert [finding.code for finding in report.findings] == ["AL127"]
    assert report.verdicts[0].outcome == "works"
    assert f"{name} beside the adapter adds token ids up to 97" in report.findings[0].message
    assert "2 tokens have none" in report.findings[0].message
    (Path(built.adapter) / name).write_text(text.replace("96", "94").replace("97", "95"))
    again = adaptlint.check(built.model, built.adapter, targets=(TARGET,), transformers=TRANSFORMERS)
    assert [finding.code for finding in again.findings] == []


def test_name_that_is_taken(tmp_path: Path) -> None:
    built = healthy("AL132", tmp_path)
    report = adaptlint.check(
        built.model, [("one", built.adapter), ("one", built.adapter)], targets=(f"transformers=={TRANSFORMERS}",)
    )
    assert [finding.code for finding in report.findings] == ["AL132"]
    (verdict,) = report.verdicts
    assert verdict.error is not None
    assert (verdict.outcome, [step.outcome for step in verdict.steps]) == ("fails", ["works", "fails"])
    pytest.importorskip("peft")
    model = model_of(Path(built.model), "AutoModelForCausalLM")
    model.load_adapter(built.adapter, adapter_name="one")
    with pytest.raises(ValueError, match=verdict.error.match):
        model.load_adapter(built.adapter, adapter_name="one")


def test_expert_without_a_factor(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    built = healthy("AL216", tmp_path)
    file = tmp_path / "x1" / "adapter_model.safetensors"
    torch, tensors = pytest.importorskip("torch"), pytest.importorskip("safetensors.torch")
    peft = pytest.importorskip("peft")
    saved = tensors.load_file(file)
    lost = saved.pop("base_model.model.model.layers.1.self_attn.q_proj.lora_B.weight")
    tensors.save_file(saved, file)
    report = adaptlint.check(built.model, built.adapter, targets=(TARGET,), transformers=TRANSFORMERS)
    assert [finding.code for finding in report.findings] == ["AL216"]
    assert report.verdicts[0].outcome == "wrong"
    base = model_of(Path(built.model).resolve(), "AutoModelForCausalLM")
    monkeypatch.chdir(built.adapter)
    with warnings.catch_warnings():
        warnings.simplefilter("error", UserWarning)
        model = peft.PeftModel.from_pretrained(base, built.adapter)
    left = model.get_submodule("base_model.lora_model.model.model.layers.1.self_attn.q_proj.lora_B.1").weight
    assert not torch.any(left)
    assert torch.any(lost)


def test_second_mixture(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    built = healthy("AL216", tmp_path)
    given = [("one", built.adapter), ("two", built.adapter)]
    report = adaptlint.check(built.model, given, targets=(TARGET,), transformers=TRANSFORMERS)
    (verdict,) = report.verdicts
    assert verdict.error is not None
    assert ([finding.code for finding in report.findings], verdict.outcome) == (["AL103"], "fails")
    peft = pytest.importorskip("peft")
    base = model_of(Path(built.model).resolve(), "AutoModelForCausalLM")
    monkeypatch.chdir(built.adapter)
    model = peft.PeftModel.from_pretrained(base, built.adapter, adapter_name="one")
    with pytest.raises(AttributeError, match=verdict.error.match):
        model.load_adapter(built.adapter, "two")


def test_experts_exchanged(tmp_path: Path) -> None:
    peft, torch = pytest.importorskip("peft"), pytest.importorskip("torch")
    from tests.differential.mixing_experts import answer, base_of, model, save, uncached

    base, names = base_of("llama"), {}
    for number in range(11):
        torch.manual_seed(number)
        expert = peft.get_peft_model(model(base), peft.LoraConfig(r=4, init_lora_weights=False))
        expert.save_pretrained(tmp_path / f"e{number}")
        names[str(number)] = str(tmp_path / f"e{number}")
    mixed = peft.get_peft_model(model(base), peft.XLoraConfig(task_type="CAUSAL_LM", hidden_size=32, adapters=names))
    save(mixed, tmp_path / "x")
    config = tmp_path / "x" / "adapter_config.json"
    for code, outcome in (("AL219", "wrong"), ("", "works")):
        report = adaptlint.check(uncached(base, tmp_path), tmp_path / "x", model_class=base.auto)
        assert (report.verdicts[0].outcome, [each.code for each in report.findings]) == (
            outcome,
            [code] if code else [],
        )
        loaded = peft.PeftModel.from_pretrained(model(base), tmp_path / "x")
        assert torch.allclose(answer(loaded, base), answer(mixed, base), atol=1e-5) == (outcome == "works")
        config.write_text(json.dumps({**json.loads(config.read_text()), "adapters": names}))


def live_model() -> Any:
    """A tiny model in memory with a trained LoRA on its query projections."""
    pytest.importorskip("peft")
    from tests.live import base, trained

    return trained(base(), target_modules=["q_proj"])


def test_live_adapter_not_active() -> None:
    import peft

    from tests.live import logits, train

    model = live_model()
    before = logits(model)
    model.add_adapter("second", peft.LoraConfig(r=2, target_modules=["q_proj"]))
    train(model.get_submodule("base_model.model.model.layers.0.self_attn.q_proj.lora_B.second"))
    report = adaptlint.check_live(model, ignore=["AL4"])
    assert report.findings == ()
    found = adaptlint.check_live(model, select=["AL407"]).findings
    assert [(finding.adapter, "another one is active" in finding.message) for finding in found] == [("second", True)]
    assert logits(model).equal(before)


def test_live_checkpoint_without_input_gradients() -> None:
    import peft
    import torch
    import transformers

    def gradients(model: Any, given: dict[str, Any]) -> bool:
        try:
            model(**given).loss.backward()
        except RuntimeError:  # nothing that the loss depends on requires gradients
            return False
        return any(value.grad is not None for name, value in model.named_parameters() if "lora_B" in name)

    def found(model: Any) -> list[str]:
        return [finding.code for finding in adaptlint.check_live(model, select=["AL408"]).findings]

    ids = torch.arange(6).reshape(1, 6)
    words = {"input_ids": ids, "labels": ids}
    config = transformers.AutoConfig.from_pretrained(BASES / "tiny-vit")
    pixels = torch.rand(1, config.num_channels, config.image_size, config.image_size)
    seen = {"pixel_values": pixels, "labels": torch.tensor([0])}
    for reentrant, told in ((True, ["AL408"]), (False, [])):
        images = transformers.ViTForImageClassification(config)
        model = peft.get_peft_model(images, peft.LoraConfig(target_modules=["q_proj"])).train()
        model.gradient_checkpointing_enable({"use_reentrant": reentrant})
        assert (found(model), gradients(model, seen)) == (told, not reentrant)

    model = live_model().train()
    model.gradient_checkpointing_enable({"use_reentrant": True})
    assert (found(model), gradients(model, words)) == ([], True)
    model = live_model().train()
    model.gradient_checkpointing_enable({"use_reentrant": True})
    model.get_base_model().disable_input_require_grads()  # as transformers 4 leaves it
    model.get_base_model().lm_head.weight.requires_grad = True
    assert (found(model), gradients(model, words)) == (["AL408"], False)
    model.eval()
    assert (found(model), gradients(model, words)) == ([], True)


def test_live_shapes_disagree() -> None:
    import torch

    from tests.live import logits

    model = live_model()
    layer = model.get_submodule("base_model.model.model.layers.0.self_attn.q_proj")
    layer.base_layer = torch.nn.Linear(16, 32, bias=False)
    report = adaptlint.check_live(model)
    assert [finding.code for finding in report.findings] == ["AL314"]
    assert "takes 16 features" in report.findings[0].message
    with pytest.raises(RuntimeError):
        logits(model)


def test_live_adapter_without_layers() -> None:
    from tests.live import base

    model = live_model()
    model.base_model.model.model = base().model
    assert [finding.code for finding in adaptlint.check_live(model).findings] == ["AL218"]
