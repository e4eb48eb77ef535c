"""Axes, sizes, broadcasting and kinds of elements: what the rules of every group are written in."""

from __future__ import annotations

from collections.abc import Iterable
from math import prod

from adaptlint.dataflow.value import Conflict, Shape, Unknown, Value
from adaptlint.hints import Any

KINDS = ("bool", "int", "float", "complex")
DTYPES = (
    ("torch.bool", "bool"),
    ("torch.complex", "complex"),
    ("torch.cfloat", "complex"),
    ("torch.cdouble", "complex"),
    ("torch.float", "float"),
    ("torch.bfloat", "float"),
    ("torch.half", "float"),
    ("torch.double", "float"),
    ("torch.int", "int"),
    ("torch.uint", "int"),
    ("torch.long", "int"),
    ("torch.short", "int"),
)


def clash(kind: str, *shapes: Shape, more: str = "") -> Conflict:
    """The conflict of these operands, told as `(2, 3) x (4, 5)`."""
    told = " x ".join(str(tuple(shape)) for shape in shapes)
    return Conflict(kind, f"{told}: {more}" if more else told, tuple(tuple(shape) for shape in shapes))


def axis(dim: Any, rank: int, shape: Shape = ()) -> int:
    """The axis that `dim` names; a tensor without axes takes 0 and -1 as torch does."""
    if not isinstance(dim, int):
        raise Unknown(f"the axis {dim!r} is not a number")
    if not -max(rank, 1) <= dim < max(rank, 1):
        raise clash("axis-out-of-range", shape, more=f"axis {dim} of {rank}")
    return dim % max(rank, 1)


def axes(dims: Any, shape: Shape) -> tuple[int, ...]:
    """The axes that one number or a sequence of them names, each once; none named means all."""
    rank = len(shape)
    if dims is None or (isinstance(dims, (tuple, list)) and not dims):
        return tuple(range(rank))
    found = tuple(axis(dim, rank, shape) for dim in ((dims,) if isinstance(dims, int) else dims))
    if len(set(found)) < len(found):
        raise clash("axis-repeated", shape, more=f"axes {tuple(dims)}")
    return found


def sizes_of(given: Any) -> Shape:
    """Sizes written one by one or as one sequence."""
    if len(given) == 1 and isinstance(given[0], (tuple, list)):
        given = given[0]
    if not all(isinstance(size, int) for size in given):
        raise Unknown(f"the sizes {given!r} are not numbers")
    return tuple(int(size) for size in given)


def positive(sizes: Shape) -> Shape:
    """The sizes themselves: none is below zero."""
    if any(size < 0 for size in sizes):
        raise clash("negative-size", sizes)
    return sizes


def spread(value: Any, count: int) -> tuple[int, ...]:
    """A setting for each of `count` axes, given once or for each."""
    if isinstance(value, int):
        return (value,) * count
    found = tuple(value)
    if len(found) == 1:
        found *= count
    if len(found) != count or not all(isinstance(size, int) for size in found):
        raise Unknown(f"{value!r} does not fit {count} axes")
    return found


def broadcast(*shapes: Shape) -> Shape:
    """The shape that all of these stretch to."""
    result: list[int] = []
    for back in range(1, max((len(shape) for shape in shapes), default=0) + 1):
        size = 1
        for shape in shapes:
            if back <= len(shape) and shape[-back] != 1:
                if size not in (1, shape[-back]):
                    raise clash("broadcast", *shapes)
                size = shape[-back]
        result.append(size)
    return tuple(reversed(result))


def fits_into(source: Shape, target: Shape) -> None:
    """Checks that `source` stretches to `target`, which itself stays as it is."""
    if broadcast(target, source) != tuple(target):
        raise clash("broadcast", target, source)


def replaced(shape: Shape, at: int, *sizes: int) -> Shape:
    """The shape with other sizes, or none, in the place of one axis."""
    return (*shape[:at], *sizes, *shape[at + 1 :])


def count(shape: Shape) -> int:
    """How many elements there are."""
    return prod(shape)


def kind_of(dtype: Any, otherwise: str) -> str:
    """The kind of a dtype's elements; `otherwise` where none is given."""
    if dtype is None:
        return otherwise
    for prefix, kind in DTYPES:
        if isinstance(dtype, str) and dtype.startswith(prefix):
            return kind
    raise Unknown(f"the dtype {dtype!r} is not known")


def promote(*values: Value) -> str:
    """The kind that these together have."""
    return max((value.kind for value in values), key=KINDS.index)


def value_of(given: Any) -> Value:
    """A tensor, or the tensor without axes that a plain number is."""
    if isinstance(given, Value):
        return given
    if isinstance(given, bool):
        return Value((), "bool", int(given))
    if isinstance(given, int):
        return Value((), "int", given)
    if isinstance(given, float):
        return Value((), "float", int(given) if given.is_integer() else None)
    if isinstance(given, complex):
        return Value((), "complex")
    raise Unknown(f"{given!r} is neither a tensor nor a number")


def values_of(given: Any) -> list[Value]:
    """Tensors written one by one or as one sequence."""
    if len(given) == 1 and isinstance(given[0], (tuple, list)) and not isinstance(given[0], Value):
        given = given[0]
    if not all(isinstance(value, Value) for value in given):
        raise Unknown("not all of these are tensors")
    return list(given)


def highest(bounds: Iterable[int | None]) -> int | None:
    """The largest of the bounds, if every one is known."""
    known = list(bounds)
    return None if not known or None in known else max(bound for bound in known if bound is not None)


def chosen_of(first: int | None, second: int | None) -> int | None:
    """The bound of elements picked from two: the larger may be left out, unless there is little to choose from."""
    larger = highest((first, second))
    return larger if first == second or (larger is not None and larger <= 1) else None


def cut(value: Value) -> int | None:
    """The bound of a part: the largest element may be outside it, unless there is little to choose from."""
    return value.bound if value.bound is not None and value.bound <= 1 else None


def below(index: Value, rows: int, shape: Shape) -> None:
    """Checks that no known index is beyond the last row."""
    if index.bound is not None and index.bound >= rows and count(index.shape):
        raise clash("index-too-large", index.shape, shape, more=f"index {index.bound} of {rows}")
