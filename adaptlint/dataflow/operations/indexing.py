"""Square brackets, and the operations that take or put elements at places given by tensors."""

from __future__ import annotations

from adaptlint.dataflow.operations.dims import axis, below, broadcast, clash, count, cut, fits_into, replaced, value_of
from adaptlint.dataflow.value import Conflict, Shape, Unknown, Value
from adaptlint.hints import Any


def as_index(part: Any) -> Any:
    """One part of an index: lists of numbers are tensors."""
    if isinstance(part, (list, tuple)) and not isinstance(part, Value):
        if not all(isinstance(one, int) and not isinstance(one, bool) for one in part):
            raise Unknown("indexed by nested lists")
        return Value((len(part),), "int", max(part, default=None))
    if part is None or part is Ellipsis or isinstance(part, (slice, Value)):
        return part
    if isinstance(part, int) and not isinstance(part, bool):
        return part
    raise Unknown(f"indexed by {part!r}")


def parts_of(shape: Shape, index: Any) -> list[Any]:
    """The parts of an index, the dots written out; too many are a fault."""
    is_several = isinstance(index, tuple) and not isinstance(index, Value)
    parts = [as_index(part) for part in (index if is_several else (index,))]
    used = 0
    for part in parts:
        if isinstance(part, Value) and part.kind == "bool":
            if not part.shape:
                raise Unknown("indexed by a bool without axes")
            used += len(part.shape)
        elif isinstance(part, Value) and part.kind != "int":
            raise Unknown(f"indexed by elements of kind {part.kind}")
        elif part is not None and part is not Ellipsis:
            used += 1
    if used > len(shape):
        raise clash("too-many-indices", shape, more=f"{used} indices")
    dots = [at for at, part in enumerate(parts) if part is Ellipsis]
    if len(dots) > 1:
        raise Unknown("several ellipses")
    rest = [slice(None)] * (len(shape) - used)
    return parts[: dots[0]] + rest + parts[dots[0] + 1 :] if dots else parts + rest


def sliced(part: slice, size: int, shape: Shape) -> int:
    """How many places a slice takes."""
    if not all(one is None or isinstance(one, int) for one in (part.start, part.stop, part.step)):
        raise Unknown("sliced where a tensor says")
    if part.step is not None and part.step <= 0:
        raise clash("slice-step", shape, more=f"step {part.step}")
    return len(range(*part.indices(size)))


class Places:
    """What is left of a shape while the parts of an index go through its axes."""

    def __init__(self, shape: Shape) -> None:
        self.shape = shape
        self.at = 0
        self.kept: list[int] = []  # sizes from slices and None
        self.tensors: list[tuple[int, Value]] = []  # with the place in the result
        self.picked: list[tuple[Value, int]] = []
        self.masked = False
        self.whole = True  # every element is taken

    def take(self, part: Any) -> None:
        """One part more."""
        if part is None:
            self.kept.append(1)
        elif isinstance(part, slice):
            size = sliced(part, self.shape[self.at], self.shape)
            # Positions grow along an axis: one that loses its head still has its largest.
            end = part.stop is None or part.stop >= self.shape[self.at]
            self.whole = self.whole and part.step in (None, 1) and end and size > 0
            self.kept.append(size)
            self.at += 1
        elif isinstance(part, Value) and part.kind == "bool":
            covered = self.shape[self.at : self.at + len(part.shape)]
            if part.shape != covered:
                raise clash("mask-size", part.shape, self.shape)
            self.masked = True
            self.at += len(part.shape)
        else:
            self.pick(value_of(part), not isinstance(part, Value))

    def pick(self, index: Value, single: bool) -> None:
        """Places by number, or by a tensor of numbers."""
        size = self.shape[self.at]
        if single and index.bound is not None and not -size <= index.bound < size:
            raise clash("index-out-of-range", self.shape, more=f"index {index.bound} of {size}")
        self.picked.append((index, size))
        self.whole = self.whole and size == 1
        if index.shape:
            self.tensors.append((len(self.kept), index))
            self.kept.append(-1)
        self.at += 1

    def result(self) -> Shape:
        """Tensors stretch to one shape, which stands where they do, or first if they stand apart."""
        if self.masked:
            raise Unknown("as many places as there are true elements")
        if not self.tensors:
            return tuple(self.kept)
        try:
            picked = broadcast(*(index.shape for _, index in self.tensors))
        except Conflict as error:
            raise clash("index-broadcast", *(index.shape for _, index in self.tensors)) from error
        places = [place for place, _ in self.tensors]
        first = places[0] if places[-1] - places[0] == len(places) - 1 else 0
        rest = [size for place, size in enumerate(self.kept) if place not in places]
        return (*rest[:first], *picked, *rest[first:])


def places_of(input: Value, index: Any) -> Places:
    """All parts of an index taken."""
    places = Places(input.shape)
    for part in parts_of(input.shape, index):
        places.take(part)
    if 0 not in places.kept:  # where nothing is taken, torch does not look at the numbers
        for picked, size in places.picked:
            below(picked, size, input.shape)
    return places


def getitem(input: Value, index: Any) -> Value:
    """`tensor[index]`."""
    places = places_of(input, index)
    shape = places.result()
    return Value(shape, input.kind, input.bound if places.whole else cut(input))


def index(input: Value, indices: Any) -> Value:
    """The operation below square brackets: a tensor of places for each axis, None for all of them."""
    return getitem(input, tuple(slice(None) if one is None else one for one in indices))


