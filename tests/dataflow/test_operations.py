"""Shape rules against torch on meta tensors: the same shapes and kinds, and a conflict exactly where torch raises."""

from __future__ import annotations

from typing import Any

import pytest

from adaptlint.dataflow.operations import INTO, RULES, survivor
from tests.dataflow.cases import Case
from tests.dataflow.cases_by_name import CASES, SILENT
from tests.dataflow.played import RAISES, UNPLAYED, by_torch, differ, sure

KERNELS = {"flash_attention", "flex_attention", "_grouped_mm", "grouped_mm"}


def called(case: Case) -> tuple[tuple[Any, ...], dict[str, Any]]:
    return (case[:-1], case[-1]) if case and isinstance(case[-1], dict) else (case, {})


def test_every_operation_has_cases() -> None:
    assert sorted(set(RULES) - set(CASES) - KERNELS) == []
    assert sorted(set(CASES) - set(RULES)) == []


@pytest.mark.parametrize("op", sorted(CASES))
def test_the_rule_says_what_torch_says(op: str) -> None:
    faults = []
    for case in CASES[op]:
        args, kwargs = called(case)
        faults.append(differ(op, *args, **kwargs))
    assert [fault for fault in faults if fault] == []
    known = [case for case in CASES[op] if sure(op, *called(case)[0], **called(case)[1])]
    played = [by_torch("cpu", op, *args, **kwargs) for args, kwargs in map(called, known)]
    assert any(real[:1] not in ((UNPLAYED,), (RAISES,)) for real in played), played


@pytest.mark.parametrize("op", sorted(INTO))
def test_what_others_are_put_into_keeps_its_shape(op: str) -> None:
    played = 0
    for case in CASES[op]:
        args, kwargs = called(case)
        real = by_torch("cpu", op, *args, **kwargs)
        if real[:1] not in ((UNPLAYED,), (RAISES,)):
            kept = survivor(op, list(args))
            assert kept is not None
            assert real == ((kept.shape, kept.kind),)
            played += 1
    assert played


@pytest.mark.parametrize("op", sorted(SILENT))
def test_what_depends_on_elements_is_unknown(op: str) -> None:
    for case in SILENT[op]:
        args, kwargs = called(case)
        assert not sure(op, *args, **kwargs), case
