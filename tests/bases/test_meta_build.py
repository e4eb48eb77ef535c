"""What a build records is what transformers itself answers."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from adaptlint.bases import Base, load_base

torch = pytest.importorskip("torch")
transformers = pytest.importorskip("transformers")

NAMES = [
    "tiny-bert", "tiny-bloom", "tiny-clip", "tiny-gemma3", "tiny-gpt-neox", "tiny-gpt2", "tiny-jamba", "tiny-llama",
    "tiny-llava", "tiny-mixtral", "tiny-opt", "tiny-qwen2-vl", "tiny-qwen3-moe", "tiny-resnet", "tiny-roberta",
    "tiny-t5", "tiny-vit", "tiny-wav2vec2", "tiny-whisper",
]  # fmt: skip


def loaded(path: Path, **wanted: Any) -> Base:
    base = load_base(str(path), **wanted)
    assert isinstance(base, Base), base
    return base


def live(path: Path, base: Base) -> Any:
    config = transformers.AutoConfig.from_pretrained(path)
    return getattr(transformers, str(base.model_class))(config)


@pytest.mark.parametrize("name", NAMES)
def test_the_table_is_named_modules(name: str, root: Path) -> None:
    folder = root / "fixtures" / "bases" / name
    base = loaded(folder)
    model = live(folder, base)
    modules = [
        (path, type(module).__name__, [(key, tuple(p.shape)) for key, p in module.named_parameters(recurse=False)])
        for path, module in model.named_modules()
    ]
    assert [(m.path, m.cls, list(m.params.items())) for m in [base.root, *base.modules]] == modules
    own = {f"{m.path}.{name}".lstrip(".") for m in [base.root, *base.modules] for name in [*m.params, *m.buffers]}
    assert own == set(model.state_dict())
    pairs = {(id(p), name) for name, p in model.named_parameters(remove_duplicate=False)}
    for first, other in base.ties:
        assert {first, other} <= {name for key, name in pairs if key == id(model.get_parameter(first))}


@pytest.mark.parametrize("name", NAMES)
def test_the_models_own_checkpoint_agrees(name: str, root: Path, tmp_path: Path) -> None:
    """`save_pretrained` writes the names of older releases (unfused experts, old prefixes): all must be found again."""
    folder = root / "fixtures" / "bases" / name
    live(folder, loaded(folder)).save_pretrained(tmp_path)
    (tmp_path / "config.json").write_bytes((folder / "config.json").read_bytes())
    base = loaded(tmp_path)
    assert base.headers is not None
    assert base.overlay == ({}, [], [], [])


@pytest.mark.parametrize("name", ["tiny-mixtral", "tiny-llava", "tiny-qwen2-vl", "tiny-vit", "tiny-bert"])
def test_transforms_rename_as_transformers_does(name: str, root: Path) -> None:
    from transformers.conversion_mapping import get_model_conversion_mapping
    from transformers.core_model_loading import WeightConverter, rename_source_key

    from adaptlint.bases.transforms import rename_key, split_transforms

    folder = root / "fixtures" / "bases" / name
    base = loaded(folder)
    entries = get_model_conversion_mapping(live(folder, base))
    converters = [entry for entry in entries if isinstance(entry, WeightConverter)]
    renamings = [entry for entry in entries if entry not in converters]
    ours = split_transforms(base.transforms)
    keys = [
        "model.layers.1.block_sparse_moe.experts.3.w1.weight", "block_sparse_moe.gate.weight",
        "language_model.model.norm", "vision_tower.vision_model.encoder.layers.0.mlp.fc1.bias",
        "visual.blocks.0.attn.qkv.weight", "lm_head.weight",
        "model.layers.0.mlp.up_proj.weight", "bert.encoder.layer.0.output.LayerNorm.gamma",
        "multi_modal_projector.x.weight", "vit.encoder.layer.1.attention.attention.query.weight",
        "encoder.layer.0.attention.output.dense.bias",
    ]  # fmt: skip
    for key in [*keys, *base.parameters()]:
        renamed, _, source = rename_key(key, *ours)
        assert (renamed, source) == rename_source_key(key, renamings, converters), key


def test_features(root: Path) -> None:
    bases = root / "fixtures" / "bases"
    mixtral = loaded(bases / "tiny-mixtral", task="CAUSAL_LM")
    assert mixtral.conversion is not None
    gate_up = next(entry for entry in mixtral.conversion if entry["targets"] == [".experts.gate_up_proj"])
    assert [op["name"] for op in gate_up["operations"]] == ["MergeModulelist", "Concatenate"]
    experts = mixtral.by_path["model.layers.0.mlp.experts"]
    assert experts.params["gate_up_proj"] == (4, 96, 32)
    llama = loaded(bases / "tiny-llama")
    assert llama.conversion is None
    assert (llama.input_embedding, llama.output_embedding) == ("model.embed_tokens", "lm_head")
    assert llama.answers("AutoModelForCausalLM")
    assert not llama.answers("AutoModel")
    assert llama.features["prepare_inputs_for_generation"] is True
    gpt2 = loaded(bases / "tiny-gpt2")
    assert gpt2.by_path["transformer.h.0.attn.c_attn"].kind == "Conv1D"
    assert gpt2.ties == [("transformer.wte.weight", "lm_head.weight")]
    t5 = loaded(bases / "tiny-t5")
    assert ("shared.weight", "encoder.embed_tokens.weight") in t5.ties
    assert loaded(bases / "tiny-resnet").features["input_embedding_error"][0] == "NotImplementedError"


def test_the_class_follows_the_task(root: Path) -> None:
    llama = root / "fixtures" / "bases" / "tiny-llama"
    assert loaded(llama, task="SEQ_CLS").model_class == "LlamaForSequenceClassification"
    assert loaded(llama, model_class="AutoModel").model_class == "LlamaModel"
    assert loaded(llama, model_class="LlamaForTokenClassification").model_class == "LlamaForTokenClassification"
    assert loaded(llama, task="FROM_THE_FUTURE").model_class == "LlamaForCausalLM"


@pytest.mark.parametrize(
    "packing",
    [
        {"quant_method": "gptq", "bits": 4},
        {"quant_method": "awq", "bits": 4},
        {"quant_method": "fp8", "weight_block_size": [128, 128]},
        {"load_in_4bit": True, "bnb_4bit_quant_type": "nf4"},
    ],
)
def test_quantised_configs_give_logical_shapes(packing: dict[str, Any], root: Path, tmp_path: Path) -> None:
    plain = root / "fixtures" / "bases" / "tiny-llama" / "config.json"
    config = {**json.loads(plain.read_text()), "quantization_config": packing, "torch_dtype": "float16"}
    (tmp_path / "config.json").write_text(json.dumps(config))
    base = loaded(tmp_path)
    assert base.features["quantization"] == packing.get("quant_method", "bitsandbytes")
    assert base.features["dtype"] == "float16"
    assert base.modules == loaded(plain.parent).modules


def test_the_real_sizes(root: Path) -> None:
    base = loaded(root / "fixtures" / "bases" / "llama-2-13b", task="CAUSAL_LM")
    assert base.by_path["model.layers.39.self_attn.q_proj"].params == {"weight": (5120, 5120)}
    assert len(json.dumps(base.tree)) < 1400


def test_remote_code_is_never_asked_for(root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> str:
        raise AssertionError("prompted")

    monkeypatch.setattr("builtins.input", refuse)
    config = json.loads((root / "fixtures" / "bases" / "tiny-llama" / "config.json").read_text())
    config["auto_map"] = {"AutoConfig": "evil.Config", "AutoModelForCausalLM": "evil.Model"}
    config["architectures"] = ["EvilForCausalLM"]
    (tmp_path / "config.json").write_text(json.dumps(config))
    (tmp_path / "evil.py").write_text("raise SystemExit('ran')")
    base = loaded(tmp_path)
    assert (base.model_class, base.features["chosen_by"]) == ("LlamaForCausalLM", "auto_map")


def test_a_shared_module_is_listed_once_and_found_under_every_path(root: Path) -> None:
    """As T5's embedding is in transformers 4."""
    from adaptlint.bases.answers import _aliases

    model = torch.nn.Module()
    model.shared = torch.nn.Sequential(torch.nn.Linear(2, 3))
    model.encoder = torch.nn.ModuleDict({"embed": model.shared})
    assert _aliases(model) == {"encoder.embed": "shared"}
    base = loaded(root / "fixtures" / "bases" / "tiny-llama")
    record = {**base.record, "aliases": {"other": "model.norm", "far.layers": "model.layers"}}
    shared = Base("ref", "meta", record)
    assert len(shared.modules) == len(base.modules)
    assert shared.by_path["other"].path == "model.norm"
    assert shared.by_path["far.layers.0.mlp.up_proj"].path == "model.layers.0.mlp.up_proj"
