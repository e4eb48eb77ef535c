"""Shipped tables say what live builds say, or nothing; without torch and transformers they are all that is needed."""

from __future__ import annotations

import json
import os
import random
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

import pytest

from adaptlint.bases import BaseProblem, families, load_base
from adaptlint.bases.families import FORMAT, record_from, shipped_record
from tests.conftest import ROOT
from tests.families.page import LEFT_OUT, tables

TABLES = tables()
SAMPLE = ("llama", "gpt2", "bert", "t5", "vit", "gemma", "distilbert", "opt")
DRAWN = sorted(TABLES) if os.environ.get("FAMILIES") == "all" else [name for name in SAMPLE if name in TABLES]
FIXTURES = sorted((ROOT / "fixtures" / "bases").glob("*/config.json"))
COVERED = ("tiny-bert", "tiny-gpt2", "tiny-llama", "tiny-opt", "tiny-roberta", "tiny-t5", "tiny-vit")
TURNS = 4


def live(config: dict[str, Any], asked: str | None) -> dict[str, Any] | None:
    from adaptlint.bases.meta_build import build_record

    found = build_record(config, asked)
    return None if isinstance(found, BaseProblem) else found


def fixture(name: str) -> dict[str, Any]:
    config: dict[str, Any] = json.loads((ROOT / "fixtures" / "bases" / name / "config.json").read_text())
    return config


@pytest.mark.parametrize("model_type", DRAWN)
def test_fresh_configs_are_answered_as_live_builds_answer(model_type: str) -> None:
    transformers = pytest.importorskip("transformers")
    from transformers.models.auto.configuration_auto import CONFIG_MAPPING

    from tests.families.comparing import difference
    from tests.families.live import quick
    from tests.families.space import Space, sources_of

    table = TABLES[model_type]
    classes = [getattr(transformers, name) for name in table["classes"]]
    space = Space(model_type, CONFIG_MAPPING[model_type], sources_of(CONFIG_MAPPING[model_type], classes))
    seed = os.environ.get("SEED") or str(random.randrange(1 << 30))
    draw = random.Random(f"{model_type} {seed}")
    here, told = dict(space.start), 0
    with quick():
        for turn in range(TURNS * 10):
            raw = space.moved(here, draw, sorted(space.fields), 2)
            name = list(table["classes"])[turn % len(classes)]
            ours = record_from(table, raw, name)
            if ours is None:
                continue
            found = live(raw, name)
            assert found is not None, (seed, name, raw)
            assert difference(table, ours, found) == "", (seed, name, raw)
            here, told = raw, told + 1
            if told == TURNS:
                break
    assert told


@pytest.mark.parametrize("path", FIXTURES, ids=lambda path: path.parent.name)
@pytest.mark.parametrize("asked", [None, "AutoModel", "AutoModelForSequenceClassification"])
def test_real_configs_are_answered_as_live_builds_answer(path: Path, asked: str | None) -> None:
    pytest.importorskip("transformers")
    from tests.families.comparing import difference

    config = json.loads(path.read_text())
    ours = shipped_record(config, asked)
    if ours is None:
        assert asked or path.parent.name not in COVERED
        return
    found = live(config, asked)
    assert found is not None
    assert difference(TABLES[families.family_of(config)], ours, found) == ""


@pytest.mark.parametrize(
    ("changes", "asked"),
    [
        ({"hidden_size": 30, "head_dim": None}, None),
        ({"hidden_size": 2, "head_dim": None}, None),
        ({"attention_dropout": None}, None),
        ({"hidden_size": "32"}, None),
        ({"hidden_size": 32.0}, None),
        ({"hidden_size": True}, None),
        ({"num_hidden_layers": 0}, None),
        ({"num_hidden_layers": 10**9}, None),
        ({"pad_token_id": 96}, None),
        ({"hidden_act": "of the future"}, None),
        ({"tie_word_embeddings": None}, None),
        ({"rope_parameters": {"rope_type": "of the future"}}, None),
        ({"rope_parameters": {"rope_type": "yarn"}}, None),
        ({"rope_parameters": [1]}, None),
        ({"per_layer_config": {"0": {"head_dim": 4}}}, None),
        ({"layer_types": ["full_attention"]}, None),
        ({"_private": 1}, None),
        ({"num_labels": "two"}, "AutoModelForSequenceClassification"),
        ({"model_type": "../llama"}, None),
        ({"model_type": None}, None),
        ({"architectures": ["BertModel"]}, None),
        ({"architectures": ["FromTheFuture"]}, None),
        ({}, "AutoModelForVision2Seq"),
        ({}, "BertForMaskedLM"),
    ],
)
def test_what_lies_outside_of_a_table_has_no_answer(changes: dict[str, Any], asked: str | None) -> None:
    assert shipped_record(fixture("tiny-llama"), None) is not None
    assert shipped_record({**fixture("tiny-llama"), **changes}, asked) is None


