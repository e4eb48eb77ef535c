"""How a record is read as a verdict."""

from __future__ import annotations

from typing import Any

import pytest

from tests.oracle.cases import adapters, comparable, plan
from tests.oracle.wanted import wanted

CLEAN = {"outcome": "ok", "load_result": {"missing_keys": [], "unexpected_keys": []}, "left_at_init": []}


def record(forward: dict[str, Any] | None = None, **step: Any) -> dict[str, Any]:
    return {"steps": [{**CLEAN, **step}], "forward": forward or {"ok": True, "effect": True}}


@pytest.mark.parametrize(
    ("seen", "fresh", "outcome"),
    [
        (record(), False, "works"),
        (record(left_at_init=["a.lora_B.default.weight"]), False, "wrong"),
        (record(left_at_init=["a.ranknum"]), False, "works"),
        (record(load_result={"unexpected_keys": ["x"]}), False, "wrong"),
        (record(load_result={"unexpected_keys": ["prompt_embeddings"]}), False, "works"),
        (record(nonfinite=["x"]), False, "wrong"),
        (record(base_tensors_overwritten=["x"]), False, "either"),
        (record({"ok": True, "effect": False}), True, "either"),
        (record({"ok": True, "effect": False}), False, "wrong"),
        (record({"ok": False, "error": "IndexError: out of range"}), False, "fails"),
        ({"steps": [{"outcome": "raises", "error": {"type": "KeyError", "message": "'r'"}}]}, False, "fails"),
    ],
)
def test_outcome_of_a_record(seen: dict[str, Any], fresh: bool, outcome: str) -> None:
    assert wanted(seen, fresh).outcome == outcome


def test_size_mismatches_are_read_off_the_message() -> None:
    message = "Error(s)\n\tsize mismatch for b.x: copying\n\tsize mismatch for a.y: copying"
    error = {"mro": ["RuntimeError"], "message": message}
    told = wanted({"steps": [{"outcome": "raises", "error": error}]}, False)
    assert (told.type, told.mismatched) == ("RuntimeError", ("a.y", "b.x"))


def test_a_plain_load_needs_no_plan() -> None:
    assert plan({}) is None
    assert adapters({}) == [("default", "adapter")]


def test_steps_become_the_plan_of_the_contract() -> None:
    combine = {"adapters": ["a", "b"], "weights": [1, 0.5], "adapter_name": "c", "density": 0.2}
    case = {
        "steps": [
            {"op": "from_pretrained", "name": "a", "path": "one", "kwargs": {"low_cpu_mem_usage": True}},
            {"op": "load_adapter", "name": "b", "path": "two"},
            {"op": "add_weighted_adapter", "kwargs": combine},
            {"op": "set_adapter", "name": "c"},
        ]
    }
    assert comparable(case)
    assert plan(case) == "load a low_cpu_mem_usage=true; load b; combine c svd a=1 b=0.5 density=0.2; set c"


def test_other_options_are_not_comparable() -> None:
    assert not comparable({"steps": [{"op": "from_pretrained", "kwargs": {"key_mapping": {}}}]})
