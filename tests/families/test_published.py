"""Configs as public models have them, old keys and all: shipped tables cover them, and say what live builds say."""

from __future__ import annotations

import json
import os
import random
from pathlib import Path
from typing import Any

import pytest

from adaptlint.bases import Base, BaseProblem
from adaptlint.bases.families import family_of, read_table, shipped_record
from adaptlint.dataflow import shipped
from tests.families.live import quick

PUBLISHED: dict[str, dict[str, Any]] = json.loads(Path(__file__).with_name("published.json").read_text())
"""Configs of public models with the keys that the releases of their day wrote; figures only."""
ALL = [(name, backend) for name in sorted(PUBLISHED) for backend in ("eager", "sdpa")]
DRAWN = ALL if os.environ.get("FAMILIES") == "all" else random.Random(os.environ.get("SEED", "")).sample(ALL, 8)
LIST = "a key that the class takes without listing it was not learnt with every other setting"
NO_GRAPH = {
    "bloom-7b1": "alibi was learnt for few numbers of heads",
    "deepseek-v2-lite": "yarn beside latent attention was not learnt",
    "deepseek-v3": "yarn beside latent attention was not learnt",
    "deit": "the class with a teacher was not learnt",
    "falcon-11b": "one norm beside the new architecture was not learnt",
    "gemma-3-1b": LIST,
    "glm-4.5-air": LIST,
    "modernbert": LIST,
    "mpt-7b": "alibi was learnt for few numbers of heads",
    "pegasus": "its activation was not learnt",
    "phi-3.5-moe": "two biases at once were not learnt",
    "qwen3-30b-a3b": LIST,
    "smollm3-3b": "its first two layers, which are what is tried, both turn positions; all 36 are told",
    "xlnet-base": "its class has no recorded forward",
}
"""Models some of whose forwards no table has."""


@pytest.mark.parametrize("name", sorted(PUBLISHED))
def test_shapes_are_those_of_a_live_build(name: str) -> None:
    pytest.importorskip("transformers")
    from adaptlint.bases.meta_build import build_record
    from tests.families.comparing import difference

    config = PUBLISHED[name]
    ours = shipped_record(config, None)
    assert ours is not None
    with quick():
        live = build_record(config, None)
    assert not isinstance(live, BaseProblem)
    table = read_table(family_of(config))
    assert table is not None
    assert difference(table, ours, live) == ""


@pytest.mark.parametrize(("name", "backend"), DRAWN)
def test_forwards_are_those_of_a_live_recording(name: str, backend: str) -> None:
    pytest.importorskip("transformers")
    from transformers.models.auto.configuration_auto import CONFIG_MAPPING

    from tests.dataflow.sweep import shallow
    from tests.families.flow_comparing import different
    from tests.families.flow_trials import Recorder, Refused

    config = shallow(PUBLISHED[name])
    record = shipped_record(config, None)
    assert record is not None
    base = Base("", "meta", record, config=config)
    graph = shipped.shipped_graph(base, backend)
    recorder = Recorder(CONFIG_MAPPING[family_of(config)], record["model_class"], backend, frozenset())
    if graph is None:
        assert name in NO_GRAPH or not supports(recorder, config, Refused), "its forward is not told"
        return
    recorder.inputs = list(graph.inputs)
    with quick():
        assert different(graph, recorder.live(config)) == ""


def supports(recorder: Any, config: dict[str, Any], refused: type[Exception]) -> bool:
    """Whether the class has this backend at all."""
    try:
        with quick():
            recorder.live(config)
    except refused:
        return False
    return True
