"""Examples that no recipe can make, named by the Bad section of their pages."""

from __future__ import annotations

from pathlib import Path

import pytest

import adaptlint
from adaptlint.testing import build, page_examples, read_recipe
from tests.conftest import ROOT
from tests.test_rules import BASES, TARGET, TRANSFORMERS


def test_adapter_name_with_a_dot(tmp_path: Path) -> None:
    page = ROOT / "rules" / "config" / "AL115-adapter-name-impossible.md"
    (good,) = page_examples(page.read_text(encoding="utf-8"))["good"]
    built = build(read_recipe(good), str(tmp_path), str(BASES))
    report = adaptlint.check(built.model, ("v1.5", built.adapter), targets=(TARGET,), transformers=TRANSFORMERS)
    assert [finding.code for finding in report.findings] == ["AL115"]
    (verdict,) = report.verdicts
    assert (verdict.outcome, verdict.stage) == ("fails", "load")
    assert verdict.error is not None
    peft, transformers = pytest.importorskip("peft"), pytest.importorskip("transformers")
    base = transformers.AutoModelForCausalLM.from_config(transformers.AutoConfig.from_pretrained(built.model))
    with pytest.raises(KeyError) as raised:
        peft.PeftModel.from_pretrained(base, built.adapter, adapter_name="v1.5")
    assert verdict.error.type == raised.type.__name__
    assert verdict.error.match in str(raised.value.args[0])
