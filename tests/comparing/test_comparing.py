"""What a change breaks: real adapters and bases, held against what real PEFT does with them."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file

from adaptlint.bases import Base, load_base, write_lock
from adaptlint.comparing import CATEGORIES, Comparison, compare
from tests.cli.running import adaptlint
from tests.conftest import ROOT
from tests.repair.cases import BASES, LLAMA, LLAVA, copied, made, same_effect, saw

WEIGHTS = "adapter_model.safetensors"


def told(comparison: Comparison) -> set[tuple[str, str, str]]:
    return {(d.category, d.about, d.name) for d in comparison.differences}


def edited(folder: str, target: Path, **config: Any) -> Path:
    place = copied(folder, target)
    given = json.loads((place / "adapter_config.json").read_text())
    (place / "adapter_config.json").write_text(json.dumps({**given, **config}))
    return place


@pytest.fixture(scope="module")
def llama(tmp_path_factory: pytest.TempPathFactory) -> Any:
    return made(tmp_path_factory.mktemp("llama"), LLAMA)


def test_the_same_adapter_has_no_difference(llama: Any, tmp_path: Path) -> None:
    place = edited(llama.adapter, tmp_path / "new", target_modules=["v_proj", "q_proj"])
    comparison = compare(llama.adapter, str(place), base=llama.model)
    assert (comparison.differences, comparison.category, comparison.exit_code("load-compatible")) == (
        (),
        "output-compatible",
        0,
    )


@pytest.mark.parametrize(
    ("change", "category"),
    [
        ({"inference_mode": False}, "output-compatible"),
        ({"lora_dropout": 0.5}, "output-compatible"),
        ({"peft_version": "0.5.0"}, "output-compatible"),
        ({"loftq_config": {"loftq_bits": 4}}, "output-compatible"),
        ({"note": "of nobody"}, "output-compatible"),
        ({"target_modules": r".*self_attn\.(q|v)_proj"}, "output-compatible"),
        ({"lora_alpha": 16}, "load-compatible"),
        ({"use_rslora": True}, "load-compatible"),
        ({"alpha_pattern": {"q_proj": 1}}, "load-compatible"),
    ],
)
def test_a_field_changes_outputs_just_where_it_is_said(
    change: dict[str, Any], category: str, llama: Any, tmp_path: Path
) -> None:
    place = edited(llama.adapter, tmp_path / "new", **change)
    comparison = compare(llama.adapter, str(place))
    assert [(d.category, d.name) for d in comparison.differences] == [(category, next(iter(change)))]
    before, after = saw(llama.model, llama.adapter), saw(llama.model, place)
    assert torch.equal(before["logits"], after["logits"]) == (category == "output-compatible")


def test_another_rank_is_trained_anew(llama: Any, tmp_path: Path) -> None:
    other = {**LLAMA, "tensors": [{**spec, "rank": 8} for spec in LLAMA["tensors"]]}
    wider = made(tmp_path, other, r=8)
    comparison = compare(llama.adapter, wider.adapter, base=llama.model)
    assert comparison.category == "re-train"
    assert ("re-train", "config", "r") in told(comparison)
    sizes = {(d.old, d.new) for d in comparison.differences if d.about == "tensor"}
    assert ("F32 [4, 32]", "F32 [8, 32]") in sizes
    assert saw(wider.model, wider.adapter)["logits"] is not None


def test_other_numbers_and_types_are_told_by_their_bytes(llama: Any, tmp_path: Path) -> None:
    place = copied(llama.adapter, tmp_path / "new")
    tensors = load_file(place / WEIGHTS)
    first, second, *_ = sorted(tensors)
    save_file({**tensors, first: tensors[first] * 1.5, second: tensors[second].half()}, place / WEIGHTS)
    reasons = {d.name: (d.category, d.reason) for d in compare(llama.adapter, str(place)).differences}
    assert reasons[first] == ("load-compatible", "other numbers")
    assert reasons[second] == ("load-compatible", "another type rounds the numbers")
    assert len(reasons) == 2


def test_tensors_that_went_or_have_another_name(llama: Any, tmp_path: Path) -> None:
    place = copied(llama.adapter, tmp_path / "new")
    tensors = load_file(place / WEIGHTS)
    kept = {f"_orig_mod.{name}": value for name, value in tensors.items() if "layers.2" not in name}
    save_file(kept, place / WEIGHTS)
    comparison = compare(llama.adapter, str(place))
    numbers = {
        category: sum(d.number for d in comparison.differences if d.category == category) for category in CATEGORIES
    }
    assert numbers == {"output-compatible": 0, "load-compatible": 0, "re-train": 4, "unknown": 8}
    assert comparison.category == "re-train"
    renamed = {f"_orig_mod.{name}": value for name, value in tensors.items()}
    save_file(renamed, place / WEIGHTS)
    assert compare(llama.adapter, str(place)).exit_code("re-train") == 3
    on_base = compare(llama.adapter, str(place), base=llama.model)
    assert ("re-train", "verdict") in {(d.category, d.about) for d in on_base.differences}


def test_the_same_model_in_two_layouts(tmp_path: Path) -> None:
    """The names of transformers before 4.52 against those after it: PEFT translates the keys of adapters."""
    new = load_base(str(BASES / "tiny-llava"))
    assert isinstance(new, Base)
    lock = tmp_path / "new.lock.json"
    write_lock(new, str(lock))
    text = json.loads(lock.read_text())
    old_tree = older(text["tree"])
    old = Base("old", "lock", {**new.record, "tree": old_tree})
    write_lock(old, str(tmp_path / "old.lock.json"))
    comparison = compare(str(tmp_path / "old.lock.json"), str(lock))
    moved = [d for d in comparison.differences if d.about == "module"]
    assert {(d.old, d.new) for d in moved} == {
        ("language_model.model.*", "model.language_model.*"),
        ("vision_tower.vision_model.*", "model.vision_tower.*"),
        ("*", "model.*"),  # the projector
    }
    assert {d.category for d in moved} == {"output-compatible"}
    assert "0.19 and newer translate" in moved[0].reason
    adapter = made(
        tmp_path / "adapter",
        LLAVA,
        {"op": "rename", "match": r"model\.model\.language_model\.", "to": "model.language_model.model."},
        {"op": "rename", "match": r"model\.model\.vision_tower\.", "to": "model.vision_tower.vision_model."},
    ).adapter
    healthy = made(tmp_path / "healthy", LLAVA)
    same_effect(saw(healthy.model, healthy.adapter), saw(healthy.model, adapter))


def older(tree: dict[str, Any]) -> dict[str, Any]:
    """The tree of LlavaForConditionalGeneration as transformers 4.51 had it."""
    whole = json.loads(json.dumps(tree))
    inner = whole["children"].pop("model")["children"]
    language = {"class": "LlamaForCausalLM", "children": {"model": inner.pop("language_model")}}
    tower = {"class": "CLIPVisionModel", "children": {"vision_model": inner.pop("vision_tower")}}
    whole["children"] = {"vision_tower": tower, **inner, "language_model": language, **whole["children"]}
    return dict(whole)


def test_a_pruned_base_against_the_full_one(llama: Any, tmp_path: Path) -> None:
    pruned = tmp_path / "pruned"
    shutil.copytree(llama.model, pruned)
    config = json.loads((pruned / "config.json").read_text())
    (pruned / "config.json").write_text(json.dumps({**config, "num_attention_heads": 2, "head_dim": 8}))
    comparison = compare(llama.model, str(pruned))
    narrower = [d for d in comparison.differences if d.about == "module"]
    assert {d.category for d in narrower} == {"re-train"}
    assert ("Linear  weight [32, 32]", "Linear  weight [16, 32]") in {(d.old, d.new) for d in narrower}
    with_adapter = compare(llama.model, str(pruned), adapter=llama.adapter)
    assert {d.name for d in with_adapter.differences if d.about == "module"} == {
        "model.layers.{0-2}.self_attn.q_proj",
    }
    (verdict,) = (d for d in with_adapter.differences if d.about == "verdict")
    assert (verdict.category, verdict.old) == ("re-train", "works")
    with pytest.raises(RuntimeError, match="size mismatch") as raised:
        saw(str(pruned), llama.adapter)
    assert verdict.new.removeprefix("fails (RuntimeError: ").removesuffix(")") in str(raised.value)


def test_a_config_that_changes_no_size(llama: Any, tmp_path: Path) -> None:
    other = tmp_path / "other"
    shutil.copytree(llama.model, other)
    config = json.loads((other / "config.json").read_text())
    (other / "config.json").write_text(json.dumps({**config, "rms_norm_eps": 0.5}))
    comparison = compare(llama.model, str(other), adapter=llama.adapter)
    assert told(comparison) == {("load-compatible", "config", "rms_norm_eps")}
    assert not torch.equal(saw(llama.model, llama.adapter)["logits"], saw(str(other), llama.adapter)["logits"])


def test_the_command_line(llama: Any, tmp_path: Path) -> None:
    place = edited(llama.adapter, tmp_path / "new", lora_alpha=16)
    done = adaptlint("diff", llama.adapter, str(place))
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith("LOAD-COMPATIBLE: the new one loads where the old one did")
    strict = adaptlint("diff", llama.adapter, str(place), "--fail-on", "load-compatible", "--format", "json")
    assert strict.returncode == 1
    document = json.loads(strict.stdout)
    assert (document["kind"], document["category"]) == ("adapters", "load-compatible")
    assert document["differences"][0]["old"] == "8"
    locks = [str(ROOT / "fixtures" / "bases" / name / "config.json") for name in ("llama-2-7b", "llama-2-13b")]
    bases = adaptlint("diff", *locks)
    assert bases.returncode == 1
    assert "re-train module lm_head" in bases.stdout


@pytest.mark.parametrize(
    ("arguments", "status", "said"),
    [
        (["{adapter}", "{model}"], 2, "is an adapter,"),
        (["{adapter}", "{adapter}", "--adapter", "{adapter}"], 2, "--adapter is for two bases"),
        (["{model}", "nowhere"], 3, "CANNOT TELL"),
        (["{adapter}", "{broken}"], 3, "the tensors cannot be read"),
    ],
)
def test_what_cannot_be_compared_is_said(
    arguments: list[str], status: int, said: str, llama: Any, tmp_path: Path
) -> None:
    broken = copied(llama.adapter, tmp_path / "broken")
    (broken / WEIGHTS).write_bytes(b"\xff" * 20)
    words = {"adapter": llama.adapter, "model": llama.model, "broken": str(broken)}
    done = adaptlint("diff", *(argument.format(**words) for argument in arguments))
    assert done.returncode == status
    assert said in " ".join((done.stdout + done.stderr).split())
    assert "Traceback" not in done.stderr


def test_categories_go_from_harmless_to_breaking() -> None:
    assert CATEGORIES == ("output-compatible", "load-compatible", "unknown", "re-train")


@pytest.mark.parametrize("name", ["tiny-llama", "tiny-t5", "tiny-qwen2-vl", "tiny-gpt2"])
def test_a_base_and_its_own_lock_are_one(name: str, tmp_path: Path) -> None:
    """A lock has the defaults of the class filled in; that a config.json leaves them out is no difference."""
    lock = str(tmp_path / "base.lock.json")
    base = load_base(str(BASES / name))
    assert isinstance(base, Base)
    write_lock(base, lock)
    for comparison in (compare(str(BASES / name), lock), compare(lock, str(BASES / name))):
        assert (comparison.differences, comparison.category) == ((), "output-compatible")


def test_a_field_that_one_config_spells_out_is_a_difference_if_it_is_no_default(tmp_path: Path) -> None:
    for value, found in ((10000.0, []), (50000.0, ["rope_parameters"])):
        shutil.copytree(BASES / "tiny-llama", tmp_path / str(value))
        path = tmp_path / str(value) / "config.json"
        path.write_text(json.dumps({**json.loads(path.read_text()), "rope_theta": value}))
        comparison = compare(str(BASES / "tiny-llama"), str(path.parent))
        assert [d.name for d in comparison.differences] == found


def test_defaults_of_another_release_are_not_compared(tmp_path: Path) -> None:
    lock = tmp_path / "base.lock.json"
    base = load_base(str(BASES / "tiny-llama"))
    assert isinstance(base, Base)
    base.record["made_with"] = {**base.made_with, "transformers": "4.46.0"}
    base.record["config"] = {**base.resolved_config, "a_field_of_then": 1}
    write_lock(base, str(lock))
    comparison = compare(str(lock), str(BASES / "tiny-llama"))
    assert comparison.differences == ()
    assert any("a_field_of_then" in said for said in comparison.not_compared)
