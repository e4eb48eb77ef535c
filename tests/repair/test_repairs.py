"""What is broken is repaired to what it was: real PEFT computes with the copy what it computed with the original."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from safetensors.torch import load_file, save_file

from adaptlint.repair import Outcome, Wish, repair
from tests.repair.cases import GPT2, LLAMA, LLAVA, copied, files_of, made, same_effect, saw

PEFT = "base_model.model."


def rename(match: str, to: str) -> dict[str, str]:
    return {"op": "rename", "match": match, "to": to}


# name: (recipe, mutations, config, codes that go away, needs --unsafe)
BROKEN: dict[str, tuple[Any, list[dict[str, Any]], dict[str, Any], set[str], bool]] = {
    "compiled": (LLAMA, [rename("^", "_orig_mod.")], {}, {"AL203"}, False),
    "compiled-inside": (LLAMA, [rename(r"^base_model\.model\.", f"{PEFT}_orig_mod.")], {}, {"AL203"}, False),
    "data-parallel": (LLAMA, [rename("^", "module.")], {}, {"AL203"}, False),
    "doubled": (LLAMA, [rename("^", PEFT)], {}, {"AL203"}, False),
    "without-prefix": (LLAMA, [rename(r"^base_model\.model\.", "")], {}, {"AL203"}, False),
    "name-in-keys": (LLAMA, [rename(r"\.weight$", ".style.weight")], {}, {"AL203"}, False),
    "three-wrappers": (
        LLAMA,
        [rename("^", "module._orig_mod."), rename(r"\.weight$", ".style.weight")],
        {},
        {"AL203"},
        False,
    ),
    "one-layer-wrapped": (
        LLAMA,
        [rename(r"layers\.1\.", "layers.1._checkpoint_wrapped_module.")],
        {},
        {"AL201", "AL202"},
        False,
    ),
    "two-histories": (
        LLAMA,
        [rename(r"^(.*layers\.0\.)", r"_orig_mod.\1"), rename(r"^(base.*layers\.[12]\.)", r"module.\1")],
        {},
        {"AL203"},
        False,
    ),
    "bare-model": (LLAMA, [rename(r"^base_model\.model\.model\.", PEFT)], {}, {"AL203"}, False),
    "something-around": (LLAMA, [rename("^", "policy.")], {}, {"AL203"}, True),
    "older-names-of-a-model-that-sees": (
        LLAVA,
        [
            rename(r"model\.model\.language_model\.", "model.language_model.model."),
            rename(r"model\.model\.vision_tower\.", "model.vision_tower.vision_model."),
            rename("^", "_orig_mod."),
        ],
        {},
        {"AL203"},
        False,
    ),
    "targets-of-gpt2": (LLAMA, [], {"target_modules": ["c_attn"]}, {"AL106"}, False),
    "targets-unsaid": (GPT2, [], {"target_modules": []}, {"AL106"}, False),
    "targets-as-letters": (LLAMA, [], {"target_modules": list("q_proj")}, {"AL120"}, False),
    "targets-too-few": (LLAMA, [], {"target_modules": ["q_proj"]}, {"AL202"}, True),
    "wrapped-and-without-targets": (
        LLAMA,
        [rename("^", "_orig_mod.")],
        {"target_modules": ["c_attn"]},
        {"AL106"},
        False,
    ),
    "byte-order-mark": (
        LLAMA,
        [{"op": "replace", "file": "adapter_config.json", "find": '{\n  "alora', "with": '\ufeff{\n  "alora'}],
        {},
        {"AL004"},
        False,
    ),
    "field-of-nobody": (LLAMA, [], {"trainer_note": "tuesday"}, {"AL102"}, True),
    "under-another-name": (
        LLAMA,
        [{"op": "move", "to": "lora_final.safetensors"}],
        {},
        {"AL023"},
        False,
    ),
}


def fixed(model: str, adapter: str | Path, output: Path, unsafe: bool = False, **options: Any) -> Outcome:
    outcome = repair(Wish(str(adapter), model, output=str(output), unsafe=unsafe, **options))
    assert isinstance(outcome, Outcome)
    return outcome


@pytest.mark.parametrize("name", BROKEN)
def test_the_copy_computes_what_the_original_did(name: str, tmp_path: Path) -> None:
    table, mutations, config, codes, unsafe = BROKEN[name]
    healthy = made(tmp_path / "healthy", table)
    broken = made(tmp_path / "broken", table, *mutations, **config)
    before = files_of(broken.adapter)
    if unsafe:
        shy = fixed(broken.model, broken.adapter, tmp_path / "shy")
        assert not (tmp_path / "shy").exists()
        assert [step.safety for step in shy.plan.offered] == ["unsafe"]
    outcome = fixed(broken.model, broken.adapter, tmp_path / "fixed", unsafe=unsafe)
    assert outcome.problem == ""
    assert codes <= {code for step in outcome.plan.steps for code in step.about}
    assert outcome.report.verdicts[0].outcome == "works"
    assert files_of(broken.adapter) == before
    same_effect(saw(healthy.model, healthy.adapter), saw(broken.model, tmp_path / "fixed"))
    again = fixed(broken.model, tmp_path / "fixed", tmp_path / "again", unsafe=True)
    assert (again.plan.steps, again.plan.offered, again.kept) == ((), (), "")


IA3 = {
    "base": "tiny-llama",
    "config": {"peft_type": "IA3", "target_modules": ["k_proj"], "feedforward_modules": []},
    "tensors": [{"name": "base_model.model.model.layers.{0-2}.self_attn.k_proj.ia3_l", "shape": [16, 1]}],
}
LOHA = {
    "base": "tiny-llama",
    "config": {"peft_type": "LOHA", "target_modules": ["q_proj"], "r": 4},
    "tensors": [
        {"name": f"base_model.model.model.layers.{{0-2}}.self_attn.q_proj.hada_w{n}_{side}", "shape": shape}
        for n in (1, 2)
        for side, shape in (("a", [32, 4]), ("b", [4, 32]))
    ],
}


@pytest.mark.parametrize("table", [IA3, LOHA], ids=["ia3", "loha"])
def test_other_methods_have_the_same_wrappers(table: Any, tmp_path: Path) -> None:
    healthy = made(tmp_path / "healthy", table)
    broken = made(tmp_path / "broken", table, rename("^", "module._orig_mod."))
    outcome = fixed(broken.model, broken.adapter, tmp_path / "fixed")
    assert [step.safety for step in outcome.plan.steps] == ["safe"]
    same_effect(saw(healthy.model, healthy.adapter), saw(broken.model, tmp_path / "fixed"))


@pytest.mark.parametrize("table", [LLAMA, GPT2], ids=["llama", "gpt2"])
def test_a_healthy_adapter_is_left_alone(table: Any, tmp_path: Path) -> None:
    healthy = made(tmp_path, table)
    outcome = fixed(healthy.model, healthy.adapter, tmp_path / "fixed", unsafe=True)
    assert (outcome.plan.steps, outcome.plan.offered, outcome.plan.refused) == ((), (), ())
    assert not (tmp_path / "fixed").exists()


def test_fan_in_fan_out_is_set_as_the_layers_are(tmp_path: Path) -> None:
    healthy = made(tmp_path / "healthy", GPT2)
    broken = made(tmp_path / "broken", GPT2, fan_in_fan_out=False)
    outcome = fixed(broken.model, broken.adapter, tmp_path / "fixed")
    assert [step.kind for step in outcome.plan.steps] == ["config"]
    told = [saw(broken.model, folder) for folder in (broken.adapter, tmp_path / "fixed", healthy.adapter)]
    assert [any("fan_in_fan_out" in text for text in one["warnings"]) for one in told] == [True, False, False]
    same_effect(told[1], told[2])


def test_fields_of_newer_releases_go_where_they_say_nothing(tmp_path: Path) -> None:
    broken = made(tmp_path, LLAMA)
    old = {"targets": ("peft==0.11.1",), "transformers": "4.40.2"}
    outcome = fixed(broken.model, broken.adapter, tmp_path / "fixed", **old)
    assert outcome.plan.before.verdicts[0].outcome == "fails"
    assert outcome.report.verdicts[0].outcome == "works"
    same_effect(saw(broken.model, broken.adapter), saw(broken.model, tmp_path / "fixed"))


def test_a_field_that_was_trained_with_is_never_taken_out(tmp_path: Path) -> None:
    broken = made(tmp_path, LLAMA, exclude_modules=["lm_head"])
    old = {"targets": ("peft==0.11.1",), "transformers": "4.40.2"}
    outcome = fixed(broken.model, broken.adapter, tmp_path / "fixed", unsafe=True, **old)
    assert outcome.kept == ""
    assert [reason for _, reason in outcome.plan.refused]


def test_an_exception_never_becomes_a_silent_fault(tmp_path: Path) -> None:
    broken = made(tmp_path, LLAMA, {"op": "drop", "match": "layers.1.*v_proj.lora_B"}, target_modules=["c_attn"])
    outcome = fixed(broken.model, broken.adapter, tmp_path / "fixed")
    assert outcome.plan.before.verdicts[0].outcome == "fails"
    assert (outcome.plan.steps, outcome.kept) == ((), "")
    assert "without a word" in outcome.plan.refused[-1][1]


def test_keys_that_stand_twice_are_written_once(tmp_path: Path) -> None:
    twice = {"op": "replace", "file": "adapter_config.json", "find": '"r": 4,', "with": '"r": 16,\n  "r": 4,'}
    broken = made(tmp_path, LLAMA, twice)
    outcome = fixed(broken.model, broken.adapter, tmp_path / "fixed")
    assert {"AL114"} <= {code for step in outcome.plan.steps for code in step.about}
    same_effect(saw(broken.model, broken.adapter), saw(broken.model, tmp_path / "fixed"))


def test_shards_are_joined(tmp_path: Path) -> None:
    import json

    healthy = made(tmp_path / "healthy", LLAMA)
    broken = copied(healthy.adapter, tmp_path / "broken")
    tensors = load_file(broken / "adapter_model.safetensors")
    (broken / "adapter_model.safetensors").unlink()
    names = sorted(tensors)
    parts = {f"adapter_model-0000{i + 1}-of-00002.safetensors": names[i::2] for i in range(2)}
    for file, own in parts.items():
        save_file({name: tensors[name] for name in own}, broken / file)
    weight_map = {name: file for file, own in parts.items() for name in own}
    (broken / "adapter_model.safetensors.index.json").write_text(json.dumps({"weight_map": weight_map}))
    outcome = fixed(healthy.model, broken, tmp_path / "fixed")
    promised = {finding.code: finding.fix for finding in outcome.plan.before.findings}
    assert promised["AL022"] == ("safe", "Join the shards into adapter_model.safetensors.")
    assert outcome.held == len(tensors)
    assert sorted(path.name for path in (tmp_path / "fixed").iterdir()) == [
        "adapter_config.json",
        "adapter_model.safetensors",
    ]
    same_effect(saw(healthy.model, healthy.adapter), saw(healthy.model, tmp_path / "fixed"))


def test_names_of_an_older_transformers_for_a_peft_that_does_not_translate_them(tmp_path: Path) -> None:
    older = [
        rename(r"model\.model\.language_model\.", "model.language_model.model."),
        rename(r"model\.model\.vision_tower\.", "model.vision_tower.vision_model."),
    ]
    broken = made(tmp_path / "broken", LLAVA, *older)
    assert fixed(broken.model, broken.adapter, tmp_path / "none").plan.steps == ()  # 0.21 translates them by itself
    outcome = fixed(broken.model, broken.adapter, tmp_path / "fixed", targets=("peft==0.18.0",))
    assert outcome.plan.before.verdicts[0].outcome == "wrong"
    assert outcome.report.verdicts[0].outcome == "works"
    same_effect(saw(broken.model, broken.adapter), saw(broken.model, tmp_path / "fixed"))


WRAPPERS = [
    rename("^", "module."),
    rename("^", "_orig_mod."),
    rename(r"^(_orig_mod\.|module\.)?base_model", r"\1base_model.model.base_model"),
    rename(r"layers\.(\d)\.", r"layers.\1._fsdp_wrapped_module."),
    rename(r"self_attn\.", "self_attn._checkpoint_wrapped_module."),
    rename(r"(lora_[AB])\.weight$", r"\1.style.weight"),
]


@settings(max_examples=20, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(wrappers=st.lists(st.sampled_from(WRAPPERS), min_size=1, max_size=3, unique_by=str))
def test_any_three_wrappers_come_off(wrappers: list[dict[str, str]], tmp_path: Path) -> None:
    """The tensors are then those of the healthy file, and a second repair finds nothing to do."""
    place = tmp_path / str(len(list(tmp_path.iterdir())))
    broken = made(place, LLAMA, *wrappers)
    outcome = fixed(broken.model, broken.adapter, place / "fixed")
    assert outcome.report.verdicts[0].outcome == "works"
    healthy = made(place / "healthy", LLAMA)
    one, other = (load_file(Path(f) / "adapter_model.safetensors") for f in (healthy.adapter, place / "fixed"))
    assert one.keys() == other.keys()
    assert all(one[name].equal(other[name]) for name in one)
    assert fixed(broken.model, place / "fixed", place / "again").plan.steps == ()
