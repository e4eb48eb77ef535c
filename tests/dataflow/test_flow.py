"""What a flow says of a recorded forward, and what it leaves unsaid."""

from __future__ import annotations

import json

import pytest

import adaptlint
from adaptlint.dataflow import drawing
from adaptlint.dataflow.flow import Flow, SizeError
from tests.dataflow.fakes import Conflict, FlowProblem, Moved, decoder, install


def flow_of(monkeypatch: pytest.MonkeyPatch, moves: object = decoder, **sizes: int) -> Flow:
    install(monkeypatch, moves)  # type: ignore[arg-type]
    return adaptlint.flow("tiny", sizes=sizes)


def test_the_document(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = install(monkeypatch)
    found = adaptlint.flow("tiny", model_class="TinyForCausalLM", attn="eager")
    assert asked == [("tiny", "TinyForCausalLM", "eager", {"offline": True, "cache": True})]
    document = json.loads(json.dumps(found.to_dict()))
    assert list(document) == ["model", "attn", "source", "inputs", "outputs", "modules", "unknown"]
    assert (document["model"], document["attn"], document["source"]) == ("tiny", "sdpa", "live")
    assert document["inputs"] == {"input_ids": ["batch", "seq"], "table": [7, "seq"]}
    assert document["outputs"] == {"logits": ["batch", "seq", 32000]}
    assert document["modules"]["model.layers.1.attn"] == {"out": [["batch", "seq", 16], ["batch", 4, "seq", "seq"]]}
    assert document["modules"]["model.layers.0.parts.0"] == {"out": [["batch*seq", 64]]}
    assert document["modules"]["nothing"] == {"out": []}
    assert document["unknown"] == [{"module": "model.odd\x1b", "reason": "an operation without a rule"}]


def test_numbers_are_put_in(monkeypatch: pytest.MonkeyPatch) -> None:
    found = flow_of(monkeypatch, batch=2)
    assert found.inputs["input_ids"] == [2, "seq"]
    assert found.modules["model.layers.0.parts.0"] == [["2*seq", 64]]
    numbers = flow_of(monkeypatch, batch=2, seq=128)
    assert numbers.outputs == {"logits": [2, 128, 32000]}
    assert numbers.modules["model.layers.0.parts.0"] == [[256, 64]]


@pytest.mark.parametrize("sizes", [{"decoder_seq": 3}, {"batch": 0}, {"seq": True}])
def test_what_is_no_size_is_refused(sizes: dict[str, int], monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(SizeError, match=next(iter(sizes))):
        flow_of(monkeypatch, **sizes)


def test_without_a_forward_there_is_no_flow(monkeypatch: pytest.MonkeyPatch) -> None:
    install(monkeypatch)
    with pytest.raises(FlowProblem):
        adaptlint.flow("nowhere")


def test_a_dimension_that_is_no_expression_makes_its_module_unknown(monkeypatch: pytest.MonkeyPatch) -> None:
    def moves(sizes: dict[str, int]) -> Moved:
        return Moved({"logits": (sizes["seq"] % 8,)}, {"a": [(sizes["seq"],), (sizes["seq"] % 8,)]}, {}, None)

    found = flow_of(monkeypatch, moves)
    assert found.modules == found.outputs == {}
    assert found.unknown["a"] == "a dimension is no simple expression in the sizes"
    assert found.unknown[""] == "of its output logits a dimension is no simple expression in the sizes"


def test_a_branch_on_the_sizes_makes_its_modules_unknown(monkeypatch: pytest.MonkeyPatch) -> None:
    def moves(sizes: dict[str, int]) -> Moved:
        late = sizes["seq"] > 100
        modules = {"a": [(1,)] * (1 + late), "b": [(sizes["batch"],)]}
        return Moved({}, modules if late else {**modules, "c": [(1,)]}, {}, None)

    found = flow_of(monkeypatch, moves)
    assert found.modules == {"b": [["batch"]]}
    assert found.unknown == {
        "c": "it is reached under some sizes only",
        "a": "the number of tensors or of their dimensions depends on the sizes",
    }


def broken(sizes: dict[str, int]) -> Moved:
    conflict = Conflict("model.layers.0", "16 and 17 cannot be added")
    return Moved({}, {"model.embed": [(sizes["batch"], 16)]}, {"model.layers.1": "not reached"}, conflict)


def test_a_conflict_makes_everything_after_it_unknown(monkeypatch: pytest.MonkeyPatch) -> None:
    found = flow_of(monkeypatch, broken)
    assert found.outputs == {}
    assert found.modules == {"model.embed": [["batch", 16]]}
    assert set(found.unknown) == {"model.layers.1", "model.layers.0", "model.layers", "model", ""}
    assert "16 and 17 cannot be added" in found.unknown[""]


def test_a_conflict_under_some_sizes_is_no_certainty(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[int] = []

    def moves(sizes: dict[str, int]) -> Moved:
        seen.append(sizes["seq"])
        return broken(sizes) if len(seen) == 2 else decoder(sizes)

    found = flow_of(monkeypatch, moves)
    assert set(found.modules) == {"model.embed"} - set(found.unknown)
    assert "16 and 17 cannot be added" in found.unknown["head"]


def test_more_positions_than_the_model_has_are_no_conflict(monkeypatch: pytest.MonkeyPatch) -> None:
    found = flow_of(monkeypatch, lambda sizes: broken(sizes) if sizes["seq"] > 77 else decoder(sizes))
    assert found.outputs == {"logits": ["batch", "seq", 32000]}
    assert set(found.unknown) == {"model.odd\x1b"}


def test_the_tree_folds_layers_and_says_a_reason_once(monkeypatch: pytest.MonkeyPatch) -> None:
    assert drawing.tree(flow_of(monkeypatch)) == [
        "TinyForCausalLM  (sdpa, forward from live)",
        "  input_ids: (batch, seq)",
        "  table: (7, seq)",
        "  -> logits (batch, seq, 32000)",
        "  model -> (batch, seq, 16)",
        "    embed -> (batch, seq, 16)",
        "    layers.{0-1} -> (batch, seq, 16)",
        "      attn -> (batch, seq, 16), (batch, 4, seq, seq)",
        "      parts.{0-1} -> (batch*seq, 64)",
        "    layers.2 -> (batch, seq, 16)",
        "      attn -> (batch, seq, 16), (batch, 4, seq, seq)",
        "      parts.0 -> (batch*seq, 64)",
        "      parts.1 -> (batch*seq, 32)",
        "    odd\x1b -> ? [1]",
        "  head -> (batch, seq, 32000)",
        "  nothing -> no tensor",
        "[1] an operation without a rule",
    ]
    assert "  (the model itself) -> ? [2]" in drawing.tree(flow_of(monkeypatch, broken))


def test_dot_and_mermaid_are_the_same_tree(monkeypatch: pytest.MonkeyPatch) -> None:
    found = flow_of(monkeypatch)
    dot, mermaid = drawing.dot(found), drawing.mermaid(found)
    assert dot[0] == "digraph flow {"
    assert r'  n0 [label="(model)\nlogits (batch, seq, 32000)"];' in dot
    assert r'  n5 [label="model.layers.{0-1}.parts.{0-1}\n(batch*seq, 64)"];' in dot
    assert r'  n10 [label="model.odd\u001b\n? an operation without a rule"];' in dot
    assert mermaid[0] == "flowchart LR"
    assert '  n5["model.layers.{0-1}.parts.{0-1}<br>(batch*seq, 64)"]' in mermaid
    edges = [line.strip(" ;").split(" -> ") for line in dot if " -> " in line]
    assert [line.split(" --> ") for line in map(str.strip, mermaid) if " --> " in line] == edges
    assert ["n3", "n5"] in edges
