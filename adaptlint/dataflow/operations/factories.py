"""Operations that make a tensor from sizes and numbers."""

from __future__ import annotations

from collections.abc import Callable
from math import ceil

from adaptlint.dataflow.operations.dims import clash, highest, kind_of, positive, sizes_of, value_of
from adaptlint.dataflow.value import Shape, Unknown, Value
from adaptlint.hints import Any


def from_sizes(fill: int | None) -> Callable[..., Value]:
    """The rule of `zeros` and its kin, and of the methods, which are given a tensor first."""

    def rule(*sizes: Any, size: Any = None, dtype: Any = None, **options: Any) -> Value:
        like = sizes[0] if sizes and isinstance(sizes[0], Value) else None
        given = sizes if like is None else sizes[1:]
        if not given and size is None:
            raise Unknown("without sizes")
        wanted = positive(sizes_of(given or (size,)))
        return Value(wanted, kind_of(dtype, "float" if like is None else like.kind), fill)

    return rule


def full(size: Any, fill_value: Any, *, dtype: Any = None, **options: Any) -> Value:
    """Every element one number, whose kind is the tensor's unless told otherwise."""
    fill = value_of(fill_value)
    return Value(positive(sizes_of((size,))), kind_of(dtype, fill.kind), fill.bound)


def new_full(input: Value, size: Any, fill_value: Any, *, dtype: Any = None, **options: Any) -> Value:
    """As `full`, of the first tensor's kind."""
    return Value(positive(sizes_of((size,))), kind_of(dtype, input.kind), value_of(fill_value).bound)


def arange(*numbers: Any, dtype: Any = None, **options: Any) -> Value:
    """Numbers in a row."""
    given = list(numbers)
    if not all(
        isinstance(one, (int, float)) for one in (*given, *(options.get(w, 0) for w in ("start", "end", "step")))
    ):
        raise Unknown("as far as a tensor says")
    if len(given) == 1 and "end" not in options:
        given.insert(0, 0)
    named = dict(zip(("start", "end", "step"), given, strict=False))
    start, end, step = (
        options.get(word, named.get(word, other)) for word, other in (("start", 0), ("end", 0), ("step", 1))
    )
    if step == 0 or (end - start) * step < 0:
        raise clash("arange", more=f"from {start} to {end} by {step}")
    length = ceil((end - start) / step)
    kind = kind_of(dtype, "float" if any(isinstance(one, float) for one in (start, end, step)) else "int")
    last = start + (length - 1) * step if step > 0 else start
    return Value((length,), kind, last if length and isinstance(last, int) else None)


def linspace(start: Any, end: Any, steps: Any, *, dtype: Any = None, **options: Any) -> Value:
    """So many numbers from one to another."""
    if not isinstance(steps, int) or isinstance(start, Value) or isinstance(end, Value):
        raise Unknown("as far as a tensor says")
    return Value(positive((steps,)), kind_of(dtype, "float"))


def eye(n: Any, m: Any = None, *, dtype: Any = None, **options: Any) -> Value:
    """Ones on the diagonal."""
    return Value(positive((n, n if m is None else m)), kind_of(dtype, "float"), 1)


def scalar_tensor(value: Any, *, dtype: Any = None, **options: Any) -> Value:
    """One number, a float unless told otherwise."""
    return Value((), kind_of(dtype, "float"), value_of(value).bound)


def tensor(data: Any, dtype: Any = None, **options: Any) -> Value:
    """Nested lists of numbers, or another tensor."""
    if isinstance(data, Value):
        return data._replace(kind=kind_of(dtype, data.kind))
    shape, leaves = measured(data)
    kinds = {leaf.kind for leaf in leaves} or {"float"}
    kind = next(kind for kind in ("complex", "float", "int", "bool") if kind in kinds)
    return Value(shape, kind_of(dtype, kind), highest(leaf.bound for leaf in leaves))


def measured(data: Any) -> tuple[Shape, list[Value]]:
    """The shape of nested lists, and the numbers in them."""
    if isinstance(data, Value) or not isinstance(data, (list, tuple)):
        leaf = value_of(data)
        if leaf.shape:
            raise Unknown("a list of tensors")
        return (), [leaf]
    parts = [measured(part) for part in data]
    if len({shape for shape, _ in parts}) > 1:
        raise clash("ragged", *(shape for shape, _ in parts))
    inner = parts[0][0] if parts else ()
    return (len(parts), *inner), [leaf for _, leaves in parts for leaf in leaves]


RULES: dict[str, Any] = dict.fromkeys(("empty", "new_empty", "new_x", "rand", "randn"), from_sizes(None))
RULES |= dict.fromkeys(("ones", "new_ones"), from_sizes(1))
RULES |= dict.fromkeys(("zeros", "new_zeros"), from_sizes(0))
RULES |= {
    "arange": arange,
    "as_tensor": tensor,
    "eye": eye,
    "full": full,
    "linspace": linspace,
    "new_full": new_full,
    "scalar_tensor": scalar_tensor,
    "tensor": tensor,
}
