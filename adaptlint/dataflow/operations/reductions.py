"""Operations that take axes away or order what is along one."""

from __future__ import annotations

from adaptlint.dataflow.operations.binary import higher, lower
from adaptlint.dataflow.operations.dims import axes, axis, clash, count, cut, kind_of, replaced
from adaptlint.dataflow.value import Shape, Unknown, Value
from adaptlint.hints import Any


def reduced(shape: Shape, dim: Any, keepdim: Any) -> Shape:
    """The shape without these axes, or with one place for each."""
    gone = axes(dim, shape)
    if keepdim:
        return tuple(1 if at in gone else size for at, size in enumerate(shape))
    return tuple(size for at, size in enumerate(shape) if at not in gone)


def truth(input: Value, dim: Any = None, keepdim: Any = False) -> Value:
    """`all` and `any`."""
    return Value(reduced(input.shape, dim, keepdim), "bool", None if input.bound is None else 1)


def total(input: Value, dim: Any = None, keepdim: Any = False, dtype: Any = None) -> Value:
    """`sum`: of zeros and ones at most as many as are summed."""
    if isinstance(dim, str):
        dim, dtype = None, dim
    shape = reduced(input.shape, dim, keepdim)
    kind = kind_of(dtype, "int" if input.kind == "bool" else input.kind)
    summed = count(input.shape) // max(count(shape), 1)
    return Value(shape, kind, summed * input.bound if input.bound in (0, 1) else None)


def product(input: Value, dim: Any = None, keepdim: Any = False, dtype: Any = None) -> Value:
    """`prod`, over one axis or all."""
    return total(input, dim, keepdim, dtype)._replace(bound=None)


def mean(input: Value, dim: Any = None, keepdim: Any = False, dtype: Any = None) -> Value:
    """`mean`, of floats."""
    kind = kind_of(dtype, input.kind)
    if kind in ("bool", "int"):
        raise Unknown(f"the mean of elements of kind {kind}")
    return Value(reduced(input.shape, dim, keepdim), kind)


def extreme(input: Value, dim: Any = (), keepdim: Any = False) -> Value:
    """`amax` and `amin`: of at least one element."""
    gone = axes(dim, input.shape)
    if any(input.shape[at] == 0 for at in gone if input.shape):
        raise clash("empty-axis", input.shape)
    return Value(reduced(input.shape, dim, keepdim), input.kind)


def place_of_extreme(input: Value, dim: Any = None, keepdim: Any = False) -> Value:
    """`argmax` and `argmin`: a place along the axis or in the whole."""
    if dim is None:
        shape = tuple(1 for _ in input.shape) if keepdim else ()
        if not count(input.shape):
            raise clash("empty-axis", input.shape)
        return Value(shape, "int", count(input.shape) - 1)
    at = axis(dim, len(input.shape), input.shape)
    if input.shape and not input.shape[at]:
        raise clash("empty-axis", input.shape)
    return Value(reduced(input.shape, dim, keepdim), "int", input.shape[at] - 1 if input.shape else 0)


def count_nonzero(input: Value, dim: Any = None) -> Value:
    """How many are not zero."""
    return Value(reduced(input.shape, dim, False), "int")


def logsumexp(input: Value, dim: Any, keepdim: Any = False) -> Value:
    """Floats, over axes that are named."""
    kind = "float" if input.kind in ("bool", "int") else input.kind
    return Value(reduced(input.shape, dim, keepdim), kind)


def deviation(input: Value, dim: Any = None, unbiased: Any = True, keepdim: Any = False, **options: Any) -> Value:
    """`std` and `var`, which may be given `unbiased` in the place of the axes."""
    if isinstance(dim, bool):
        dim = None
    if input.kind in ("bool", "int"):
        raise Unknown(f"the deviation of elements of kind {input.kind}")
    return Value(reduced(input.shape, dim, keepdim), "float")


def extremes(input: Value, dim: Any = None, keepdim: Any = False, other: Any = None) -> Any:
    """`max`, `min` and `median`: of all; along an axis, with the places; or element by element of two tensors."""
    if isinstance(dim, Value) or other is not None:
        return (dim if other is None else other, None)
    if dim is None:
        if not count(input.shape):
            raise clash("empty-axis", input.shape)
        return Value((), input.kind)
    at = axis(dim, len(input.shape), input.shape)
    if input.shape and not input.shape[at]:
        raise clash("empty-axis", input.shape)
    shape = reduced(input.shape, dim, keepdim)
    return Value(shape, input.kind), Value(shape, "int", input.shape[at] - 1 if input.shape else 0)


