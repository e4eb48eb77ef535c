"""Adapters of other libraries: PEFT computes with the copy what the other library's own formula gives."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file

import adaptlint
from adaptlint.repair import Outcome, Wish, repair
from tests.repair.cases import LLAMA, copied, made, same_effect, saw

FOREIGN = ("AL013", "AL014", "AL015")
BERT: dict[str, Any] = {
    "base": "tiny-bert",
    "config": {"target_modules": ["query", "value"], "r": 4, "lora_alpha": 6},
    "tensors": [{"modules": "encoder.layer.{0-1}.attention.self.{query,value}", "rank": 4, "in": 32, "out": 32}],
}
CLIP: dict[str, Any] = {
    "base": {
        "config": {
            "architectures": ["CLIPTextModel"],
            "model_type": "clip_text_model",
            "hidden_size": 32,
            "intermediate_size": 48,
            "num_hidden_layers": 2,
            "num_attention_heads": 4,
            "vocab_size": 96,
            "max_position_embeddings": 16,
            "bos_token_id": 1,
            "eos_token_id": 2,
            "pad_token_id": 0,
        }
    },
    "config": {"target_modules": ["q_proj", "fc1"], "r": 4, "lora_alpha": 2},
    "tensors": [
        {"modules": "encoder.layers.{0-1}.self_attn.q_proj", "rank": 4, "in": 32, "out": 32},
        {"modules": "encoder.layers.{0-1}.mlp.fc1", "rank": 4, "in": 32, "out": 48},
    ],
}


def fixed(model: str, adapter: Path, output: Path, **options: Any) -> Outcome:
    """What `fix` makes of it; what `check` promised before is just that."""
    outcome = repair(Wish(str(adapter), model, output=str(output), **options))
    assert isinstance(outcome, Outcome)
    if "targets" not in options:
        converted = [step.safety for step in (*outcome.plan.steps, *outcome.plan.offered) if step.kind == "convert"]
        findings = adaptlint.check(model, str(adapter)).findings
        promised = [finding.fix[0] for finding in findings if finding.code in FOREIGN and finding.fix]
        assert promised == (converted or ["display"])
    return outcome


def taken_apart(adapter: str) -> tuple[dict[str, Any], dict[str, torch.Tensor]]:
    """A healthy adapter's config and tensors, the latter without PEFT's prefix."""
    folder = Path(adapter)
    tensors = load_file(folder / "adapter_model.safetensors")
    names = {name.removeprefix("base_model.model.").removesuffix(".weight"): value for name, value in tensors.items()}
    return json.loads((folder / "adapter_config.json").read_text()), names


def as_mlx(healthy: str, folder: Path, **more: Any) -> Path:
    """The same adapter as mlx_lm writes it: `scale` is what both libraries multiply the two matrices with."""
    config, tensors = taken_apart(healthy)
    folder.mkdir()
    turned = {
        name.replace("lora_A", "lora_a").replace("lora_B", "lora_b"): value.t().contiguous()
        for name, value in tensors.items()
    }
    save_file(turned, folder / "adapters.safetensors", metadata={"format": "mlx"})
    parameters = {"rank": config["r"], "scale": config["lora_alpha"] / config["r"], "dropout": 0.0}
    written = {"fine_tune_type": "lora", "num_layers": 3, "lora_parameters": parameters, "model": "org/tiny", **more}
    (folder / "adapter_config.json").write_text(json.dumps(written, indent=4))
    return folder


def test_an_adapter_of_mlx(tmp_path: Path) -> None:
    healthy = made(tmp_path / "healthy", LLAMA, lora_alpha=10)
    other = as_mlx(healthy.adapter, tmp_path / "mlx")
    outcome = fixed(healthy.model, other, tmp_path / "fixed")
    assert ([step.safety for step in outcome.plan.steps], outcome.held) == (["safe"], 12)
    assert sorted(path.name for path in (tmp_path / "fixed").iterdir()) == [
        "adapter_config.json",
        "adapter_model.safetensors",
    ]
    same_effect(saw(healthy.model, healthy.adapter), saw(healthy.model, tmp_path / "fixed"))


def test_the_formula_of_mlx_gives_what_the_copy_gives(tmp_path: Path) -> None:
    import peft
    import transformers

    healthy = made(tmp_path / "healthy", LLAMA)
    other = as_mlx(healthy.adapter, tmp_path / "mlx")
    fixed(healthy.model, other, tmp_path / "fixed")
    scale = json.loads((other / "adapter_config.json").read_text())["lora_parameters"]["scale"]
    tensors = load_file(other / "adapters.safetensors")
    torch.manual_seed(7)
    base = transformers.AutoModelForCausalLM.from_config(transformers.AutoConfig.from_pretrained(healthy.model))
    before = {name: value.clone() for name, value in base.named_parameters()}
    merged = peft.PeftModel.from_pretrained(base, str(tmp_path / "fixed")).merge_and_unload()
    for name, value in merged.named_parameters():
        stem = name.removesuffix(".weight")
        added = torch.zeros_like(value)
        if f"{stem}.lora_a" in tensors:
            added = scale * tensors[f"{stem}.lora_b"].T @ tensors[f"{stem}.lora_a"].T  # mlx_lm, LoRALinear.fuse
            assert bool(added.any())
        assert torch.allclose(value, before[name] + added, atol=1e-7), name


@pytest.mark.parametrize(
    "more", [{"fine_tune_type": "dora"}, {"lora_parameters": {"rank": 4}}, {"lora_parameters": {"scale": "20"}}]
)
def test_what_mlx_says_otherwise_is_not_converted(more: dict[str, Any], tmp_path: Path) -> None:
    healthy = made(tmp_path / "healthy", LLAMA)
    other = as_mlx(healthy.adapter, tmp_path / "mlx", **more)
    outcome = fixed(healthy.model, other, tmp_path / "fixed", unsafe=True)
    assert (outcome.plan.steps, outcome.plan.offered, outcome.kept) == ((), (), "")


def as_hub(healthy: str, folder: Path, prefix: str = "", **config: Any) -> Path:
    """The same adapter as AdapterHub's library writes it, `prefix` being that of a class with a head."""
    settings, tensors = taken_apart(healthy)
    folder.mkdir()
    renamed = {f"{prefix}{name.replace('.lora_', '.loras.style.lora_')}": value for name, value in tensors.items()}
    torch.save(renamed, folder / "pytorch_adapter.bin")
    inner = {"architecture": "lora", "r": settings["r"], "alpha": settings["lora_alpha"], **config}
    whole = {"config": inner, "model_class": "BertModel", "model_type": "bert", "hidden_size": 32, "name": "style"}
    written = {**whole, "model_name": "bert-base", "version": "adapters.1.3.0"}
    (folder / "adapter_config.json").write_text(json.dumps(written))
    return folder


