"""PEFT's adapters for other libraries: the files that those write themselves, and refusals of what is not exact."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file

from adaptlint.repair import Outcome, Wish, repair
from tests.cli.running import adaptlint
from tests.repair.cases import GPT2, LLAMA, files_of, made, same_effect, saw
from tests.repair.recorded import BERT, CLIP, CLIP_WHOLE, RECORDED


def exported(model: str, adapter: str, target: str, output: Path, **options: Any) -> Outcome:
    outcome = repair(Wish(str(adapter), model, (target,), output=str(output), **options))
    assert isinstance(outcome, Outcome)
    return outcome


def kept(model: str, adapter: str, target: str, output: Path, **options: Any) -> Path:
    before = files_of(adapter)
    outcome = exported(model, adapter, target, output, **options)
    assert outcome.kept, (outcome.problem, outcome.plan.refused)
    assert files_of(adapter) == before
    return output


@pytest.mark.parametrize(("name", "table"), [("tiny-bert", BERT), ("tiny-llama", LLAMA)])
def test_adapterhub_s_files(name: str, table: Any, tmp_path: Path) -> None:
    """Config and tensors are what the library itself saved for such a LoRA (recorded), the bytes are PEFT's."""
    built = made(tmp_path, table)
    copy = kept(built.model, built.adapter, "adapters==1.3.0", tmp_path / "copy")
    assert sorted(path.name for path in copy.iterdir()) == ["adapter_config.json", "pytorch_adapter.bin"]
    state = torch.load(copy / "pytorch_adapter.bin", weights_only=True)
    record = RECORDED[f"adapters-{name}"]
    assert json.loads((copy / "adapter_config.json").read_text()) == record["config"]
    assert {key: [str(value.dtype), list(value.shape)] for key, value in state.items()} == record["tensors"]
    old = load_file(Path(built.adapter) / "adapter_model.safetensors")
    for key, value in state.items():
        peft = key.replace(".loras.default.lora_A", ".lora_A.weight").replace(".loras.default.lora_B", ".lora_B.weight")
        assert torch.equal(value, old[f"base_model.model.{peft}"])


def test_mlx_s_files(tmp_path: Path) -> None:
    built = made(tmp_path, LLAMA, lora_alpha=10)
    copy = kept(built.model, built.adapter, "mlx-lm", tmp_path / "copy")
    config = json.loads((copy / "adapter_config.json").read_text())
    keys = ["self_attn.q_proj", "self_attn.v_proj"]
    assert config["lora_parameters"] == {"dropout": 0.0, "keys": keys, "rank": 4, "scale": 2.5}
    assert (config["fine_tune_type"], config["num_layers"]) == ("lora", 3)
    record = RECORDED["mlx"]
    with safe_open(copy / "adapters.safetensors", "pt") as file:
        assert file.metadata() == record["metadata"]
        names = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 - it is no mapping
    shapes = {name: shape for name, (_, shape) in record["tensors"].items()}
    assert {name: list(value.shape) for name, value in names.items()} == shapes
    old = load_file(Path(built.adapter) / "adapter_model.safetensors")
    for name, value in names.items():
        peft = name.replace("lora_a", "lora_A.weight").replace("lora_b", "lora_B.weight")
        assert torch.equal(value.t(), old[f"base_model.model.{peft}"])


def test_sd_scripts_file(tmp_path: Path) -> None:
    built = made(tmp_path, CLIP, alpha_pattern={"fc1": 1.5})
    shy = exported(built.model, built.adapter, "sd-scripts", tmp_path / "shy")
    assert [step.safety for step in shy.plan.offered] == ["unsafe"]
    copy = kept(built.model, built.adapter, "sd-scripts", tmp_path / "copy", unsafe=True)
    (file,) = copy.iterdir()
    tensors = load_file(file)
    start = "lora_te_text_model_encoder_layers_0"
    assert tensors[f"{start}_mlp_fc1.alpha"].item() == 1.5
    assert tensors[f"{start}_self_attn_q_proj.alpha"].item() == 2.0
    old = load_file(Path(built.adapter) / "adapter_model.safetensors")
    assert torch.equal(
        tensors[f"{start}_mlp_fc1.lora_up.weight"], old["base_model.model.encoder.layers.0.mlp.fc1.lora_B.weight"]
    )


@pytest.mark.parametrize(
    ("table", "target"), [(BERT, "adapters"), (LLAMA, "adapters"), (LLAMA, "mlx-lm"), (CLIP_WHOLE, "diffusers")]
)
def test_there_and_back(table: Any, target: str, tmp_path: Path) -> None:
    built = made(tmp_path, table)
    there = kept(built.model, built.adapter, target, tmp_path / "there", unsafe=True)
    back = kept(built.model, str(there), "peft", tmp_path / "back")
    same_effect(saw(built.model, built.adapter), saw(built.model, back))
    again = exported(built.model, str(there), target, tmp_path / "again", unsafe=True)
    assert (again.plan.steps, again.plan.offered, again.plan.refused) == ((), (), ())


