"""Files that PEFT cannot read: every one is told in whole sentences, and odd places end as they do with real PEFT."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

import adaptlint
from adaptlint.catalogue import load_catalogue
from adaptlint.findings import Report
from tests.artefacts.galleries import configs, headers
from tests.conftest import ROOT

BASE = ROOT / "fixtures" / "bases" / "tiny-llama"
CONFIG = {"peft_type": "LORA", "r": 2, "target_modules": ["q_proj"]}
# Reasons whose faults bring their own words, because these depend on more than facts.
SAY_IT_THEMSELVES = {
    "target-not-modelled",
    "base-classes-not-known",
    "composition-not-modelled",
    "backend-not-modelled",
    "length-not-modelled",
}


def checked(adapter: Path) -> Report:
    return adaptlint.check(BASE, adapter, targets=("peft==0.21.2",))


def told(report: Report) -> str:
    """The one finding's message and help, after making sure that nothing in them was left open."""
    (finding,) = report.findings
    text = f"{finding.message} {finding.help}"
    assert not re.search(r"[{}]|None|\.\.|: \.|  ", text.replace("..., ", "")), text
    assert not report.crashed
    return text


def test_every_reason_told_as_a_problem_has_words() -> None:
    rules = load_catalogue()
    claimed = {reason for rule in rules for reason in rule.claim}
    for rule in rules:
        assert set(rule.reasons) <= claimed, rule.code
        if "{problem}" in rule.says:
            assert set(rule.claim) - set(rule.reasons) <= SAY_IT_THEMSELVES | {"base-class-unknown"}, rule.code


@pytest.mark.parametrize("name", configs())
def test_broken_configs_are_told_in_words(name: str, tmp_path: Path) -> None:
    (tmp_path / "adapter_config.json").write_bytes(configs()[name])
    assert "adapter_config.json" in told(checked(tmp_path))


@pytest.mark.parametrize("name", headers())
def test_broken_headers_are_told_in_words(name: str, tmp_path: Path) -> None:
    (tmp_path / "adapter_config.json").write_text(json.dumps(CONFIG))
    (tmp_path / "adapter_model.safetensors").write_bytes(headers()[name])
    report = checked(tmp_path)
    text = told(report)
    assert text.startswith("adapter_model.safetensors ")
    error = report.verdicts[0].error
    assert error is None or f"PEFT raises {error.type}" in text


def test_broken_checkpoints_are_told_in_words(tmp_path: Path) -> None:
    pytest.importorskip("torch")
    from tests.artefacts.test_torch import broken

    (tmp_path / "adapter_config.json").write_text(json.dumps(CONFIG))
    for content in broken().values():
        (tmp_path / "adapter_model.bin").write_bytes(content)
        assert told(checked(tmp_path)).startswith("adapter_model.bin ")


def odd_place(name: str, folder: Path) -> Path:
    """An adapter path that is no plain folder of plain files; returns the path to give."""
    if name == "a-file":
        (folder / "adapter_model.safetensors").write_bytes(b"")
        return folder / "adapter_model.safetensors"
    if name == "config-is-a-directory":
        (folder / "adapter_config.json").mkdir()
    elif name == "config-leads-nowhere":
        (folder / "adapter_config.json").symlink_to("nowhere.json")
    else:
        (folder / "adapter_config.json").write_text(json.dumps(CONFIG))
        (folder / "adapter_model.safetensors").symlink_to("nowhere.safetensors")
    return folder


@pytest.mark.parametrize("name", ["a-file", "config-is-a-directory", "config-leads-nowhere", "weights-lead-nowhere"])
def test_odd_places_end_as_with_real_peft(name: str, tmp_path: Path) -> None:
    pytest.importorskip("peft")
    from peft import PeftModel

    from tests.differential.folders import model_of

    adapter = odd_place(name, tmp_path)
    error = checked(adapter).verdicts[0].error
    assert error is not None
    with pytest.raises(Exception, match=re.escape(error.match)) as raised:
        PeftModel.from_pretrained(model_of(BASE, "AutoModelForCausalLM"), str(adapter))
    assert type(raised.value).__name__ == error.type
