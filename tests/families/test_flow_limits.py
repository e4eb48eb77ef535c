"""What a table of graphs refuses: sizes, values and paths that were found wrong; how calls of layers are numbered."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from adaptlint.bases import Base
from adaptlint.dataflow import stacks
from adaptlint.dataflow.fold import fold
from adaptlint.dataflow.record import FIRST, build, trace_at
from adaptlint.dataflow.shipped import asked_of, graph_from, read_table
from tests.families.test_flows import base_of, fixture

transformers = pytest.importorskip("transformers")

from transformers.models.auto.configuration_auto import CONFIG_MAPPING  # noqa: E402

from tests.dataflow.unfolding import apart  # noqa: E402
from tests.families.flow_comparing import different  # noqa: E402
from tests.families.flow_limits import Limits, NothingLeft  # noqa: E402
from tests.families.flow_trials import Recorder, Refused, stacked  # noqa: E402
from tests.families.handed_on import handed_on  # noqa: E402
from tests.families.live import built  # noqa: E402

START = {"model_type": "llama", "num_hidden_layers": 2, "hidden_size": 64, "num_attention_heads": 4}
Fault = Callable[[dict[str, Any], dict[str, Any]], str | None]


def recorder(model_type: str, name: str, backend: str = "eager") -> Recorder:
    return Recorder(CONFIG_MAPPING[model_type], name, backend, frozenset({"num_hidden_layers"}))


def bases(raw: dict[str, Any]) -> Base:
    made = built(raw, "LlamaForCausalLM")
    assert isinstance(made, dict)
    return Base("", "meta", made, config=raw)


def entry_of(backend: str = "eager") -> dict[str, Any]:
    table = read_table("llama", backend)
    assert table is not None
    entry: dict[str, Any] = table["classes"]["LlamaForCausalLM"]
    return entry


def limits(wrong: Callable[[dict[str, Any]], bool]) -> tuple[Limits, Fault]:
    """Limits of llama's table, in which the configs that `wrong` picks count as wrong where they are covered."""
    table = read_table("llama", "eager")
    assert table is not None

    def fault(entry: dict[str, Any], raw: dict[str, Any]) -> str | None:
        ours = graph_from({**table, "classes": {"LlamaForCausalLM": entry}}, bases(raw))
        return None if ours is None else "wrong" if wrong(raw) else ""

    start = recorder("llama", "LlamaForCausalLM").trial(START)
    return Limits(start, [start], bases, fault), fault


def test_sizes_that_have_to_be_multiples_are_refused_otherwise() -> None:
    found, fault = limits(lambda raw: raw.get("intermediate_size", 11008) % 8 != 0)
    entry, odd = entry_of(), {**START, "intermediate_size": 100, "vocab_size": 77}
    found.restrict(entry, odd)
    assert fault(entry, odd) is None
    assert fault(entry, {**START, "intermediate_size": 13 * 4}) is None
    assert fault(entry, {**START, "intermediate_size": 13 * 8}) == ""


def test_a_rare_size_is_refused_but_for_the_usual_one() -> None:
    found, fault = limits(lambda raw: raw.get("pretraining_tp", 1) != 1)
    entry, rare = entry_of(), {**START, "pretraining_tp": 4, "vocab_size": 77}
    found.restrict(entry, rare)
    assert fault(entry, rare) is None
    assert fault(entry, {**START, "vocab_size": 77}) == ""


def test_a_path_that_is_wrong_goes_and_the_usual_one_stays() -> None:
    found, fault = limits(lambda raw: raw.get("attention_bias") is True)
    entry, path = entry_of(), {**START, "attention_bias": True}
    found.restrict(entry, path)
    assert fault(entry, path) is None
    assert fault(entry, START) == ""


def test_a_size_that_says_of_what_kind_each_layer_is_stays_open() -> None:
    found, fault = limits(lambda raw: raw.get("pretraining_tp", 1) == 4 and "vocab_size" in raw)
    found.apart = frozenset({"pretraining_tp"})
    entry, wrong = entry_of(), {**START, "pretraining_tp": 4, "vocab_size": 77}
    found.restrict(entry, wrong)
    assert fault(entry, wrong) is None
    assert fault(entry, {**START, "pretraining_tp": 3}) == ""


def test_nothing_is_left_where_the_default_is_wrong() -> None:
    found, _ = limits(lambda raw: True)
    with pytest.raises(NothingLeft):
        found.restrict(entry_of(), {**START, "vocab_size": 77})


@pytest.mark.parametrize(
    ("model_type", "name", "raw"),
    [
        ("llama", "LlamaForCausalLM", {}),
        ("smollm3", "SmolLM3ForCausalLM", {"num_hidden_layers": 4, "no_rope_layers": [1, 0, 1, 1]}),
        ("t5", "T5ForConditionalGeneration", {"num_layers": 3}),
    ],
)
def test_calls_by_their_stacks_are_the_calls_again(model_type: str, name: str, raw: dict[str, Any]) -> None:
    graph = recorder(model_type, name).live({"model_type": model_type, "num_hidden_layers": 2, **raw})
    calls, outputs = apart(graph.runs, graph.outputs)
    lengths = [len(template.nodes) for template in graph.templates]
    told, ends = stacked(calls, outputs, lengths)
    own = [call.template for call in calls]
    found, finds = stacks.unstacked(json.loads(json.dumps(told)), json.loads(json.dumps(ends)))
    again, last = stacks.counted(
        [call._replace(template=t) for call, t in zip(found, own, strict=True)], finds, [lengths[t] for t in own]
    )
    assert [(call.prefix, call.first, [*map(list, call.given)]) for call in again] == [
        (call.prefix, call.first, [*map(list, call.given)]) for call in calls
    ]
    assert last == outputs


