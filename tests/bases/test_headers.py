"""The base's own checkpoint: its sizes win, what differs is kept, and without a class it stands alone."""

from __future__ import annotations

import json
import struct
from pathlib import Path
from typing import Any

import pytest

from adaptlint.bases import Base, load_base

Shape = tuple[int, ...]


def checkpoint(folder: Path, shapes: dict[str, Shape], dtypes: dict[str, str] | None = None) -> None:
    """A safetensors file whose data section is a hole."""
    header, end = {}, 0
    for name, shape in shapes.items():
        kind = (dtypes or {}).get(name, "F16")
        size = {"F16": 2, "I32": 4}.get(kind, 1)
        for length in shape:
            size *= length
        header[name] = {"dtype": kind, "shape": list(shape), "data_offsets": [end, end + size]}
        end += size
    text = json.dumps(header).encode()
    with (folder / "model.safetensors").open("wb") as stream:
        stream.write(struct.pack("<Q", len(text)) + text)
        stream.truncate(8 + len(text) + end)


def config(root: Path, name: str, **changes: Any) -> dict[str, Any]:
    return {**json.loads((root / "fixtures" / "bases" / name / "config.json").read_text()), **changes}


def loaded(folder: Path, settings: dict[str, Any] | None, **wanted: Any) -> Base:
    if settings is not None:
        (folder / "config.json").write_text(json.dumps(settings))
    base = load_base(str(folder), **wanted)
    assert isinstance(base, Base), base
    return base


@pytest.fixture(scope="module")
def shapes(root: Path) -> dict[str, Shape]:
    """Parameters of the tiny Llama."""
    pytest.importorskip("transformers")
    base = load_base(str(root / "fixtures" / "bases" / "tiny-llama"))
    assert isinstance(base, Base)
    return base.parameters()


