"""Operations that join tensors, cut them, or lay a border round them."""

from __future__ import annotations

from adaptlint.dataflow.operations.dims import axis, clash, cut, highest, promote, replaced, value_of, values_of
from adaptlint.dataflow.value import Unknown, Value
from adaptlint.hints import Any


def cat(tensors: Any, dim: Any = 0, **options: Any) -> Value:
    """End to end along an axis; an empty vector adds nothing, whatever the others' axes are."""
    given = values_of((tensors,))
    if not given:
        raise clash("cat-nothing")
    kind, bound = promote(*given), highest(value.bound for value in given)
    full = [value for value in given if value.shape != (0,)]
    if not full:
        return Value((0,), kind)
    first = full[0].shape
    if not first:
        raise clash("rank", first, more="needs an axis")
    at = axis(dim, len(first), first)
    for value in full[1:]:
        if len(value.shape) != len(first) or replaced(value.shape, at) != replaced(first, at):
            raise clash("cat-sizes", first, value.shape, more=f"along axis {at}")
    return Value(replaced(first, at, sum(value.shape[at] for value in full)), kind, bound)


def stack(tensors: Any, dim: Any = 0, **options: Any) -> Value:
    """Side by side along a new axis."""
    given = values_of((tensors,))
    if not given:
        raise clash("cat-nothing")
    first = given[0].shape
    for value in given[1:]:
        if value.shape != first:
            raise clash("stack-sizes", first, value.shape)
    at = axis(dim, len(first) + 1, first)
    bound = highest(value.bound for value in given)
    return Value((*first[:at], len(given), *first[at:]), promote(*given), bound)


def pieces(input: Value, at: int, lengths: list[int]) -> tuple[Value, ...]:
    """The parts of these lengths along an axis."""
    return tuple(Value(replaced(input.shape, at, length), input.kind, cut(input)) for length in lengths)


def stepped(length: int, step: int) -> list[int]:
    """The lengths of parts of one size, the last of which may be shorter."""
    return [min(step, length - start) for start in range(0, length, step)] or [0]


def split(tensor: Value, split_size_or_sections: Any = None, dim: Any = 0, **options: Any) -> tuple[Value, ...]:
    """Parts of one length, or of the lengths given."""
    sizes = options.get("split_size", options.get("split_sizes", split_size_or_sections))
    if not tensor.shape:
        raise clash("rank", tensor.shape, more="needs an axis")
    at = axis(dim, len(tensor.shape), tensor.shape)
    length = tensor.shape[at]
    if isinstance(sizes, int):
        if sizes < 0 or (sizes == 0 and length):
            raise clash("split-sizes", tensor.shape, more=f"parts of {sizes}")
        return pieces(tensor, at, stepped(length, sizes) if sizes else [0])
    if sum(sizes) != length or min(sizes, default=0) < 0:
        raise clash("split-sizes", tensor.shape, more=f"parts {tuple(sizes)} of {length}")
    return pieces(tensor, at, list(sizes))


def chunk(input: Value, chunks: Any, dim: Any = 0) -> tuple[Value, ...]:
    """So many parts or fewer, none longer than the first."""
    if not input.shape or chunks <= 0:
        raise clash("split-sizes", input.shape, more=f"{chunks} parts")
    at = axis(dim, len(input.shape), input.shape)
    length = input.shape[at]
    step = (length + chunks - 1) // chunks
    return pieces(input, at, stepped(length, step) if step else [0] * chunks)


def unbind(input: Value, dim: Any = 0) -> tuple[Value, ...]:
    """One part for each place."""
    if not input.shape:
        raise clash("rank", input.shape, more="needs an axis")
    at = axis(dim, len(input.shape), input.shape)
    return (Value(replaced(input.shape, at), input.kind, cut(input)),) * input.shape[at]


def narrow(input: Value, dim: Any, start: Any, length: Any) -> Value:
    """One part of an axis."""
    at = axis(dim, len(input.shape), input.shape)
    if not isinstance(start, int):
        raise Unknown("cut where a tensor says")
    if not input.shape:
        raise clash("rank", input.shape, more="needs an axis")
    size = input.shape[at]
    if not -size <= start <= size or length < 0 or (start + size if start < 0 else start) + length > size:
        raise clash("narrow", input.shape, more=f"{length} from {start} of {size}")
    return Value(replaced(input.shape, at, length), input.kind, input.bound if length == size else cut(input))


def pad(input: Value, pad: Any, mode: Any = "constant", value: Any = None) -> Value:
    """A border round the last axes; what is not constant takes it from the tensor itself."""
    if len(pad) % 2 or len(pad) // 2 > len(input.shape):
        raise clash("pad", input.shape, more=f"border {tuple(pad)}")
    if mode != "constant":
        mirrored(input, tuple(pad), mode)
    sizes = list(input.shape)
    for pair in range(len(pad) // 2):
        before, after = pad[2 * pair], pad[2 * pair + 1]
        if sizes[-1 - pair] + min(before, 0) + min(after, 0) < 0 <= sizes[-1 - pair] + before + after:
            raise Unknown("a border that takes away more than there is and adds to it")
        sizes[-1 - pair] += before + after
    if any(size < 0 for size in sizes):
        raise clash("pad", input.shape, more=f"border {tuple(pad)}")
    fill = input.bound if mode != "constant" else value_of(0 if value is None else value).bound
    # With a border of another number not every element is the largest, as a sum over all of them would have it.
    same = fill == input.bound and all(size >= 0 for size in pad)
    return Value(tuple(sizes), input.kind, fill if same else None)


def mirrored(input: Value, border: tuple[int, ...], mode: str) -> None:
    """Checks a border that is taken from the tensor itself."""
    touched = len(border) // 2
    if len(input.shape) not in (touched + 1, touched + 2) or touched > 3:
        raise Unknown(f"{mode} padding of {touched} axes of {len(input.shape)}")
    if not all(input.shape) or any(width < 0 for width in border):
        raise Unknown(f"{mode} padding of nothing, or that takes away")
    for pair in range(touched):
        size = input.shape[-1 - pair]
        limit = size - 1 if mode == "reflect" else size
        if mode != "replicate" and max(border[2 * pair], border[2 * pair + 1]) > limit:
            raise clash("pad", input.shape, more=f"border {border}, {mode}")


RULES: dict[str, Any] = {
    "cat": cat,
    "chunk": chunk,
    "concat": cat,
    "concatenate": cat,
    "narrow": narrow,
    "pad": pad,
    "split": split,
    "split_with_sizes": split,
    "stack": stack,
    "unbind": unbind,
}
