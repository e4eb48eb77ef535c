"""What is said of the layers that a file covers, where it is not those of the base."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

import adaptlint
from adaptlint.runtimes.peft.coverage import SHOWN, in_words, layers_of
from adaptlint.testing import build, read_recipe
from tests.conftest import ROOT

BASES = str(ROOT / "fixtures" / "bases")


def messages(folder: Path, layers: str, config: dict[str, Any], base: Any = "tiny-llama") -> dict[str, str]:
    spec = {"modules": f"model.layers.{layers}.self_attn.q_proj", "rank": 8, "in": 32, "out": 32}
    config = {"target_modules": ["q_proj"], **config}
    built = build(read_recipe({"base": base, "config": config, "tensors": [spec]}), str(folder), BASES)
    report = adaptlint.check(built.model, built.adapter, targets=("peft==0.21.2",))
    return {finding.code: finding.message for finding in report.findings}


@pytest.fixture(autouse=True)
def needs_transformers() -> None:
    pytest.importorskip("transformers")


def test_fewer_layers_than_the_base(tmp_path: Path) -> None:
    told = messages(tmp_path, "{0-1}", {})
    assert "Of model.layers the file covers layers 0-1, the base has 0-2: if the trained model" in told["AL201"]


def test_a_hole_is_no_renumbering(tmp_path: Path) -> None:
    told = messages(tmp_path, "{0,2}", {})
    assert told["AL201"].endswith("the file covers layers 0,2, the base has 0-2.")


def test_what_the_config_asks_for_is_told_too(tmp_path: Path) -> None:
    told = messages(tmp_path, "0", {"layers_to_transform": [0, 1]})
    assert "covers layer 0, the config asks for layers 0-1, the base has 0-2" in told["AL201"]


def test_more_layers_than_the_base(tmp_path: Path) -> None:
    told = messages(tmp_path, "{0-4}", {})
    assert "covers layers 0-4, the base has 0-2: if the trained model had more" in told["AL202"]


def test_equal_layers_say_nothing(tmp_path: Path) -> None:
    assert (
        "layers"
        not in messages(tmp_path, "{0-2}", {"target_modules": ["q_proj", "o_proj"]})["AL201"].partition("there.")[2]
    )


def test_random_initial_values_are_told(tmp_path: Path) -> None:
    assert "so random numbers act there" in messages(tmp_path, "{0-1}", {"init_lora_weights": False})["AL201"]


def test_lists_of_layers_are_counted_apart() -> None:
    layers = layers_of(["encoder.layer.0.x", "encoder.layer.1.x", "decoder.layer.3.sub.7", "lm_head"])
    assert in_words(layers) == "layers 0-1 of encoder.layer, layer 3 of decoder.layer"


def test_made_up_lists_are_cut() -> None:
    assert in_words(layers_of(f"list{n}.0" for n in range(1000))).count(" of ") == SHOWN
