"""Method cards against what the real older releases have: fields, defaults, and the adapters that they save."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file

import adaptlint
from adaptlint import tables
from adaptlint.methods import has_method, load_method
from adaptlint.runtimes.peft.release import Release
from adaptlint.runtimes.peft.settings import Settings
from tests.conftest import ROOT
from tests.releases.prove import METHODS

BASE = ROOT / "fixtures" / "bases" / "tiny-llama"
RECORDS: dict[str, dict[str, Any]] = json.loads(METHODS.read_text())
NOT_CARDS = ("LORAPLUS", "XLORA")
ADAPTERS = [
    pytest.param(release, name, row, id=f"{release}-{name}-{number}")
    for release, methods in RECORDS.items()
    for name, method in methods.items()
    for number, row in enumerate(method.get("adapters", ()))
]


def fields_by_release(name: str) -> dict[str, dict[str, Any]]:
    """The config's fields with their defaults, in every release that has the method."""
    fields: dict[str, Any] = {}
    told = {}
    for release, methods in RECORDS.items():
        if name in methods:
            changed = dict(methods[name]["fields"])
            gone = changed.pop("gone", ())
            fields = {field: value for field, value in {**fields, **changed}.items() if field not in gone}
            told[release] = dict(fields)
    return told


@pytest.mark.parametrize("name", sorted({name for methods in RECORDS.values() for name in methods} - {*NOT_CARDS}))
def test_cards_have_the_fields_and_defaults_of_each_release(name: str) -> None:
    assert has_method(name)
    for version, fields in fields_by_release(name).items():
        release = Release(version, "4.40.2")
        method = load_method(name, release.version)
        settings = Settings("adapter_config.json", {}, release, method)
        known = {field: settings.values[field] for field in settings.known if field in settings.values}
        assert known == fields, version
        assert release.has("types", name), version


@pytest.mark.parametrize("version", RECORDS)
def test_types_are_those_of_each_release(version: str) -> None:
    release = Release(version, "4.40.2")
    known = [*tables.load()["runtimes/peft/peft.toml"]["types"]["known"], *release.card["types_gone"]]
    assert {name for name in known if release.has("types", name)} == set(RECORDS[version]) - {"LORAPLUS"}


@pytest.mark.parametrize(("version", "name", "row"), ADAPTERS)
def test_what_older_releases_save_is_what_they_load(
    version: str, name: str, row: dict[str, Any], tmp_path: Path
) -> None:
    config = {**fields_by_release(name)[version], **row["config"], "peft_type": name}
    (tmp_path / "adapter_config.json").write_text(json.dumps(config))
    tensors = {
        key.replace(".layers.*.", f".layers.{layer}."): torch.randn(shape)
        for key, shape, layers in row.get("tensors", [["x", [1], []]])
        for layer in layers or [0]
    }
    save_file(tensors, tmp_path / "adapter_model.safetensors")
    report = adaptlint.check(BASE, tmp_path, targets=[f"peft=={version}"])
    (verdict,) = report.verdicts
    if "error" in row:
        kind, message = row["error"]
        assert verdict.error is not None, verdict
        assert (verdict.error.type, verdict.error.match in message) == (kind, True), (verdict.error, message)
        return
    assert (verdict.left_at_init, verdict.ignored) == ((), ())
    assert verdict.outcome in ("works", *_meets_base(version, name)), [f.message for f in report.findings]


def _meets_base(version: str, name: str) -> tuple[str, ...]:
    """What loads fine, and meets a base with fewer key-value heads in the first forward: prefixes, adaption prompts."""
    release = Release(version, "4.40.2")
    grouped = {"PREFIX_TUNING": release.prefix_knows_kv_heads, "ADAPTION_PROMPT": release.adaption_follows_base}
    return () if grouped.get(name, True) else ("fails",)
