"""What each operation of torch does to shapes, without torch: one rule for each name."""

from __future__ import annotations

from collections.abc import Callable

from adaptlint.dataflow.operations import (
    attention,
    binary,
    convolutions,
    factories,
    indexing,
    joins,
    layers,
    matmul,
    reductions,
    unary,
    views,
)
from adaptlint.dataflow.value import Conflict, Unknown, Value
from adaptlint.hints import Any

__all__ = ["RULES", "apply", "rule_of", "survivor"]

RULES: dict[str, Any] = {
    **attention.RULES,
    **binary.RULES,
    **convolutions.RULES,
    **factories.RULES,
    **indexing.RULES,
    **joins.RULES,
    **layers.RULES,
    **matmul.RULES,
    **reductions.RULES,
    **unary.RULES,
    **views.RULES,
}
# Their result has the shape and the kind of the first operand, whatever else is given.
ADDED_INTO = (
    "__iadd__ __imul__ __isub__ add_ clamp_ copy_ index_add index_add_ index_copy_ masked_fill_ mul_ scatter scatter_"
    " scatter_add scatter_add_ scatter_reduce scatter_reduce_ sub_"
)
INTO = frozenset(ADDED_INTO.split())
# The largest element that there can be, whatever is known of the operands'.
BOUNDED = {"bool": 1, "complex": None}
# Words that torch takes for the same argument.
SYNONYMS = {"axis": "dim", "keepdims": "keepdim", "self": "input"}


def rule_of(op: str) -> Callable[..., Any] | None:
    """The rule of an operation, by its name in torch; none where there is no rule."""
    return RULES.get(op)


def apply(op: str, args: list[Any], kwargs: dict[str, Any]) -> tuple[Value, ...]:
    """The results of an operation: none, one or several. Raises Conflict where torch would, Unknown where unsure."""
    rule = RULES.get(op)
    if rule is None:
        raise Unknown(f"there is no rule for {op}")
    if kwargs:
        if kwargs.get("out") is not None:
            raise Unknown(f"{op}: writes into a tensor that is given")
        kwargs = {SYNONYMS.get(word, word): given for word, given in kwargs.items() if word != "out"}
        args = [kwargs.pop("tensor")] if not args and "tensor" in kwargs else args
    try:
        found = rule(*args, **kwargs)
    except (Conflict, Unknown):
        raise
    except (TypeError, ValueError, IndexError, KeyError, AttributeError, ZeroDivisionError) as error:
        raise Unknown(f"{op}: arguments that its rule does not know ({error})") from error
    if isinstance(found, Value):
        return (finished(found),)
    return tuple(map(finished, found)) if found is not None else ()


def survivor(op: str, args: list[Any]) -> Value | None:
    """What an operation returns if only its first operand is known: itself, where others are put or added into it."""
    first = args[0] if args else None
    return Value(first.shape, first.kind) if op in INTO and isinstance(first, Value) else None


def finished(result: Value) -> Value:
    """No true is larger than one; complex numbers have no order."""
    if result.bound is None or result.kind not in BOUNDED:
        return result
    return Value(result.shape, result.kind, BOUNDED[result.kind])
