"""What PEFT raises, as an exception of ours that carries the prediction and the fault behind it."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from adaptlint.findings import Fact, Fault, RaisedError, Where
from adaptlint.hints import TypeVar

Result = TypeVar("Result")


class Refusal(Exception):
    """PEFT raises here: `error` is its exception, `fault` says why, `stage` is the contract's stage."""

    def __init__(
        self,
        type_name: str,
        match: str,
        reason: str,
        *,
        at: Where | None = None,
        module: str = "",
        facts: Mapping[str, Fact] | None = None,
        because: tuple[tuple[Where, str], ...] = (),
        stage: str = "load",
    ) -> None:
        super().__init__(f"{type_name}: {match}")
        self.error = RaisedError(type_name, match)
        self.stage = stage
        known: dict[str, Fact] = {"error_type": type_name, "error_message": match}
        self.fault = Fault(reason, module=module, at=at, facts={**known, **(facts or {})}, because=because)


class NotModelled(Exception):
    """PEFT has a branch here that we do not model: the verdict is unknown, and `fault` says what is missing."""

    def __init__(
        self, reason: str, *, at: Where | None = None, module: str = "", facts: Mapping[str, Fact] | None = None
    ) -> None:
        super().__init__(reason)
        details = "".join(f", {name}: {value}" for name, value in (facts or {}).items())
        problem: dict[str, Fact] = {"problem": reason.replace("-", " ") + details}
        self.fault = Fault(reason, module=module, at=at, facts=problem | dict(facts or {}))


def as_python_does(
    operation: Callable[[], Result], reason: str, at: Where | None, field: str, value: object = ""
) -> Result:
    """Do what PEFT does with a value of whatever type the file holds; what Python raises, PEFT raises.

    PEFT's configs are dataclasses without type checks: a wrong type surfaces in the first operation that cannot
    take it. Running that very operation on the same JSON value gives the exception class and its text.
    """
    try:
        return operation()
    except (TypeError, AttributeError, ValueError, KeyError, IndexError, OverflowError, ZeroDivisionError) as problem:
        message = str(problem.args[0]) if isinstance(problem, KeyError) and problem.args else str(problem)
        raise Refusal(
            type(problem).__name__, message, reason, at=at, facts={"field": field, "value": str(value)[:200]}
        ) from problem
