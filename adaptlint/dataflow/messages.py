"""What torch says of an operation that it refuses: the exception and its text, for conflicts that rules have found.

Texts are those of torch 2.13, on the CPU. Empty where none is known.
"""

from __future__ import annotations

from math import prod

from adaptlint.dataflow.calls import LAYER, RAISE, FlowConflict
from adaptlint.dataflow.value import Shape

FLASH = "flash_attention"
PRODUCTS = ("matmul", "__matmul__", "bmm", "scaled_dot_product_attention")


def raised_by(conflict: FlowConflict) -> tuple[str, str]:
    """The exception's name and its text ("" where it is not known)."""
    if conflict.op.startswith(LAYER) or conflict.op == RAISE:
        return conflict.kind, conflict.text
    shapes = conflict.operands
    if conflict.op == FLASH:
        return "RuntimeError", _flash(conflict.kind, shapes)
    if conflict.kind == "view-size" and len(shapes) == 2:
        return "RuntimeError", f"shape '{[*shapes[1]]}' is invalid for input of size {prod(shapes[0])}"
    if conflict.kind == "broadcast" and len(shapes) >= 2:
        before = _broadcast(shapes[0][:-2], shapes[1][:-2]) if conflict.op in PRODUCTS else ""
        return "RuntimeError", before or _broadcast(shapes[0], shapes[1])
    if conflict.kind == "matmul-sizes" and len(shapes) == 2:
        return "RuntimeError", _product(*shapes)
    if conflict.kind == "attention-sizes" and len(shapes) == 3:
        return "RuntimeError", _attention(*shapes)
    return "RuntimeError", ""


def _flash(kind: str, shapes: tuple[Shape, ...]) -> str:
    """What flash-attn 2 says itself, as far as its releases agree (csrc/flash_attn/flash_api.cpp, `CHECK_SHAPE`)."""
    if kind == "head-count":
        return "Number of heads in key/value must divide number of heads in query"
    if kind not in ("attention-sizes", "attention-batch") or len(shapes) != 3:
        return ""
    query, key, _ = shapes
    return f"{'k' if (query[0], query[3]) != (key[0], key[3]) else 'v'} must have shape ("


def _broadcast(one: Shape, other: Shape) -> str:
    """The last axis that neither stretches; of a product's operands those before the matrices come first."""
    rank = max(len(one), len(other))
    left, right = (1,) * (rank - len(one)) + one, (1,) * (rank - len(other)) + other
    for at in range(rank - 1, -1, -1):
        if left[at] != right[at] and 1 not in (left[at], right[at]):
            return (
                f"The size of tensor a ({left[at]}) must match the size of tensor b ({right[at]}) at non-singleton"
                f" dimension {at}"
            )
    return ""


def _product(left: Shape, right: Shape) -> str:
    """Matrices, or as many of them as their axes before say."""
    if len(right) == 2:
        return f"mat1 and mat2 shapes cannot be multiplied ({prod(left[:-1])}x{left[-1]} and {right[0]}x{right[1]})"
    many = prod(left[:-2])
    return (
        f"Expected size for first two dimensions of batch2 tensor to be: [{many}, {left[-1]}] but got:"
        f" [{many}, {right[-2]}]."
    )


def _attention(query: Shape, key: Shape, value: Shape) -> str:
    """`scaled_dot_product_attention` in its plain form: the scores, then what they weigh."""
    if query[-1] != key[-1]:
        return _product(query, (*key[:-2], key[-1], key[-2]))
    return _product((*query[:-1], key[-2]), value)