@pytest.mark.parametrize("prefix", ["", "bert."])
def test_an_adapter_of_adapterhub(prefix: str, tmp_path: Path) -> None:
    healthy = made(tmp_path / "healthy", BERT)
    model = made(tmp_path / "base", {**BERT, "base": {"from": "tiny-bert", "config": {"architectures": ["BertModel"]}}})
    other = as_hub(healthy.adapter, tmp_path / "hub", prefix)
    outcome = fixed(model.model, other, tmp_path / "fixed")
    assert ([step.safety for step in outcome.plan.steps], outcome.held) == (["safe"], 8)
    same_effect(saw(model.model, healthy.adapter), saw(model.model, tmp_path / "fixed"))
    kept = fixed(model.model, other, tmp_path / "kept", targets=("adapters==1.3.0",), unsafe=True)
    assert kept.plan.steps == ()


def test_its_head_is_asked_about(tmp_path: Path) -> None:
    healthy = made(tmp_path / "healthy", BERT)
    other = as_hub(healthy.adapter, tmp_path / "hub")
    torch.save({}, other / "pytorch_model_head.bin")
    outcome = fixed(healthy.model, other, tmp_path / "fixed")
    assert outcome.kept == ""
    assert "pytorch_model_head.bin stays behind" in outcome.plan.offered[0].summary


@pytest.mark.parametrize("config", [{"use_gating": True}, {"composition_mode": "scale"}, {"architecture": "mtl_lora"}])
def test_what_peft_cannot_compute_is_not_converted(config: dict[str, Any], tmp_path: Path) -> None:
    healthy = made(tmp_path / "healthy", BERT)
    outcome = fixed(healthy.model, as_hub(healthy.adapter, tmp_path / "hub", **config), tmp_path / "fixed", unsafe=True)
    assert (outcome.plan.steps, outcome.plan.offered) == ((), ())


@pytest.mark.parametrize("dtype", [torch.float32, torch.float16, torch.bfloat16])
def test_an_adapter_of_sd_scripts(dtype: torch.dtype, tmp_path: Path) -> None:
    patterns = {"rank_pattern": {"fc1": 4}, "alpha_pattern": {"fc1": 1.5}}
    healthy = made(tmp_path / "healthy", CLIP, **patterns)
    config, tensors = taken_apart(healthy.adapter)
    other = tmp_path / "kohya"
    other.mkdir()
    named = {}
    for name, value in tensors.items():
        path, _, side = name.rpartition(".")
        stem = f"lora_te_{path.replace('.', '_')}"
        named[f"{stem}.{'lora_down' if side == 'lora_A' else 'lora_up'}.weight"] = value
        alpha = 1.5 if path.endswith("fc1") else config["lora_alpha"]
        named[f"{stem}.alpha"] = torch.tensor(alpha, dtype=dtype)
    save_file(named, other / "style.safetensors")
    outcome = fixed(healthy.model, other, tmp_path / "fixed")
    assert ([step.kind for step in outcome.plan.steps], outcome.held) == (["convert"], 8)
    same_effect(saw(healthy.model, healthy.adapter), saw(healthy.model, tmp_path / "fixed"))


def test_modules_that_the_base_lacks_are_not_converted(tmp_path: Path) -> None:
    healthy = made(tmp_path / "healthy", LLAMA)
    other = copied(as_mlx(healthy.adapter, tmp_path / "mlx"), tmp_path / "other")
    tensors = load_file(other / "adapters.safetensors")
    tensors["model.layers.9.self_attn.q_proj.lora_a"] = torch.zeros(32, 4)
    save_file(tensors, other / "adapters.safetensors")
    assert fixed(healthy.model, other, tmp_path / "fixed", unsafe=True).plan.steps == ()