@pytest.mark.parametrize(
    ("model_type", "changes"),
    [
        ("jetmoe", {"kv_channels": 127}),  # what its rotary embedding takes for head_dim
        ("exaone_moe", {"sliding_window_pattern": 0, "layer_types": None}),
        ("glm4_moe_lite", {"head_dim": 32}),  # another name of qk_rope_head_dim, set after the sum was made
        ("t5", {"num_hidden_layers": 4}),  # another name of num_layers, set after the decoder's number was taken
    ],
)
def test_what_a_class_refuses_or_takes_late_has_no_answer(model_type: str, changes: dict[str, Any]) -> None:
    config = {"model_type": model_type}
    assert shipped_record(config, None) is not None
    assert shipped_record({**config, **changes}, None) is None


def test_keys_that_change_nothing_are_kept_as_transformers_keeps_them() -> None:
    pytest.importorskip("transformers")
    extra = {"_name_or_path": "x/y", "task_specific_params": {"a": {"b": 1}}, "torch_dtype": "bfloat16", "auto_map": {}}
    config = {**fixture("tiny-llama"), **extra, "temperature": 0.7, "my_own_note": [1, {"a": None}]}
    ours = shipped_record(config, None)
    assert ours == live(config, None)
    assert ours is not None
    assert ours["config"]["my_own_note"] == [1, {"a": None}]
    assert ours["features"]["dtype"] == "bfloat16"


def test_a_quantised_config_is_answered() -> None:
    pytest.importorskip("transformers")
    config = {**fixture("tiny-llama"), "quantization_config": {"quant_method": "gptq", "bits": 4}}
    ours = shipped_record(config, "AutoModelForCausalLM")
    assert ours == live(config, "AutoModelForCausalLM")


def test_another_installed_release_is_believed_more(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(families, "installed_versions", lambda names: {"transformers": "4.57.0"})
    assert shipped_record(fixture("tiny-llama"), None) is None
    monkeypatch.setattr(families, "installed_versions", lambda names: {})
    assert shipped_record(fixture("tiny-llama"), None) is not None


def test_a_base_from_a_table(root: Path) -> None:
    base = load_base(str(root / "fixtures" / "bases" / "tiny-llama"), task="CAUSAL_LM", cache=False)
    assert not isinstance(base, BaseProblem)
    assert (base.source, base.model_class) == ("shipped", "LlamaForCausalLM")
    assert base.answers("AutoModelForCausalLM")


VERDICT = """
import sys
sys.modules.update(torch=None, transformers=None, numpy=None)
from adaptlint.cli import run
code = run(['check', *sys.argv[1:], '--format', 'json', '--no-cache'])
sys.exit(code)
"""


@pytest.mark.parametrize(("width", "code", "outcome"), [(32, 0, "works"), (48, 1, "fails")])
def test_a_verdict_without_torch_and_transformers(
    width: int, code: int, outcome: str, root: Path, tmp_path: Path
) -> None:
    from adaptlint.testing import build, read_recipe

    recipe = {
        "base": "tiny-llama",
        "config": {"r": 4, "target_modules": ["q_proj"]},
        "tensors": [{"modules": "model.layers.{0-2}.self_attn.q_proj", "rank": 4, "in": width, "out": 32}],
    }
    built = build(read_recipe(recipe), str(tmp_path), str(root / "fixtures" / "bases"))
    command = [sys.executable, "-c", VERDICT, built.model, built.adapter]
    done = subprocess.run(command, cwd=root, capture_output=True, text=True, check=False)
    assert done.returncode == code, done.stderr
    report = json.loads(done.stdout)
    assert report["subject"]["model"]["source"] == "shipped"
    assert report["verdicts"][0]["outcome"] == outcome


def test_every_table_is_of_this_recorder_and_release() -> None:
    pins = dict(line.split("==") for line in (ROOT / "constraints.txt").read_text().split() if "==" in line)
    assert TABLES
    for model_type, table in TABLES.items():
        assert (table["format"], table["model_type"]) == (FORMAT, model_type)
        assert table["made_with"] == {"transformers": pins["transformers"], "torch": pins["torch"].partition("+")[0]}
        assert table["classes"].keys() == table["verified"].keys()
        assert min(table["verified"].values()) > 0


def test_what_has_a_table_is_not_said_to_have_none() -> None:
    left_out = json.loads(LEFT_OUT.read_text(encoding="utf-8"))
    assert not {name for name, why in left_out.items() if "" in why} & TABLES.keys()


def test_tables_stay_small() -> None:
    size = sum(path.stat().st_size for path in Path(families.FOLDER).glob("*.json"))
    assert size < 8_000_000
    assert tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["hatch"]["build"]["targets"]["wheel"]
