"""Questions about a mask of ones that a model makes for itself are answered as a real device would."""

from __future__ import annotations

from typing import Any

import pytest

torch = pytest.importorskip("torch")

from adaptlint.dataflow.trace import Recorder, seen  # noqa: E402


class Asking(torch.overrides.TorchFunctionMode):  # type: ignore[misc]
    """Every call goes through the recorder."""

    def __init__(self, recorder: Recorder) -> None:
        super().__init__()
        self.recorder = recorder

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        return seen(self.recorder, func, args, kwargs or {})


def answered(question: Any) -> tuple[bool, list[tuple[str, str]]]:
    """What a question about tensors on the meta device is answered, and what had to be assumed."""
    recorder = Recorder(torch, torch.nn.Module(), {})
    with torch.device("meta"), Asking(recorder):
        found = bool(question())
    return found, recorder.assumed


QUESTIONS = {
    "ones": lambda: torch.all(torch.ones(2, 3) == 1),
    "ones, sliced and cast": lambda: (torch.ones(2, 3)[:, None, None, :].to(torch.long) == 1).all(),
    "not ones": lambda: (torch.ones(2, 3) != 1).any(),
    "zeros": lambda: torch.all(torch.zeros(2, 3) == 1),
}


@pytest.mark.parametrize("name", QUESTIONS)
def test_the_answer_is_that_of_real_tensors(name: str) -> None:
    assert answered(QUESTIONS[name]) == (bool(QUESTIONS[name]()), [])


def test_what_is_written_into_is_no_constant_any_more() -> None:
    def question() -> Any:
        mask = torch.ones(2, 3)
        mask[0, 0] = 0
        return torch.all(mask == 1)

    assert answered(question) == (bool(question()), [("", "__bool__")])


def test_of_what_is_given_the_pessimistic_is_assumed() -> None:
    assert answered(lambda: torch.all(torch.empty(2, 3) == 1)) == (False, [("", "__bool__")])
