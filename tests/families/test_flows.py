"""Shipped graphs are those of live recordings, or there is none; without torch and transformers they are enough."""

from __future__ import annotations

import json
import os
import random
import subprocess
import sys
import zlib
from pathlib import Path
from typing import Any

import pytest

from adaptlint.bases import Base, BaseProblem, load_base
from adaptlint.dataflow import load, shipped
from adaptlint.dataflow.flow import flow
from adaptlint.dataflow.load import BACKENDS
from adaptlint.dataflow.shipped import FOLDER, graph_from, likeness, read_table, rope_kinds, rope_numbers, shipped_graph
from tests.conftest import ROOT

FILES = sorted(Path(FOLDER).glob("*.json.z"))
ALL = [(path.name.split(".")[0], path.name.split(".")[1]) for path in FILES]
SAMPLE = [("llama", "sdpa"), ("gpt2", "eager"), ("bert", "flash_attention_2"), ("qwen2", "flex_attention")]
OTHERS = random.Random(os.environ.get("SEED", "")).sample([one for one in ALL if one not in SAMPLE], 3)
DRAWN = ALL if os.environ.get("FAMILIES") == "all" else [*SAMPLE, *OTHERS]
TURNS = 2


def fixture(name: str, **changes: Any) -> dict[str, Any]:
    config: dict[str, Any] = json.loads((ROOT / "fixtures" / "bases" / name / "config.json").read_text())
    return {**config, **changes}


def base_of(folder: Path, config: dict[str, Any]) -> Base:
    """The base of a config, by its own table."""
    path = folder / "config.json"
    path.write_text(json.dumps(config))
    base = load_base(str(path), cache=False)
    assert isinstance(base, Base)
    return base


@pytest.mark.parametrize(("model_type", "backend"), DRAWN)
def test_fresh_configs_have_the_graphs_of_live_recordings(model_type: str, backend: str) -> None:
    transformers = pytest.importorskip("transformers")
    from transformers.models.auto.configuration_auto import CONFIG_MAPPING

    from tests.families.flow_comparing import different
    from tests.families.flow_settings import needed_of, with_all_experts
    from tests.families.flow_trials import Recorder, Refused
    from tests.families.live import built, quick
    from tests.families.space import Space, sources_of

    table = read_table(model_type, backend)
    assert table is not None
    names = list(table["classes"])
    classes = [getattr(transformers, name) for name in names]
    space = Space(model_type, CONFIG_MAPPING[model_type], sources_of(CONFIG_MAPPING[model_type], classes))
    seed = os.environ.get("SEED") or str(random.randrange(1 << 30))
    draw = random.Random(f"{model_type} {backend} {seed}")
    here, told = dict(space.start), 0
    with quick():
        made = built(here, names[0])
        if isinstance(made, BaseProblem) or graph_from(table, Base("", "meta", made, config=here)) is None:
            here = {**with_all_experts(space), **needed_of(space)}
        for turn in range(TURNS * 12):
            raw, name = space.moved(here, draw, sorted(space.fields), 2), names[turn % len(names)]
            made = built(raw, name)
            graph = None if isinstance(made, BaseProblem) else graph_from(table, Base("", "meta", made, config=raw))
            if graph is None:
                continue
            recorder = Recorder(CONFIG_MAPPING[model_type], name, backend, frozenset())
            recorder.inputs = list(graph.inputs)
            try:
                live = recorder.live(raw)
            except Refused:  # fewer positions than the recorded forward has
                continue
            assert different(graph, live) == "", (seed, name, raw)
            here, told = raw, told + 1
            if told == TURNS:
                break
    assert told


@pytest.mark.parametrize(
    ("model_type", "name", "backend", "changes"),
    [
        ("bloom", "BloomForCausalLM", "eager", {"slow_but_exact": True, "pretraining_tp": 2}),
        ("granitemoeshared", "GraniteMoeSharedForCausalLM", "sdpa", {"shared_intermediate_size": 1}),
        ("mistral", "MistralForCausalLM", "flex_attention", {"intermediate_size": 0}),
        ("starcoder2", "Starcoder2ForCausalLM", "sdpa", {"sliding_window": 4096}),
    ],
)
def test_a_branch_behind_another_setting_is_the_live_one(
    model_type: str, name: str, backend: str, changes: dict[str, Any]
) -> None:
    pytest.importorskip("transformers")
    from transformers.models.auto.configuration_auto import CONFIG_MAPPING

    from tests.families.flow_comparing import different
    from tests.families.flow_trials import Recorder
    from tests.families.live import built, quick

    raw = {"model_type": model_type, "num_hidden_layers": 2, **changes}
    with quick():
        made = built(raw, name)
        assert not isinstance(made, BaseProblem)
        table = read_table(model_type, backend)
        assert table is not None
        graph = graph_from(table, Base("", "meta", made, config=raw))
        recorder = Recorder(CONFIG_MAPPING[model_type], name, backend, frozenset())
        assert graph is None or different(graph, recorder.live(raw)) == ""


