"""AdapterHub folders are read for what they are, whatever stands in them."""

from __future__ import annotations

import json
import random
from pathlib import Path
from typing import Any

import pytest

import adaptlint
from adaptlint.artefacts import Folder, open_folder
from adaptlint.runtimes.adapters.hub_adapter import fusion_in, method_of
from adaptlint.testing import build, read_recipe
from tests.conftest import ROOT
from tests.hub.recorded import keep_graphs

BASES = ROOT / "fixtures" / "bases"
LORA = {"architecture": "lora", "r": 4, "alpha": 8}
BOTTLENECK = {"mh_adapter": False, "output_adapter": True, "reduction_factor": 4, "non_linearity": "relu"}
TENSORS = [
    {"name": f"encoder.layer.{{0-1}}.attention.self.{{query,value}}.loras.style.lora_{side}", "shape": shape}
    for side, shape in (("A", [4, 32]), ("B", [32, 4]))
]
STRANGE: list[Any] = [None, True, -1, 0, 10**30, 1.5, 1e-300, "", "q", [], [1], ["q", 3], {}, {"0": 0}, {"r": {}}]


def _check(
    place: Path, hub: dict[str, Any], version: str = "1.3.0", model_class: str = "BertModel", **further: Any
) -> dict[str, Any]:
    keep_graphs()
    built = build(read_recipe({"base": "tiny-bert", "hub": hub, "tensors": TENSORS, **further}), str(place), str(BASES))
    report = adaptlint.check(built.model, built.adapters, targets=(f"adapters=={version}",), model_class=model_class)
    return report.to_dict()


@pytest.mark.parametrize(
    ("config", "method"),
    [
        (LORA, ("lora", 4)),
        ("pfeiffer", ("seq_bn", None)),
        ("houlsby+inv", ("double_seq_bn_inv", None)),
        ({**BOTTLENECK, "is_parallel": True, "scaling": "learned"}, ("scaled_par_bn", None)),
        ({**BOTTLENECK, "phm_layer": True}, ("compacter++", None)),
        ("mam", ("mam", None)),
        ("unipelt", ("unipelt", 8)),
        ("dvora", ("dvora", 8)),
        ("loreft", ("loreft", 1)),
        ({"architecture": "union", "configs": [LORA, BOTTLENECK]}, ("union(lora, seq_bn)", 4)),
        ({"architecture": "of the future"}, (None, None)),
    ],
)
def test_methods_have_the_librarys_own_names(config: Any, method: tuple[str | None, int | None]) -> None:
    assert method_of(config) == method


def test_the_report_says_what_the_adapter_is(tmp_path: Path) -> None:
    (adapter,) = _check(tmp_path, {"config": LORA})["subject"]["adapters"]
    assert (adapter["format"], adapter["method"], adapter["rank"], adapter["tensors"]) == ("adapterhub", "lora", 4, 8)


def test_an_adapter_is_loaded_under_the_name_in_its_config(tmp_path: Path) -> None:
    (verdict,) = _check(tmp_path, {"config": LORA, "name": "style"})["verdicts"]
    assert verdict["outcome"] == "works"
    assert verdict["steps"] == [{"op": "load", "adapter": "style", "outcome": "works", "stage": None, "error": None}]


def test_a_base_without_a_recording_gets_no_verdict(tmp_path: Path) -> None:
    report = _check(tmp_path, {"config": LORA}, model_class="BertForNextSentencePrediction")
    assert report["verdicts"][0]["outcome"] == "unknown"
    assert [finding["code"] for finding in report["findings"]] == ["AL904"]
    assert "BertForNextSentencePrediction" in report["findings"][0]["message"]


def test_releases_that_were_not_read_get_no_verdict(tmp_path: Path) -> None:
    for version in ("0.2.1", "2.0.0", "nonsense"):
        report = _check(tmp_path, {"config": LORA}, version=version)
        assert report["verdicts"][0]["outcome"] == "unknown"
        assert [finding["code"] for finding in report["findings"]] == ["AL904"]


def test_two_adapters_of_one_name_share_their_parameters(tmp_path: Path) -> None:
    other = {"hub": {"config": {**LORA, "r": 8}}, "tensors": TENSORS}
    report = _check(tmp_path, {"config": LORA}, name="style", others={"second": other})
    assert [step["adapter"] for step in report["verdicts"][0]["steps"]] == ["style", "second"]
    assert report["verdicts"][0]["error"]["type"] == "RuntimeError"


@pytest.mark.parametrize("seed", range(120))
def test_no_config_makes_a_check_crash(tmp_path: Path, seed: int) -> None:
    source = random.Random(seed)
    config: Any = dict(source.choice([LORA, BOTTLENECK, {"architecture": "prefix_tuning"}, {"architecture": "reft"}]))
    for _ in range(source.randint(1, 3)):
        field = source.choice([*config, "leave_out", "attn_matrices", "scaling", "phm_layer", "layers", "version"])
        config[field] = source.choice(STRANGE)
    hub: dict[str, Any] = {"config": source.choice([config, {"architecture": "union", "configs": [config]}])}
    if source.random() < 0.3:
        hub[source.choice(["name", "version", "model_type", "config", "hidden_size"])] = source.choice(STRANGE)
    report = _check(tmp_path, hub, source.choice(["1.0.0", "1.3.0"]))
    assert report["verdicts"][0]["outcome"] in ("works", "wrong", "fails", "unknown")
    assert not [line for line in report["ledger"] if line["status"] == "crashed"]
    assert report["verdicts"][0]["outcome"] == "works" or report["findings"]


def test_fusion_folders_name_their_members(tmp_path: Path) -> None:
    told = {"name": "a,b", "config": {"key": True}, "version": "adapters.1.0.0"}
    (tmp_path / "adapter_fusion_config.json").write_text(json.dumps(told))
    folder = open_folder(str(tmp_path))
    assert isinstance(folder, Folder)
    assert fusion_in(folder) == ("a,b", ["a", "b"])
    (tmp_path / "adapter_fusion_config.json").write_text(json.dumps({**told, "name": "mine", "adapter_names": ["x"]}))
    again = open_folder(str(tmp_path))
    assert isinstance(again, Folder)
    assert fusion_in(again) == ("mine", ["x"])
