"""Operations that order the same elements anew or repeat them.

Whether `view` can do without a copy depends on strides, which a value does not have: it is answered as `reshape` is.
"""

from __future__ import annotations

from adaptlint.dataflow.operations.dims import (
    axes,
    axis,
    clash,
    count,
    cut,
    positive,
    replaced,
    sizes_of,
    value_of,
)
from adaptlint.dataflow.value import Shape, Unknown, Value
from adaptlint.hints import Any


def view(input: Value, *sizes: Any, **options: Any) -> Value:
    """Other sizes for as many elements; one of them may be left open."""
    given = sizes or (options.get("shape", options.get("size")),)
    if isinstance(given[0], str):
        raise Unknown("another dtype for the same bytes")
    wanted = sizes_of(given)
    elements = count(input.shape)
    open_at = [at for at, size in enumerate(wanted) if size == -1]
    fixed = count(tuple(size for size in wanted if size != -1))
    fault = clash("view-size", input.shape, wanted)
    if len(open_at) > 1 or any(size < -1 for size in wanted):
        raise fault
    if open_at:
        if fixed == 0 or elements % fixed:
            raise fault
        wanted = replaced(wanted, open_at[0], elements // fixed)
    elif fixed != elements:
        raise fault
    return input._replace(shape=wanted)


def view_as(input: Value, other: Value) -> Value:
    """The sizes of another tensor."""
    return view(input, other.shape)


def flatten(input: Value, start_dim: Any = 0, end_dim: Any = -1) -> Value:
    """Several axes in a row become one."""
    rank = len(input.shape)
    first, last = axis(start_dim, rank, input.shape), axis(end_dim, rank, input.shape)
    if first > last:
        raise clash("axis-order", input.shape, more=f"from {first} to {last}")
    if not input.shape:
        return input._replace(shape=(1,))
    return input._replace(shape=(*input.shape[:first], count(input.shape[first : last + 1]), *input.shape[last + 1 :]))


def unflatten(input: Value, dim: Any, sizes: Any) -> Value:
    """One axis becomes several."""
    at = axis(dim, len(input.shape), input.shape)
    wanted = sizes_of((sizes,))
    fault = clash("view-size", (input.shape[at],), wanted)
    if not wanted:
        raise fault
    parts = view(Value((input.shape[at],)), *wanted)
    return input._replace(shape=(*input.shape[:at], *parts.shape, *input.shape[at + 1 :]))


def squeeze(input: Value, dim: Any = None) -> Value:
    """Without axes of one place."""
    gone = range(len(input.shape)) if dim is None else () if dim in ((), []) else axes(dim, input.shape)
    return input._replace(shape=tuple(s for at, s in enumerate(input.shape) if at not in gone or s != 1))


def unsqueeze(input: Value, dim: Any) -> Value:
    """With one more axis."""
    at = axis(dim, len(input.shape) + 1, input.shape)
    return input._replace(shape=(*input.shape[:at], 1, *input.shape[at:]))


def permute(input: Value, *dims: Any, **options: Any) -> Value:
    """The axes in another order."""
    order = sizes_of(dims or (options["dims"],))
    if len(order) != len(input.shape):
        raise clash("axis-count", input.shape, more=f"permuted by {order}")
    return input._replace(shape=tuple(input.shape[at] for at in axes(order, input.shape)))


def movedim(input: Value, source: Any, destination: Any) -> Value:
    """Some axes to other places, the others in their order."""
    sources = (source,) if isinstance(source, int) else source
    targets = (destination,) if isinstance(destination, int) else destination
    if len(sources) != len(targets):
        raise clash("axis-count", input.shape, more=f"{tuple(sources)} to {tuple(targets)}")
    if not sources:
        return input
    moved, places = axes(sources, input.shape), axes(targets, input.shape)
    taken = dict(zip(places, moved, strict=True))
    rest = iter(at for at in range(len(input.shape)) if at not in moved)
    order = [taken[at] if at in taken else next(rest) for at in range(len(input.shape))]
    return input._replace(shape=tuple(input.shape[at] for at in order))


def transpose(input: Value, dim0: Any = None, dim1: Any = None, **options: Any) -> Value:
    """Two axes change places."""
    rank = len(input.shape)
    dim0, dim1 = options.get("axis0", dim0), options.get("axis1", dim1)
    first, second = axis(dim0, rank, input.shape), axis(dim1, rank, input.shape)
    sizes = list(input.shape)
    if sizes:
        sizes[first], sizes[second] = sizes[second], sizes[first]
    return input._replace(shape=tuple(sizes))


def matrix_transpose(input: Value) -> Value:
    """`.mT`: the last two axes."""
    if len(input.shape) < 2:
        raise clash("rank", input.shape, more="needs a matrix")
    return transpose(input, -2, -1)


def small_transpose(input: Value) -> Value:
    """`t` and `.H`: of no more than two axes."""
    if len(input.shape) > 2:
        raise clash("rank", input.shape, more="needs a matrix")
    return reversed_axes(input)


def conjugate_transpose(input: Value) -> Value:
    """`.H`: of a matrix, or of a tensor without axes."""
    if len(input.shape) == 1:
        raise clash("rank", input.shape, more="needs a matrix")
    return small_transpose(input)


def reversed_axes(input: Value) -> Value:
    """`.T`: all axes turned round."""
    return input._replace(shape=tuple(reversed(input.shape)))


def expand(input: Value, *sizes: Any, **options: Any) -> Value:
    """Axes of one place stretched; -1 keeps a size."""
    wanted = sizes_of(sizes or (options["size"],))
    extra = len(wanted) - len(input.shape)
    fault = clash("expand", input.shape, wanted)
    if extra < 0:
        raise fault
    result = []
    for at, size in enumerate(wanted):
        own = input.shape[at - extra] if at >= extra else None
        if size == -1:
            if own is None and 0 in wanted:
                raise Unknown("torch itself answers this with a size below zero")
            if own is None:
                raise fault
            size = own
        elif size < 0 or (own is not None and own not in (1, size)):
            raise fault
        result.append(size)
    return input._replace(shape=tuple(result))


def expand_as(input: Value, other: Value) -> Value:
    """Stretched to the sizes of another tensor."""
    return expand(input, other.shape)


def repeat(input: Value, *repeats: Any, **options: Any) -> Value:
    """The whole, several times along each axis."""
    times = positive(sizes_of(repeats or (options["repeats"],)))
    extra = len(times) - len(input.shape)
    if extra < 0:
        raise clash("repeat", input.shape, times)
    sizes = (1,) * extra + tuple(input.shape)
    return input._replace(shape=tuple(size * time for size, time in zip(sizes, times, strict=True)))


def tile(input: Value, *dims: Any, **options: Any) -> Value:
    """`repeat`, which may be told fewer axes than there are."""
    times = sizes_of(dims or (options["dims"],))
    return repeat(input, (1,) * (len(input.shape) - len(times)) + times)


def repeat_interleave(input: Value, repeats: Any = None, dim: Any = None, *, output_size: Any = None) -> Value:
    """Each element several times."""
    if dim is not None and not input.shape:
        raise Unknown("along an axis that is not there")
    if isinstance(repeats, Value) or repeats is None:
        if output_size is None or repeats is None:
            raise Unknown("repeated as often as a tensor says")
        times = None
    elif repeats < 0:
        raise clash("negative-size", input.shape, more=f"repeated {repeats} times")
    else:
        times = repeats
    sizes = tuple(input.shape) if dim is not None else (count(input.shape),)
    at = 0 if dim is None else axis(dim, len(input.shape), input.shape)
    return input._replace(shape=replaced(sizes, at, output_size if times is None else sizes[at] * times))


def meshgrid(*tensors: Any, indexing: Any = "ij") -> tuple[Value, ...]:
    """One axis for each of several vectors."""
    given = tensors[0] if len(tensors) == 1 and not isinstance(tensors[0], Value) else tensors
    vectors = [value_of(one) for one in given]
    if not vectors or any(len(vector.shape) > 1 for vector in vectors):
        raise clash("rank", *(vector.shape for vector in vectors), more="needs vectors")
    sizes = [vector.shape[0] if vector.shape else 1 for vector in vectors]
    if indexing == "xy" and len(sizes) > 1:
        sizes[:2] = sizes[1::-1]
    return tuple(vector._replace(shape=tuple(sizes)) for vector in vectors)


def view_as_complex(input: Value) -> Value:
    """The last axis holds the two parts."""
    if not input.shape or input.shape[-1] != 2:
        raise clash("complex-parts", input.shape)
    return Value(input.shape[:-1], "complex")


def view_as_real(input: Value) -> Value:
    """A last axis for the two parts."""
    if input.kind != "complex":
        raise clash("complex-parts", input.shape, more=f"elements of kind {input.kind}")
    return Value((*input.shape, 2), "float")


def windows(input: Value, dimension: Any, size: Any, step: Any) -> Value:
    """The method `unfold`: overlapping pieces of one axis in an axis of their own."""
    at = axis(dimension, len(input.shape), input.shape)
    length = input.shape[at] if input.shape else 1
    if size < 0 or size > length or step <= 0:
        raise clash("window", input.shape, more=f"windows of {size} by {step}")
    if not input.shape:
        return Value((size,), input.kind, input.bound)
    shape: Shape = replaced(input.shape, at, (length - size) // step + 1)
    return Value((*shape, size), input.kind, cut(input))


RULES: dict[str, Any] = {
    ".H": conjugate_transpose,
    ".T": reversed_axes,
    ".mT": matrix_transpose,
    "broadcast_to": expand,
    "expand": expand,
    "expand_as": expand_as,
    "flatten": flatten,
    "meshgrid": meshgrid,
    "movedim": movedim,
    "moveaxis": movedim,
    "permute": permute,
    "repeat": repeat,
    "repeat_interleave": repeat_interleave,
    "reshape": view,
    "reshape_as": view_as,
    "squeeze": squeeze,
    "swapaxes": transpose,
    "swapdims": transpose,
    "t": small_transpose,
    "tile": tile,
    "transpose": transpose,
    "unflatten": unflatten,
    "unsqueeze": unsqueeze,
    "view": view,
    "view_as": view_as,
    "view_as_complex": view_as_complex,
    "view_as_real": view_as_real,
}