@pytest.fixture
def no_class(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """No torch, no shipped table, and nothing in the cache."""
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    monkeypatch.setattr("adaptlint.bases.families.FOLDER", str(tmp_path / "no-tables"))
    monkeypatch.setenv("ADAPTLINT_CACHE", str(tmp_path / "cache"))


def test_a_width_pruned_base(root: Path, tmp_path: Path, shapes: dict[str, Shape]) -> None:
    pruned = {n: (16, 32) if n.endswith("q_proj.weight") else s for n, s in shapes.items()}
    checkpoint(tmp_path, pruned)
    base = loaded(tmp_path, config(root, "tiny-llama"))
    assert [entry[0] for entry in base.disagreements] == [f"model.layers.{n}.self_attn.q_proj.weight" for n in range(3)]
    assert base.disagreements[0][1:] == ((16, 32), (32, 32))
    assert base.by_path["model.layers.2.self_attn.q_proj"].params == {"weight": (16, 32)}
    assert base.by_path["model.layers.2.self_attn.k_proj"].params == {"weight": (16, 32)}
    assert list(base.tree["children"]["model"]["children"]["layers"]["children"]) == ["0-2"]
    assert base.certain_kinds


def test_depth(root: Path, tmp_path: Path, shapes: dict[str, Shape]) -> None:
    kept = {name: shape for name, shape in shapes.items() if ".2." not in name}
    extra = {name.replace(".1.", ".7."): shape for name, shape in shapes.items() if ".1." in name}
    checkpoint(tmp_path, {**kept, **extra})
    base = loaded(tmp_path, config(root, "tiny-llama"))
    assert base.overlay is not None
    assert {name.split(".")[2] for name in base.overlay.unsaved} == {"2"}
    assert {name.split(".")[2] for name in base.overlay.surplus} == {"7"}
    assert "model.layers.2" in base.by_path
    assert "model.layers.7" not in base.by_path


def test_a_body_checkpoint_and_a_tied_head(root: Path, tmp_path: Path) -> None:
    pytest.importorskip("transformers")
    table = loaded(root / "fixtures" / "bases" / "tiny-gpt2", None).parameters()
    body = {n.removeprefix("transformer."): s for n, s in table.items() if n != "lm_head.weight"}
    body["wte.weight"] = (80, 32)
    checkpoint(tmp_path, body)
    base = loaded(tmp_path, config(root, "tiny-gpt2"))
    assert base.overlay is not None
    assert base.overlay.disagreements == [("transformer.wte.weight", (80, 32), (96, 32))]
    assert (base.overlay.unsaved, base.overlay.surplus) == ([], [])
    assert base.by_path["lm_head"].params == {"weight": (80, 32)}


def test_old_expert_names_are_merged_before_they_are_compared(root: Path, tmp_path: Path) -> None:
    pytest.importorskip("transformers")
    experts = "model.layers.0.block_sparse_moe.experts"
    names = {f"{experts}.{n}.{w}.weight": (40, 32) for n in range(4) for w in ("w1", "w3")}
    checkpoint(tmp_path, {**names, **{f"{experts}.{n}.w2.weight": (32, 40) for n in range(4)}})
    base = loaded(tmp_path, config(root, "tiny-mixtral"))
    assert base.disagreements == [
        ("model.layers.0.mlp.experts.gate_up_proj", (4, 80, 32), (4, 96, 32)),
        ("model.layers.0.mlp.experts.down_proj", (4, 32, 40), (4, 32, 48)),
    ]


def test_packed_tensors_do_not_override(root: Path, tmp_path: Path, shapes: dict[str, Shape]) -> None:
    packed = {name: (shape[0] * shape[-1] // 2, 1) if "_proj" in name else shape for name, shape in shapes.items()}
    checkpoint(tmp_path, packed, dtypes={name: "U8" for name in packed if "_proj" in name})
    said = config(root, "tiny-llama", quantization_config={"quant_method": "bitsandbytes", "load_in_4bit": True})
    for settings in (said, config(root, "tiny-llama")):
        base = loaded(tmp_path, settings)
        assert base.disagreements == []
        assert base.parameters() == shapes


def test_a_broken_checkpoint_leaves_the_config(root: Path, tmp_path: Path, shapes: dict[str, Shape]) -> None:
    (tmp_path / "model.safetensors").write_bytes(b"version https://git-lfs.github.com/spec/v1\n")
    base = loaded(tmp_path, config(root, "tiny-llama"))
    assert base.headers is None
    assert base.header_problem is not None
    assert base.parameters() == shapes


@pytest.mark.usefixtures("no_class")
class TestAlone:
    def test_llama(self, root: Path, tmp_path: Path, shapes: dict[str, Shape]) -> None:
        checkpoint(tmp_path, dict(sorted(shapes.items())))
        base = loaded(tmp_path, config(root, "tiny-llama"), task="CAUSAL_LM")
        assert (base.source, base.certain_kinds, base.model_class) == ("headers", False, "LlamaForCausalLM")
        assert base.parameters() == shapes
        assert {p: m.kind for p, m in base.by_path.items() if m.kind and ".1" not in p and ".2" not in p} == {
            "lm_head": "Linear",
            "model.embed_tokens": "Embedding",
            "model.layers": "ModuleList",
            "model.norm": "LayerNorm",
            **{f"model.layers.0.{name}": "LayerNorm" for name in ("input_layernorm", "post_attention_layernorm")},
            **{f"model.layers.0.mlp.{name}_proj": "Linear" for name in ("down", "gate", "up")},
            **{f"model.layers.0.self_attn.{name}_proj": "Linear" for name in "kovq"},
        }
        assert (base.input_embedding, base.output_embedding) == ("model.embed_tokens", "lm_head")

    def test_gpt2_body(self, root: Path, tmp_path: Path) -> None:
        checkpoint(tmp_path, {"wte.weight": (96, 32), "wpe.weight": (64, 32), "h.0.attn.c_attn.weight": (32, 96)})
        base = loaded(tmp_path, config(root, "tiny-gpt2"), task="CAUSAL_LM")
        assert base.by_path["transformer.h.0.attn.c_attn"].kind == "Conv1D"
        assert base.by_path["transformer.wpe"].kind == "Embedding"
        assert base.by_path["lm_head"].params == {"weight": (96, 32)}
        assert base.ties == [("transformer.wte.weight", "lm_head.weight")]
        assert "wte" in loaded(tmp_path, None, model_class="AutoModel").by_path

    def test_a_head_that_another_task_lacks(self, root: Path, tmp_path: Path, shapes: dict[str, Shape]) -> None:
        checkpoint(tmp_path, shapes)
        base = loaded(tmp_path, config(root, "tiny-llama"), task="SEQ_CLS")
        assert base.output_embedding is None
        assert "lm_head" not in base.by_path
        assert base.model_class is None

    @pytest.mark.parametrize(("method", "stored"), [("gptq", (8, 48)), ("awq", (64, 6))])
    def test_packed_words_are_unpacked(self, method: str, stored: Shape, root: Path, tmp_path: Path) -> None:
        name = "model.layers.0.mlp.gate_proj"
        checkpoint(
            tmp_path,
            {f"{name}.qweight": stored, f"{name}.qzeros": (1, 6), f"{name}.scales": (1, 48), f"{name}.g_idx": (64,)},
            dtypes={f"{name}.qweight": "I32", f"{name}.qzeros": "I32", f"{name}.g_idx": "I32"},
        )
        packing = {"quant_method": method, "bits": 4}
        base = loaded(tmp_path, config(root, "tiny-llama", quantization_config=packing))
        assert base.by_path[name].params == {"weight": (48, 64)}
        assert base.features["quantization"] == method

    def test_no_config_and_odd_names(self, tmp_path: Path) -> None:
        checkpoint(tmp_path, {"a..b": (2,), "": (1,), ".": (1,), "x.weight": (3, 2, 1), "x.weight.absmax": (4,)})
        base = loaded(tmp_path, None)
        assert base.by_path["x"].kind == "Conv1d"
        assert base.model_type is None
