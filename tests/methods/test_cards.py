"""Method cards against the real library: fields and defaults, and the tensors of adapters that PEFT itself saves."""

from __future__ import annotations

import dataclasses
import enum
from pathlib import Path
from typing import Any

import pytest

import adaptlint
from adaptlint import tables
from adaptlint.methods import load_method
from tests.conftest import ROOT
from tests.methods.settings import QV, SETTINGS
from tests.test_rules import TARGET, TRANSFORMERS

GONE = tables.load()["runtimes/peft/releases.toml"]["types_gone"]
CARDS = sorted(
    {tables.load()[key]["peft_type"] for key in tables.load() if key.startswith("methods/")} - {"LORA", *GONE}
)
BASE = ROOT / "fixtures" / "bases" / "tiny-llama"
CASES = [
    pytest.param(name, settings, id=f"{name}-{number}")
    for name in CARDS
    if not load_method(name).mixes_experts  # its examples are those of the rules about experts
    for number, settings in enumerate(SETTINGS.get(name, [{"r": 4, **QV}] if name != "BEFT" else [QV]))
]


@pytest.mark.parametrize("name", CARDS)
def test_fields_and_defaults_are_those_of_the_config_class(name: str) -> None:
    mapping = pytest.importorskip("peft.mapping")
    cls = mapping.PEFT_TYPE_TO_CONFIG_MAPPING[name]
    defaults = {}
    for field in dataclasses.fields(cls):
        value = field.default if field.default_factory is dataclasses.MISSING else field.default_factory()
        defaults[field.name] = value.value if isinstance(value, enum.Enum) else value
    defaults.pop("runtime_config", None)
    card = load_method(name)
    assert {**dict.fromkeys(card.config["none"]), **card.config["defaults"]} == defaults
    assert card.config_class == cls.__name__
    assert card.prefix == mapping.PEFT_TYPE_TO_PREFIX_MAPPING[name]


SCALES = ({"alpha": 6}, {"lora_alpha": 6}, {"randlora_alpha": 6}, {"scaling": 3.0})
SCALED = [
    pytest.param(name, {**settings, **scale}, id=f"{name}-{number}")
    for number, (name, settings) in enumerate(case.values for case in CASES)
    for scale in SCALES
    if load_method(name).scale in scale
]


@pytest.mark.parametrize(("name", "settings"), [*SCALED, ("LORA", {"lora_alpha": 6, "use_rslora": True, **QV})])
@pytest.mark.filterwarnings("ignore")
def test_scale_of_every_module_is_what_peft_computes(name: str, settings: dict[str, Any], tmp_path: Path) -> None:
    peft = pytest.importorskip("peft")
    from adaptlint.engine.inspecting import inspect_on
    from tests.differential.folders import model_of

    config = peft.mapping.PEFT_TYPE_TO_CONFIG_MAPPING[name](**settings)
    model = peft.get_peft_model(model_of(BASE, "AutoModelForCausalLM"), config)
    model.save_pretrained(tmp_path)
    layers = dict(model.base_model.model.named_modules())
    rows = inspect_on(str(BASE), str(tmp_path)).rows
    assert rows
    for row in rows:
        theirs = getattr(layers[row.module], "scaling", {"default": settings.get("scaling")})
        assert row.scale == pytest.approx(theirs["default"])


@pytest.mark.parametrize(("name", "settings"), CASES)
@pytest.mark.filterwarnings("ignore")
def test_what_peft_saves_is_what_the_card_expects(name: str, settings: dict[str, Any], tmp_path: Path) -> None:
    peft = pytest.importorskip("peft")
    from tests.differential.folders import model_of

    model = model_of(BASE, "AutoModelForCausalLM")
    config = peft.mapping.PEFT_TYPE_TO_CONFIG_MAPPING[name](**settings)
    peft.get_peft_model(model, config).save_pretrained(tmp_path)
    report = adaptlint.check(BASE, tmp_path, targets=[TARGET], transformers=TRANSFORMERS)
    (verdict,) = report.verdicts
    assert verdict.outcome == "works", [finding.message for finding in report.findings]
    assert (verdict.left_at_init, verdict.ignored) == ((), ())
