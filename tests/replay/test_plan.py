"""Which run decides what, how large it is, and what its base looks like."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

import adaptlint
from adaptlint.replay.conduct import base_of
from adaptlint.replay.plan import Passed, Run, Settings, plan
from adaptlint.replay.shrink import FEW_WORDS, one_layer, tiny
from tests.conftest import ROOT
from tests.replay import adapters

LLAMA = json.loads((ROOT / "fixtures" / "bases" / "llama-3-8b" / "config.json").read_text())
T5 = json.loads((ROOT / "fixtures" / "bases" / "flan-t5-base" / "config.json").read_text())


def test_one_layer_keeps_every_size_but_the_vocabulary() -> None:
    small = one_layer(LLAMA)
    assert small is not None
    changed = {name for name in LLAMA if small[name] != LLAMA[name]}
    assert changed == {"num_hidden_layers", "vocab_size", "bos_token_id", "eos_token_id"}
    assert (small["num_hidden_layers"], small["vocab_size"]) == (1, FEW_WORDS)


def test_one_layer_of_mixed_kinds_keeps_the_kind_that_is_asked_for() -> None:
    mixed = {"num_hidden_layers": 3, "layer_types": ["sliding", "sliding", "full"], "other": [1, 2]}
    assert one_layer(mixed, 2) == {"num_hidden_layers": 1, "layer_types": ["full"], "other": [1, 2]}
    assert one_layer({"depths": [2, 2]}) is None


def test_a_tiny_model_keeps_the_ratios() -> None:
    small = tiny(LLAMA)
    assert small is not None
    heads, keys = small["num_attention_heads"], small["num_key_value_heads"]
    assert heads // keys == LLAMA["num_attention_heads"] // LLAMA["num_key_value_heads"]
    assert small["intermediate_size"] / small["hidden_size"] == LLAMA["intermediate_size"] / LLAMA["hidden_size"]
    assert small["hidden_size"] % heads == 0
    assert small["hidden_size"] < 200
    assert small["num_hidden_layers"] == 2


@pytest.mark.parametrize("config", [LLAMA, T5], ids=["llama", "t5"])
def test_small_bases_are_models_of_the_real_library(config: dict[str, object]) -> None:
    transformers = pytest.importorskip("transformers")
    torch = pytest.importorskip("torch")
    small = tiny(config)
    kind = transformers.models.auto.configuration_auto.CONFIG_MAPPING[config["model_type"]]
    model = transformers.AutoModel.from_config(kind.from_dict(small))
    given = {"input_ids": torch.randint(3, 30, (1, 5))}
    if model.config.is_encoder_decoder:
        given["decoder_input_ids"] = given["input_ids"]
    assert model(**given).last_hidden_state.shape[:2] == (1, 5)


def runs(report: adaptlint.Report, settings: Settings) -> list[Run | Passed]:
    return plan(report, base_of(report), settings)


def test_a_small_base_is_run_whole_and_a_healthy_one_only_when_asked() -> None:
    (run,) = runs(adapters.report(adapters.IGNORED), Settings())
    assert isinstance(run, Run)
    assert run.scale == "full"
    (passed,) = runs(adapters.report(adapters.HEALTHY), Settings())
    assert isinstance(passed, Passed)
    assert "--all" in passed.reason
    (asked,) = runs(adapters.report(adapters.HEALTHY), Settings(all=True))
    assert isinstance(asked, Run)


def test_a_large_base_is_loaded_on_meta_first_then_one_layer_of_it_then_a_tiny_one(tmp_path: Path) -> None:
    built = adapters.large(tmp_path)
    report = adaptlint.check(built.model, built.adapter)
    planned = [run for run in runs(report, Settings(all=True)) if isinstance(run, Run)]
    assert [(run.scale, run.device) for run in planned] == [("load", "meta"), ("layer", "cpu"), ("tiny", "cpu")]
    assert all(run.cost.memory < 4_000_000_000 and run.cost.seconds < 60 for run in planned)
    assert planned[1].config["hidden_size"] == 4096
    assert list(planned[1].words) == [128256, FEW_WORDS]


def test_a_run_that_does_not_fit_is_not_planned(tmp_path: Path) -> None:
    built = adapters.large(tmp_path)
    report = adaptlint.check(built.model, built.adapter)
    tight = runs(report, Settings(all=True, memory=1_000_000_000))
    assert [run.scale for run in tight if isinstance(run, Run)] == ["load", "tiny"]
    (whole,) = runs(report, Settings(all=True, full=True))
    assert isinstance(whole, Passed)
    assert "--memory" in whole.reason


def test_a_base_that_is_not_known_is_not_run(tmp_path: Path) -> None:
    built = adapters.large(tmp_path)
    report = adaptlint.check(str(tmp_path / "nowhere"), built.adapter)
    (passed,) = runs(report, Settings(all=True))
    assert isinstance(passed, Passed)
    assert "base" in passed.reason
