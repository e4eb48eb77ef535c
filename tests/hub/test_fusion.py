"""Fusion layers in folders: what releases of AdapterHub's library saved and did with them, against the verdicts.

`fusions.zip` is what `python -m tests.hub.fuse` made in the environment of each release, one folder for each.
"""

from __future__ import annotations

import json
import zipfile
from pathlib import Path
from typing import Any

import pytest

import adaptlint
from adaptlint import cli

RECORDS = Path(__file__).with_name("fusions.zip")
TINY = {"hidden_size": 16, "num_attention_heads": 4, "intermediate_size": 24, "num_hidden_layers": 2, "vocab_size": 67}
with zipfile.ZipFile(RECORDS) as packed:
    CASES: dict[str, Any] = {
        name.partition("/")[0]: json.loads(packed.read(name))["cases"]
        for name in packed.namelist()
        if name.endswith("/cases.json")
    }
PLAYED = [pytest.param(release, name, id=f"{release}-{name}") for release in CASES for name in CASES[release]]


def unpacked(folder: Path, release: str, name: str) -> Path:
    """The folder of a case, and a base beside it."""
    with zipfile.ZipFile(RECORDS) as packed:
        packed.extractall(folder, [each for each in packed.namelist() if each.startswith(f"{release}/{name}/")])
    config = {"model_type": "bert", "architectures": ["BertModel"], **TINY}
    (folder / "config.json").write_text(json.dumps(config))
    return folder / release / name


@pytest.mark.parametrize(("release", "name"), PLAYED)
def test_what_the_library_did(release: str, name: str, tmp_path: Path) -> None:
    place, record = unpacked(tmp_path, release, name), CASES[release][name]
    report = adaptlint.check(
        tmp_path,
        [(each, str(place / each)) for each in record["names"]],
        targets=[f"adapters=={release}"],
        model_class="BertModel",
        fusions=[str(place / "fusion")],
        attn="eager",
        mask="none",
    )
    (verdict,) = report.verdicts
    assert verdict.outcome == record["outcome"], [finding.message for finding in report.findings]
    if "error" in record:
        assert verdict.error is not None
        assert verdict.error.type == record["error"]["type"]
        assert verdict.error.match in record["error"]["message"]


def test_a_fuse_finds_the_layer_of_the_folder(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    place = unpacked(tmp_path, "1.3.0", "healthy")
    asked = ["check", str(tmp_path), f"a={place / 'a'}", f"b={place / 'b'}", "--target", "adapters==1.3.0"]
    asked += ["--model-class", "BertModel", "--compose", "Fuse(a, b)", "--attn", "eager", "--mask", "none"]
    assert cli.run([*asked, "--fusion", str(place / "fusion")]) == 0
    assert "WORKS" in capsys.readouterr().out
    assert cli.run(asked) == 1
    assert "KeyError" in capsys.readouterr().out


@pytest.mark.parametrize(
    "text", ["", "[]", '{"name": 3}', '{"name": "a,b", "config": null}', '{"name": "a", "config": {}}']
)
def test_a_config_of_another_form_is_no_crash(text: str, tmp_path: Path) -> None:
    place = unpacked(tmp_path, "1.3.0", "healthy")
    (place / "fusion" / "adapter_fusion_config.json").write_text(text)
    adapters = [("a", str(place / "a")), ("b", str(place / "b"))]
    options = {"targets": ["adapters==1.3.0"], "model_class": "BertModel", "fusions": [str(place / "fusion")]}
    report = adaptlint.check(tmp_path, adapters, **options)
    assert (report.verdicts[0].outcome, report.crashed) == ("unknown", False)
    (place / "fusion" / "pytorch_model_adapter_fusion.bin").write_text("no archive")
    assert not adaptlint.check(tmp_path, adapters, **options).crashed
