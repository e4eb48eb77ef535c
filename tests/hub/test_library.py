"""What adapters.init does to attention, seen in every recorded forward of a causal model."""

from __future__ import annotations

import json
from itertools import product
from pathlib import Path

import pytest

from adaptlint import tables
from adaptlint.bases import Base, load_base
from adaptlint.dataflow.flow_graph import FlowGraph
from adaptlint.runtimes.adapters.library import FAULTS, faults_of_library
from adaptlint.runtimes.adapters.recorded import FOLDER, Raises, recorded_graph
from adaptlint.runtimes.adapters.release import HubRelease
from tests.conftest import ROOT
from tests.hub.matrix import BASES

CAUSAL = tables.load()[FAULTS]["causal"]
RELEASES = sorted(path.name for path in Path(FOLDER).iterdir())
BROKEN = {("0.2.2", "llama", "sdpa", False)}


def base_of(name: str, folder: Path) -> Base:
    config = {"model_type": name, **BASES[name]["config"], "architectures": [BASES[name]["class"]]}
    (folder / "config.json").write_text(json.dumps(config))
    base = load_base(str(folder), model_class=BASES[name]["class"])
    assert isinstance(base, Base)
    return base


@pytest.mark.parametrize("name", [name for name in BASES if BASES[name]["config"].get("model_type", name) in CAUSAL])
def test_only_llama_in_0_2_2_under_sdpa_sees_ahead(name: str, tmp_path: Path) -> None:
    base = base_of(name, tmp_path)
    found = set()
    for release, backend, masked in product(RELEASES, ("eager", "sdpa", "flash_attention_2"), (True, False)):
        graph = recorded_graph(base.config, base.model_class or "", release, backend, masked)
        if isinstance(graph, FlowGraph):
            faults = faults_of_library(base, HubRelease(release), graph)
            if any(fault.reason == "attention-not-causal" for fault in faults):
                found.add((release, base.model_type, backend, masked))
    assert found == {row for row in BROKEN if row[1] == base.model_type}


def test_a_class_that_raises_is_recorded_as_such() -> None:
    config = json.loads((ROOT / "fixtures" / "bases" / "llama-3-8b" / "config.json").read_text())
    raised = recorded_graph(config, "LlamaModel", "0.2.2", "flash_attention_2", False)
    assert isinstance(raised, Raises)
    assert raised.kind == "AttributeError"