def setitem(input: Value, index: Any, value: Any) -> None:
    """`tensor[index] = value`: leading axes of one place do not count."""
    places = places_of(input, index)
    source = value_of(value).shape
    if places.masked and count(source) == 1:
        return
    target = places.result()
    while len(source) > len(target) and source[0] == 1:
        source = source[1:]
    fits_into(source, target)


def index_select(input: Value, dim: Any, index: Value) -> Value:
    """Some places along one axis."""
    at = axis(dim, len(input.shape), input.shape)
    if len(index.shape) > 1:
        raise clash("rank", index.shape, more="needs a vector")
    if not input.shape:
        raise Unknown("of a tensor without axes")
    below(index, input.shape[at], input.shape)
    return Value(replaced(input.shape, at, count(index.shape)), input.kind, cut(input))


def same_rank(input: Value, at: int, *others: Value) -> None:
    """Checks that all have as many axes, and no place outside the axes that are not indexed."""
    for other in others:
        if len(other.shape or (1,)) != len(input.shape or (1,)):
            raise clash("rank", input.shape, other.shape, more="need as many axes")
    index = others[0].shape
    if any(size > input.shape[d] for d, size in enumerate(index) if d != at and input.shape):
        raise clash("gather-sizes", input.shape, index, more=f"along axis {at}")


def gather(input: Value, dim: Any, index: Value, *, sparse_grad: Any = False) -> Value:
    """For each place of the index one element."""
    at = axis(dim, len(input.shape), input.shape)
    if count(index.shape):
        same_rank(input, at, index)
        below(index, input.shape[at] if input.shape else 1, input.shape)
    return Value(index.shape, input.kind, cut(input))


def take_along_dim(input: Value, indices: Value, dim: Any = None) -> Value:
    """`gather`, whose other axes stretch."""
    if dim is None:
        below(indices, count(input.shape), input.shape)
        return Value((count(indices.shape),), input.kind, cut(input))
    at = axis(dim, len(input.shape), input.shape)
    if len(indices.shape) != len(input.shape):
        raise clash("rank", input.shape, indices.shape, more="need as many axes")
    below(indices, input.shape[at], input.shape)
    shape = broadcast(replaced(input.shape, at, 1), replaced(indices.shape, at, 1))
    return Value(replaced(shape, at, indices.shape[at]), input.kind, cut(input))


def scatter(input: Value, dim: Any, index: Value, src: Any = None, **options: Any) -> Value:
    """Elements put where the index says."""
    at = axis(dim, len(input.shape), input.shape)
    source = options.get("value", src)
    if not input.shape or not index.shape or (isinstance(source, Value) and not source.shape):
        raise Unknown("of tensors without axes")
    if count(index.shape):
        same_rank(input, at, index, *((source,) if isinstance(source, Value) else ()))
        below(index, input.shape[at], input.shape)
        if isinstance(source, Value) and any(n > m for n, m in zip(index.shape, source.shape, strict=False)):
            raise clash("scatter-sizes", index.shape, source.shape)
    return Value(input.shape, input.kind)


def scatter_reduce(input: Value, dim: Any, index: Value, src: Value, reduce: Any, include_self: Any = True) -> Value:
    """`scatter`, where what falls on one place is joined."""
    if src.kind != input.kind:
        raise Unknown(f"elements of kind {src.kind} put into {input.kind}")
    return scatter(input, dim, index, src)


def index_put(input: Value, dim: Any, index: Value, source: Any = None, **options: Any) -> Value:
    """`index_add`, `index_copy`: slices put along one axis."""
    at = axis(dim, len(input.shape), input.shape)
    source = options.get("tensor", source)
    if len(index.shape) > 1:
        raise clash("rank", index.shape, more="needs a vector")
    if not input.shape or not isinstance(source, Value) or not source.shape:
        raise Unknown("of tensors without axes")
    if source.shape != replaced(input.shape, at, count(index.shape)):
        raise clash("index-put-sizes", input.shape, source.shape, more=f"{count(index.shape)} along axis {at}")
    below(index, input.shape[at], input.shape)
    return Value(input.shape, input.kind)


def index_fill(input: Value, dim: Any, index: Value, value: Any) -> Value:
    """One number put along one axis."""
    at = axis(dim, len(input.shape), input.shape)
    if len(index.shape) > 1:
        raise clash("rank", index.shape, more="needs a vector")
    below(index, input.shape[at] if input.shape else 1, input.shape)
    return Value(input.shape, input.kind)


def masked_scatter(input: Value, mask: Value, source: Value) -> Value:
    """Elements put where the mask is true."""
    if mask.kind != "bool" or source.kind != input.kind:
        raise Unknown("a mask that is not of bools, or elements of another kind")
    return Value(broadcast(input.shape, mask.shape), input.kind)


RULES: dict[str, Any] = {
    "__getitem__": getitem,
    "__setitem__": setitem,
    "gather": gather,
    "index": index,
    "index_add": index_put,
    "index_add_": index_put,
    "index_copy_": index_put,
    "index_fill_": index_fill,
    "index_select": index_select,
    "masked_scatter": masked_scatter,
    "scatter": scatter,
    "scatter_": scatter,
    "scatter_add": scatter,
    "scatter_add_": scatter,
    "scatter_reduce": scatter_reduce,
    "scatter_reduce_": scatter_reduce,
    "take_along_dim": take_along_dim,
}