@pytest.mark.parametrize("backend", ["eager", "sdpa"])
@pytest.mark.parametrize("name", ["tiny-llama", "tiny-gpt2", "tiny-bert"])
def test_a_flow_is_that_of_a_live_recording(
    name: str, backend: str, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("transformers")
    model = root / "fixtures" / "bases" / name
    ours = flow(model, attn=backend, cache=False)
    monkeypatch.setattr(load, "shipped_graph", lambda base, attn: None)
    live = flow(model, attn=backend, cache=False)
    assert (ours.source, live.source) == ("shipped", "live")
    assert ours._replace(source="live") == live


@pytest.mark.parametrize(
    "changes",
    [
        {"hidden_act": "of the future"},
        {"output_attentions": True},
        {"rope_parameters": {"rope_type": "dynamic", "factor": 2.0, "rope_theta": 1e4}},
    ],
)
def test_what_lies_outside_of_a_table_has_no_graph(changes: dict[str, Any], tmp_path: Path) -> None:
    pytest.importorskip("transformers")
    assert shipped_graph(base_of(tmp_path, fixture("tiny-llama")), "sdpa") is not None
    path = tmp_path / "other.json"
    path.write_text(json.dumps(fixture("tiny-llama", **changes)))
    base = load_base(str(path), cache=False)
    assert isinstance(base, BaseProblem) or shipped_graph(base, "sdpa") is None


def test_a_branch_that_a_config_turns_is_found(tmp_path: Path) -> None:
    base = base_of(tmp_path, fixture("tiny-llama", head_dim=1))  # the rotary embedding then makes two of one
    assert shipped_graph(base, "flash_attention_2") is None


def test_flex_attention_asks_for_powers_of_two(tmp_path: Path) -> None:
    pytest.importorskip("transformers")
    from transformers.models.auto.configuration_auto import CONFIG_MAPPING

    from tests.families.flow_comparing import different
    from tests.families.flow_trials import Recorder

    recorder = Recorder(CONFIG_MAPPING["llama"], "LlamaForCausalLM", "flex_attention", frozenset())
    four, six = (
        fixture("tiny-llama", num_attention_heads=heads, num_key_value_heads=2, hidden_size=48) for heads in (4, 6)
    )
    graph = shipped_graph(base_of(tmp_path, six), "flex_attention")
    assert graph is not None
    assert different(graph, recorder.live(six)) == ""
    assert different(graph, recorder.live(four)) != ""


def test_a_class_without_a_table_has_no_graph(tmp_path: Path) -> None:
    base = base_of(tmp_path, fixture("tiny-llama"))
    base.record = {**base.record, "model_class": "LlamaFromTheFuture"}
    assert shipped_graph(base, "sdpa") is None
    assert shipped_graph(base, "paged") is None


def test_a_table_speaks_for_one_release(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    base = base_of(tmp_path, fixture("tiny-llama"))
    monkeypatch.setattr(shipped, "installed_versions", lambda names: {"transformers": "4.57.0"})
    assert shipped_graph(base, "sdpa") is None
    monkeypatch.setattr(shipped, "installed_versions", lambda names: {})
    assert shipped_graph(base, "sdpa") is not None
    base.record = {**base.record, "made_with": {"transformers": "4.57.0"}}
    assert shipped_graph(base, "sdpa") is None


def test_rotary_settings_that_a_base_leaves_out_are_the_raw_ones() -> None:
    default = {"rope_theta": 1e4, "partial_rotary_factor": 0.25}
    name = "rope_parameters.partial_rotary_factor"
    assert rope_numbers(default, {})[name] == 0.25
    assert rope_numbers(default, {"rotary_pct": 0.5})[name] == 0.5
    assert rope_numbers(default, {"rope_scaling": {"partial_rotary_factor": 1.0}})[name] == 1.0


def test_depth_changes_the_number_of_calls_alone(tmp_path: Path) -> None:
    graphs = [shipped_graph(base_of(tmp_path, fixture("tiny-llama", num_hidden_layers=n)), "sdpa") for n in (2, 40)]
    shallow, deep = graphs
    assert shallow is not None
    assert deep is not None
    assert shallow.templates == deep.templates
    assert sorted(run.times for run in deep.runs)[-1] == 40


@pytest.mark.parametrize(
    ("value", "like"),
    [
        (True, True),
        (None, None),
        (3, ["#"]),
        (0.5, ["~"]),
        ("gelu", "gelu"),
        ([2, 3], ["#", 2]),
        ([], ["#", 0]),
        (["b", "a", "b"], ["each", '"a"', '"b"']),
        ({"a": 1}, {"a": ["#"]}),
    ],
)
def test_the_likeness_of_a_value(value: object, like: object) -> None:
    assert likeness(value) == like


def test_the_kinds_of_rotary_embedding() -> None:
    assert rope_kinds({"rope_theta": 1e4}) == []
    assert rope_kinds({"type": "linear", "factor": 2.0}) == ["linear"]
    assert rope_kinds({"full": {"rope_type": "yarn"}, "sliding": {"rope_type": "default"}}) == ["yarn"]


WITHOUT = """
import sys
sys.modules.update(torch=None, transformers=None, numpy=None)
from adaptlint.cli import run
sys.exit(run([*sys.argv[1:], '--format', 'json', '--no-cache']))
"""


@pytest.mark.parametrize("backend", BACKENDS)
def test_a_flow_without_torch_and_transformers(backend: str, root: Path) -> None:
    model = root / "fixtures" / "bases" / "tiny-llama" / "config.json"
    command = [sys.executable, "-c", WITHOUT, "graph", str(model), "--flow", "--attn", backend, "--seq", "8"]
    done = subprocess.run(command, cwd=root, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    assert (told["source"], told["attn"], told["unknown"]) == ("shipped", backend, [])
    assert told["outputs"]["logits"] == ["batch", 8, 96]


def test_every_table_is_of_this_recorder_and_release() -> None:
    pins = dict(line.split("==") for line in (ROOT / "constraints.txt").read_text().split() if "==" in line)
    assert FILES
    for model_type, backend in ALL:
        table = read_table(model_type, backend)
        assert table is not None
        assert (table["backend"], table["transformers"]) == (backend, pins["transformers"])
        assert min(entry["verified"] for entry in table["classes"].values()) > 0


def test_tables_stay_small() -> None:
    assert sum(path.stat().st_size for path in FILES) < 4_000_000
    for path in FILES:
        assert len(zlib.decompress(path.read_bytes())) < shipped.MAX_BYTES
