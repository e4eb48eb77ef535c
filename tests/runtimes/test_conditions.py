"""Forwards under a backend, sizes and a mask: what is refused, what is left unknown, and what the real library does."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

import pytest

import adaptlint
from adaptlint.bases import Base, load_base, write_lock
from adaptlint.testing import Built, build, read_recipe
from tests.conftest import ROOT

BASES = ROOT / "fixtures" / "bases"
TARGET = "peft==0.21.2"
LORA = {
    "config": {"r": 4, "task_type": "CAUSAL_LM", "target_modules": ["q_proj"]},
    "tensors": [{"modules": "model.layers.{0-2}.self_attn.q_proj", "rank": 4, "in": 32, "out": 32}],
}
PROMPT = {
    "config": {"peft_type": "PROMPT_TUNING", "task_type": "CAUSAL_LM", "num_virtual_tokens": 4},
    "tensors": [{"name": "prompt_embeddings", "shape": [4, 32]}],
}


def made(folder: Path, adapter: dict[str, Any] = LORA, base: Any = "tiny-llama") -> Built:
    return build(read_recipe({"base": base, **adapter}), str(folder), str(BASES))


def told(model: Any, built: Built, **asked: Any) -> adaptlint.Report:
    return adaptlint.check(model, built.adapter, targets=(TARGET,), **{"transformers": "5.23.0", **asked})


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        ({"attn": "fast"}, "attn is eager, sdpa, flash_attention_2 or flex_attention"),
        ({"mask": "causal"}, "mask is none or padded"),
        ({"batch": 0}, "batch is a number from 1 on"),
        ({"seq": True}, "seq is a number from 1 on"),
        ({"decoder_seq": "4"}, "decoder_seq is a number from 1 on"),
    ],
)
def test_arguments_that_no_file_could_mend(asked: dict[str, Any], said: str, tmp_path: Path) -> None:
    built = made(tmp_path)
    with pytest.raises(ValueError, match=said):
        told(built.model, built, **asked)


@pytest.mark.parametrize("attn", [None, "eager", "sdpa", "flex_attention"])
@pytest.mark.parametrize("adapter", [LORA, PROMPT])
def test_nothing_against_it_is_the_ordinary_verdict(attn: str | None, adapter: dict[str, Any], tmp_path: Path) -> None:
    built = made(tmp_path, adapter, {"from": "tiny-llama", "config": {"head_dim": 8}})
    report = told(built.model, built, attn=attn, batch=2, seq=9, mask="none")
    assert [verdict.outcome for verdict in report.verdicts] == ["works"]
    assert report.to_dict()["subject"]["attn"] == attn  # type: ignore[index]
    lines = {line.rule: line.status for line in report.ledger}
    assert lines["AL553"] == "passed"
    plain = told(built.model, built)
    assert {line.rule: line.status for line in plain.ledger}["AL553"] == "not-run"


def test_a_wrong_adapter_stays_wrong(tmp_path: Path) -> None:
    built = made(tmp_path, {**LORA, "mutate": [{"op": "drop", "match": "layers.1.*lora_B"}]})
    verdicts = [told(built.model, built, attn=attn).verdicts[0] for attn in (None, "sdpa")]
    assert [verdict.outcome for verdict in verdicts] == ["wrong", "wrong"]


def test_a_lock_without_the_backends_is_unknown(tmp_path: Path) -> None:
    built = made(tmp_path)
    base = load_base(built.model)
    assert isinstance(base, Base)
    lock = str(tmp_path / "base.lock.json")
    write_lock(base, lock)
    assert told(lock, built, attn="sdpa").verdicts[0].outcome == "works"
    base.record["features"] = {name: value for name, value in base.features.items() if name != "attention"}
    write_lock(base, lock)
    report = told(lock, built, attn="sdpa")
    assert [finding.code for finding in report.findings] == ["AL904"]
    assert report.verdicts[0].outcome == "unknown"
    assert told(lock, built, attn="eager").verdicts[0].outcome == "works"


def test_backends_of_transformers_4_are_unknown(tmp_path: Path) -> None:
    built = made(tmp_path)
    asked = {"targets": ("peft==0.11.1",), "transformers": "4.40.2", "model_class": "AutoModelForCausalLM"}
    report = adaptlint.check(built.model, built.adapter, **asked, attn="sdpa")  # type: ignore[arg-type]
    assert report.verdicts[0].outcome == "unknown"
    assert "attention backends of transformers 4.40.2" in report.findings[0].message


def test_the_longest_text_that_fits_is_named(tmp_path: Path) -> None:
    built = made(tmp_path, PROMPT, "tiny-gpt2")
    report = told(built.model, built, seq=200)
    assert [finding.code for finding in report.findings] == ["AL553"]
    assert report.findings[0].help.startswith("Cut texts to 60 tokens")
    assert report.findings[0].module == "transformer.wpe"
    assert told(built.model, built, seq=60).verdicts[0].outcome == "works"
    assert told(built.model, built, seq=61).verdicts[0].outcome == "fails"


@pytest.mark.parametrize(
    "name", ["tiny-bert", "tiny-bloom", "tiny-gpt2", "tiny-llava", "tiny-opt", "tiny-t5", "tiny-vit"]
)
@pytest.mark.parametrize("backend", ["sdpa", "flash_attention_2", "flex_attention"])
def test_the_backends_on_record_are_those_that_load(name: str, backend: str) -> None:
    transformers = pytest.importorskip("transformers")
    base = load_base(str(BASES / name))
    assert isinstance(base, Base)
    config = transformers.AutoConfig.from_pretrained(BASES / name, attn_implementation=backend)
    refused = ""
    try:
        getattr(transformers, str(base.model_class))(config)
    except ValueError as problem:
        refused = str(problem).partition(" ")[0]
    except ImportError:  # flash attention is not installed, and the class has let it pass
        assert backend == "flash_attention_2"
    if refused or backend not in base.features["attention"]:
        assert refused == base.features.get("attention_refused_by", {}).get(backend, base.model_class)
        assert backend not in base.features["attention"]


def test_padding_on_the_left_moves_prompts_and_nothing_else(tmp_path: Path) -> None:
    """What AL559 says, on a base whose own positions are relative."""
    peft, torch = pytest.importorskip("peft"), pytest.importorskip("torch")
    from tests.differential.folders import model_of

    ids = torch.randint(3, 30, (1, 6), generator=torch.Generator().manual_seed(2))
    padded = torch.nn.functional.pad(ids, (5, 0), value=0)
    seen = {}
    for name, adapter in (("lora", LORA), ("prompt", PROMPT)):
        built = made(tmp_path / name, adapter)
        model = peft.PeftModel.from_pretrained(model_of(Path(built.model), "AutoModelForCausalLM"), built.adapter)
        with torch.no_grad():
            alone = model.eval()(input_ids=ids, attention_mask=torch.ones_like(ids)).logits[:, -1]
            beside = model(input_ids=padded, attention_mask=(torch.arange(11) > 4).long()[None]).logits[:, -1]
        seen[name] = float((alone - beside).abs().max())
    assert seen["lora"] < 1e-4 < seen["prompt"]


@pytest.mark.parametrize("settings", [{}, {"use_dora": True}, {"use_rslora": True}])
def test_float32_factors_leave_a_half_precision_base_its_type(settings: dict[str, Any], tmp_path: Path) -> None:
    """Why AL554 looks at the base alone: PEFT keeps the factors in float32 and gives back what the layer was given."""
    peft, torch = pytest.importorskip("peft"), pytest.importorskip("torch")
    transformers = pytest.importorskip("transformers")
    dora = [{**LORA["tensors"][0], "dora": True}] if settings.get("use_dora") else LORA["tensors"]  # type: ignore[index]
    built = made(tmp_path, {"config": {**LORA["config"], **settings}, "tensors": dora})  # type: ignore[dict-item]
    config = transformers.AutoConfig.from_pretrained(built.model)
    base = transformers.AutoModelForCausalLM.from_config(config, dtype=torch.bfloat16)
    model = peft.PeftModel.from_pretrained(base, built.adapter).eval()
    layer = model.get_submodule("base_model.model.model.layers.0.self_attn.q_proj")
    types = []
    layer.register_forward_hook(lambda _, given, gave: types.append((given[0].dtype, gave.dtype)))
    with torch.no_grad(), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model(input_ids=torch.tensor([[3, 4, 5]]))
    assert next(iter(layer.lora_A.values())).weight.dtype == torch.float32
    assert types == [(torch.bfloat16, torch.bfloat16)]


def test_a_broken_tokenizer_config_says_no_side(tmp_path: Path) -> None:
    built = made(tmp_path, PROMPT)
    place = Path(built.adapter) / "tokenizer_config.json"
    for text, codes in (('{"padding_side": "left"}', ["AL559"]), ('{"padding_side": 3}', []), ("[", []), ("[]", [])):
        place.write_text(text)
        assert [finding.code for finding in told(built.model, built, mask="padded").findings] == codes


@pytest.mark.parametrize(("said", "codes"), [({"dtype": "float32"}, ["AL554", "AL560"]), ({}, ["AL560"])])
def test_a_lock_knows_only_the_type_that_its_config_said(
    said: dict[str, str], codes: list[str], tmp_path: Path
) -> None:
    built = made(tmp_path, base={"from": "tiny-llama", "config": said})
    base = load_base(built.model)
    assert isinstance(base, Base)
    lock = str(tmp_path / "base.lock.json")
    write_lock(base, lock)
    for model in (built.model, lock):
        found = [finding.code for finding in told(model, built, attn="flash_attention_2").findings]
        assert found == codes[:1]