def largest(input: Value, *rest: Any, **options: Any) -> Any:
    """`max`: the bound of the whole is that of its largest element."""
    found = extremes(input, *rest, **options)
    if isinstance(found, Value):
        return found._replace(bound=input.bound)
    return higher(input, found[0]) if found[1] is None else found


def smallest(input: Value, *rest: Any, **options: Any) -> Any:
    """`min`."""
    found = extremes(input, *rest, **options)
    if isinstance(found, Value):
        return found
    return lower(input, found[0]) if found[1] is None else found


def mode(input: Value, dim: Any = -1, keepdim: Any = False) -> Any:
    """The most frequent along an axis."""
    return extremes(input, dim, keepdim)


def running_extreme(input: Value, dim: Any) -> tuple[Value, Value]:
    """`cummax`: the numbers and their places."""
    at = axis(dim, len(input.shape), input.shape)
    return input, Value(input.shape, "int", input.shape[at] - 1 if input.shape else 0)


def norm(input: Value, p: Any = None, dim: Any = None, keepdim: Any = False, dtype: Any = None, ord: Any = 2) -> Value:
    """A norm over some axes or all of them."""
    kind = kind_of(dtype, input.kind)
    if kind in ("bool", "int"):
        raise Unknown(f"the norm of elements of kind {kind}")
    return Value(reduced(input.shape, dim, keepdim), "float")


def topk(input: Value, k: Any, dim: Any = -1, *rest: Any, **options: Any) -> tuple[Value, Value]:
    """The k largest along an axis, and their places."""
    at = axis(dim, len(input.shape), input.shape)
    if not isinstance(k, int):
        raise Unknown("as many as a tensor says")
    length = input.shape[at] if input.shape else 1
    if not 0 <= k <= length:
        raise clash("topk", input.shape, more=f"the {k} largest of {length}")
    shape = replaced(input.shape, at, k) if input.shape else ()
    return Value(shape, input.kind), Value(shape, "int", length - 1 if k == length else None)


def sort(input: Value, dim: Any = -1, descending: Any = False, *, stable: Any = False) -> tuple[Value, Value]:
    """In order along an axis, and the places."""
    at = axis(-1 if isinstance(dim, bool) else dim, len(input.shape), input.shape)
    return input, Value(input.shape, "int", input.shape[at] - 1 if input.shape else 0)


def histc(input: Value, bins: Any = 100, *rest: Any, **options: Any) -> Value:
    """A count for each bin."""
    if bins <= 0:
        raise clash("bins", input.shape, more=f"{bins} bins")
    return Value((bins,), input.kind)


def diff(input: Value, n: Any = 1, dim: Any = -1, prepend: Any = None, append: Any = None) -> Value:
    """Differences of neighbours."""
    if not input.shape:
        raise clash("rank", input.shape, more="needs an axis")
    at = axis(dim, len(input.shape), input.shape)
    length = input.shape[at]
    for more in (prepend, append):
        if more is not None:
            if len(more.shape) != len(input.shape) or replaced(more.shape, at) != replaced(input.shape, at):
                raise clash("cat-sizes", input.shape, more.shape)
            length += more.shape[at]
    return Value(replaced(input.shape, at, max(length - n, 0)), input.kind, None if n else cut(input))


RULES: dict[str, Any] = {
    "all": truth,
    "amax": extreme,
    "amin": extreme,
    "any": truth,
    "argmax": place_of_extreme,
    "argmin": place_of_extreme,
    "count_nonzero": count_nonzero,
    "cummax": running_extreme,
    "cummax_": running_extreme,
    "diff": diff,
    "histc": histc,
    "linalg_norm": norm,
    "linalg_vector_norm": norm,
    "logsumexp": logsumexp,
    "max": largest,
    "mean": mean,
    "median": smallest,
    "min": smallest,
    "mode": mode,
    "nanmean": mean,
    "norm": norm,
    "prod": product,
    "sort": sort,
    "std": deviation,
    "sum": total,
    "topk": topk,
    "var": deviation,
    "vector_norm": norm,
}
