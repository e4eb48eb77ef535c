"""Configs of AdapterHub are filled in as its releases do it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from adaptlint.runtimes.adapters.parts import ConfigRefused, parts

RECORD: dict[str, dict[str, Any]] = json.loads((Path(__file__).parent / "config_classes.json").read_text())
UNSAVED = ("subtract_projection", "random_uniform_scale")  # class attributes, which `to_dict` leaves out


def _names(version: str) -> dict[str, Any]:
    known: dict[str, Any] = {}
    for release, names in RECORD.items():
        known |= names
        if release == version:
            break
    return known


@pytest.mark.parametrize("version", RECORD)
def test_names_stand_for_the_configs_of_the_release(version: str) -> None:
    for name, config in _names(version).items():
        found = [part.config for part in parts(name, version) if part.kind != "invertible"]
        told = config.get("configs", [config])
        assert [{k: v for k, v in each.items() if k not in UNSAVED} for each in found] == [
            {"architecture": None, **each} for each in told
        ], name


def test_a_union_is_taken_apart_and_a_bottleneck_with_a_coupling_is_two() -> None:
    bottleneck = {"mh_adapter": True, "output_adapter": False, "reduction_factor": 4, "non_linearity": "relu"}
    found = parts(
        {"architecture": "union", "configs": [{"architecture": "lora"}, {**bottleneck, "inv_adapter": "nice"}]}
    )
    assert [part.kind for part in found] == ["lora", "bottleneck", "invertible"]
    assert found[0].config["attn_matrices"] == ["q", "v"]


def test_the_first_release_of_adapter_transformers_named_its_coupling_otherwise() -> None:
    old = {"mh_adapter": False, "output_adapter": True, "reduction_factor": 16, "non_linearity": "relu"}
    found = parts({**old, "invertible_adapter": {"block_type": "nice", "reduction_factor": 2}})
    assert [part.kind for part in found] == ["bottleneck", "invertible"]
    assert found[0].config["inv_adapter_reduction_factor"] == 2


def test_what_the_library_refuses() -> None:
    with pytest.raises(ConfigRefused, match="missing 4 required positional arguments: 'mh_adapter', 'output_adapter'"):
        parts({"architecture": "mtl_lora", "r": 4}, "1.1.1")
    with pytest.raises(ConfigRefused, match="'nonsense'"):
        parts({"architecture": "nonsense"}, "1.2.0")
    with pytest.raises(ConfigRefused, match="have the same adapter architecture"):
        parts({"architecture": "union", "configs": [{"architecture": "lora"}, {"architecture": "lora", "r": 2}]})
    with pytest.raises(ConfigRefused, match="not supported in a config union"):
        parts({"architecture": "union", "configs": [{"architecture": "union", "configs": []}]})
    with pytest.raises(ConfigRefused, match="Could not identify 'vera' as a valid"):
        parts("vera", "1.1.1")