def test_which_layers_are_of_which_kind_is_no_condition() -> None:
    found = recorder("ernie4_5_moe", "Ernie4_5_MoeForCausalLM")
    trial = found.trial({"model_type": "ernie4_5_moe", "num_hidden_layers": 3, "moe_num_experts": 8})
    assert found.by_index
    assert not any(name in condition for name in found.by_index for condition in trial.held)


def test_a_size_of_nothing_is_a_condition_with_one_layer_as_with_two() -> None:
    found = recorder("granitemoeshared", "GraniteMoeSharedForCausalLM")
    for depth in (2, 1):
        raw = {"model_type": "granitemoeshared", "num_hidden_layers": depth, "num_local_experts": 8}
        assert '["=", "shared_intermediate_size", 0]' in found.trial(raw).held
    assert not found.by_index


def test_graphs_in_another_dtype_of_floats_are_the_same() -> None:
    built = build(START, "LlamaForCausalLM", "eager")
    sizes = {name: FIRST[name] for name in built.symbols}
    wide = fold(trace_at(built, sizes))
    built.model.to(built.torch.bfloat16)
    narrow = fold(trace_at(built, sizes))
    assert wide.to_json() != narrow.to_json()
    assert different(wide, narrow) == ""
    longer = recorder("llama", "LlamaForCausalLM").live({**START, "num_hidden_layers": 3})
    assert different(wide, longer) != ""


def test_flags_of_each_layer_count_by_which_there_are() -> None:
    told = asked_of({"no_rope_layers": [1, 0, 1], "sizes": [1, 2]}, {}, {})
    assert (told["no_rope_layers"], told["sizes"]) == (["1", "0", "1"], [1, 2])


def test_a_rotary_embedding_that_nobody_names_is_the_one_of_the_class() -> None:
    usual = {"rope_type": "llama3"}
    assert asked_of({}, {}, usual)["rope_parameters"] == ["llama3"]
    assert asked_of({}, {"rope_scaling": {"rope_type": "yarn"}}, usual)["rope_parameters"] == ["yarn"]
    assert asked_of({"rope_parameters": None}, {}, usual)["rope_parameters"] == []


def test_a_size_outside_of_its_bounds_has_no_graph(tmp_path: Any) -> None:
    table = read_table("llama", "sdpa")
    assert table is not None
    base = base_of(tmp_path, fixture("tiny-llama"))
    width = base.resolved_config["hidden_size"]
    for bounds, there in (([width, width, 1], True), ([width + 1, None, 1], False), ([None, width - 1, 1], False)):
        for variant in table["classes"]["LlamaForCausalLM"]["variants"]:
            variant["within"] = {"hidden_size": bounds}
        assert (graph_from(table, base) is not None) is there


@pytest.mark.parametrize("depth", [1, 2, 5])
def test_what_every_layer_made_is_returned_again_whatever_their_number(depth: int) -> None:
    raw = {"model_type": "deberta", "num_hidden_layers": depth}
    graph = recorder("deberta", "DebertaForMaskedLM").live(raw)
    calls, outputs = apart(graph.runs, graph.outputs)
    told, ends = stacked(calls, outputs, [len(template.nodes) for template in graph.templates])
    templates = json.loads(json.dumps(graph.templates))
    short, shorter = handed_on(told, templates)
    tail, modules = short[-1][1][0][2], shorter[short[-1][1][0][1]][2]
    assert len(tail) == (3 if depth == 1 else 4)
    found, _ = stacks.unstacked(json.loads(json.dumps(short)), ends)
    assert len(found[-1].given) == 2 + depth
    again = [[path, stacks.returned(refs, len(found[-1].given))] for path, refs in modules]
    assert again == templates[calls[-1].template][2]


def test_how_often_a_loop_of_the_forward_goes_round_is_a_condition() -> None:
    raw = {"model_type": "bloom", "n_layer": 1, "hidden_size": 24, "n_head": 2, "slow_but_exact": True}
    trial = recorder("bloom", "BloomForCausalLM").trial({**raw, "pretraining_tp": 3})
    assert json.dumps(["=", "pretraining_tp", 3]) in trial.held


def test_a_width_whose_half_is_one_number_is_not_learnt_from() -> None:
    found = recorder("llama", "LlamaForCausalLM")
    with pytest.raises(Refused, match="half of a width"):
        found.trial({"model_type": "llama", "num_hidden_layers": 1, "head_dim": 2})
    assert found.trial({"model_type": "llama", "num_hidden_layers": 1, "head_dim": 4})