def test_from_one_foreign_library_to_another(tmp_path: Path) -> None:
    built = made(tmp_path, LLAMA)
    mlx = kept(built.model, built.adapter, "mlx-lm", tmp_path / "mlx")
    hub = kept(built.model, str(mlx), "adapters", tmp_path / "hub")
    state = torch.load(hub / "pytorch_adapter.bin", weights_only=True)
    direct = kept(built.model, built.adapter, "adapters", tmp_path / "direct")
    other = torch.load(direct / "pytorch_adapter.bin", weights_only=True)
    assert state.keys() == other.keys()
    assert all(torch.equal(value, other[name]) for name, value in state.items())


def test_the_root_of_the_rank(tmp_path: Path) -> None:
    """A factor that both libraries can say is converted, one that would be rounded is not."""
    built = made(tmp_path / "four", BERT, use_rslora=True)
    copy = kept(built.model, built.adapter, "adapters", tmp_path / "copy")
    assert json.loads((copy / "adapter_config.json").read_text())["config"]["alpha"] == 12
    eight = {**LLAMA, "tensors": [{**spec, "rank": 8} for spec in LLAMA["tensors"]]}
    built = made(tmp_path / "eight", eight, use_rslora=True, r=8)
    refused = exported(built.model, built.adapter, "adapters", tmp_path / "none").plan.refused
    assert "would be rounded" in refused[0][1]
    mlx = kept(built.model, built.adapter, "mlx-lm", tmp_path / "mlx")
    assert json.loads((mlx / "adapter_config.json").read_text())["lora_parameters"]["scale"] == 8 / 8**0.5


V_DROPPED = {"op": "drop", "match": r"layers\.1\..*v_proj"}
UNEQUAL = {
    **LLAMA,
    "config": {**LLAMA["config"], "rank_pattern": {"v_proj": 2}, "alpha_pattern": {"v_proj": 4}},
    "tensors": [LLAMA["tensors"][0], {**LLAMA["tensors"][1], "rank": 2}],
}
HALF = {**LLAMA, "config": {**LLAMA["config"], "target_modules": r".*(q_proj|layers\.[02]\..*v_proj)"}}
HEAD = {"modules": "lm_head", "rank": 4, "in": 32, "out": 96}
REFUSED = {
    "dora": (LLAMA, [], {"use_dora": True}, "adapters", "outcome"),
    "pissa": (LLAMA, [], {"init_lora_weights": "pissa"}, "mlx-lm", "base's own weights"),
    "ranks": (UNEQUAL, [], {}, "mlx-lm", "different ranks (2, 4)"),
    "scales": (LLAMA, [], {"alpha_pattern": {"v_proj": 2}}, "mlx-lm", "different scales"),
    "alphas": (LLAMA, [], {"alpha_pattern": {"v_proj": 2}}, "adapters", "different alphas"),
    "layers": (HALF, [V_DROPPED], {}, "adapters", "cannot name these modules without"),
    "incomplete": (LLAMA, [V_DROPPED], {}, "mlx-lm", "wrong (AL201)"),
    "conv1d": (GPT2, [], {}, "adapters", "a Conv1D"),
    "unknown-model": (BERT, [], {}, "mlx-lm", "not known that mlx_lm has bert models"),
    "no-encoder": (LLAMA, [], {}, "sd-scripts", "no text encoder of CLIP"),
    "attention": (CLIP, [], {}, "diffusers", "out_proj"),
    "file-there": (LLAMA, [{"op": "write", "file": "adapters.safetensors", "text": ""}], {}, "mlx-lm", "already"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_is_not_exact_is_refused_with_the_reason(name: str, tmp_path: Path) -> None:
    table, mutations, config, target, because = REFUSED[name]
    built = made(tmp_path, table, *mutations, **config)
    outcome = exported(built.model, built.adapter, target, tmp_path / "copy", unsafe=True)
    (reason,) = [reason for step, reason in outcome.plan.refused if step.kind == "convert"]
    assert because in reason
    assert not (tmp_path / "copy").exists()


def test_the_command_says_what_it_did_or_why_not(tmp_path: Path) -> None:
    built = made(tmp_path, LLAMA)
    shown = adaptlint("fix", built.adapter, "--base", built.model, "--target", "mlx-lm", "--diff")
    assert "+model.layers.{0-2}.self_attn.q_proj.lora_a (transposed)" in shown.stdout
    assert '+    "scale": 2.0' in shown.stdout
    done = adaptlint("fix", built.adapter, "--base", built.model, "--target", "mlx-lm", "--output", str(tmp_path / "c"))
    assert done.returncode == 0
    assert "converted back to PEFT it has the same matrices and scales" in done.stdout
    assert adaptlint("check", built.model, str(tmp_path / "c"), "--target", "mlx-lm").returncode == 0
    other = made(tmp_path / "other", LLAMA, alpha_pattern={"v_proj": 2})
    refused = adaptlint("fix", other.adapter, "--base", other.model, "--target", "mlx-lm")
    assert refused.returncode == 1
    said = "not done: convert 12 tensors of PEFT to MLX\n    because its modules have different scales"
    assert said in refused.stdout
