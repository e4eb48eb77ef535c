"""Per-expert LoRA tensors fused into those of one stacked parameter: shapes only (PEFT 0.21.2, PeftConcatenate)."""

from __future__ import annotations

from adaptlint.findings import Where
from adaptlint.runtimes.peft.refusal import Refusal

Shape = tuple[int, ...]


def fuse(kind: str, patterns: list[str], members: dict[str, list[Shape]], at: Where) -> Shape:
    """The shape of the fused tensor.

    kind: "up-A", "up-B" (gate and up projection of every expert), "down-A", "down-B". `members` maps a source
    pattern to the shapes of its experts, each [r, in] for A and [out, r] for B; with E experts and n fused
    projections the results are [n*r*E, in] and [n*out, n*r*E]. Refusal where torch or PEFT raises.
    """
    stacked = {pattern: _stack(shapes, at) for pattern, shapes in members.items()}
    projection, side = kind.split("-")
    if projection == "down":
        (shape,) = stacked.values()
        _check_axes(shape, 3, at)
        experts, first, second = shape
        return (experts * first, second) if side == "A" else (first, experts * second)
    if len(stacked) == 1 and len(patterns) > 1:
        if side == "A":
            raise _refuse("RuntimeError", "torch.cat(): expected a non-empty list of Tensors", at)
        raise _refuse("ValueError", "Collected tensors contain keys not present in source_patterns.", at)
    ordered = [stacked[pattern] for pattern in patterns if pattern in stacked]
    for shape in ordered:
        _check_axes(shape, 3, at)
    if side == "A":
        return _concatenate(ordered, at)
    if len({shape[0] for shape in ordered}) > 1:
        raise _refuse("ValueError", "All tensors passed to _block_diag_3d must have the same number of experts.", at)
    experts = ordered[0][0]
    return (sum(shape[1] for shape in ordered), sum(shape[2] for shape in ordered) * experts)


def _stack(shapes: list[Shape], at: Where) -> Shape:
    for index, shape in enumerate(shapes):
        if shape != shapes[0]:
            match = (
                f"stack expects each tensor to be equal size, but got {list(shapes[0])} at entry 0 and {list(shape)} "
                f"at entry {index}"
            )
            raise _refuse("RuntimeError", match, at)
    return (len(shapes), *shapes[0])


def _concatenate(shapes: list[Shape], at: Where) -> Shape:
    for shape in shapes:
        if (shape[0], shape[2]) != (shapes[0][0], shapes[0][2]):
            raise _refuse("RuntimeError", "Sizes of tensors must match except in dimension 1.", at)
    experts, _, width = shapes[0]
    return (experts * sum(shape[1] for shape in shapes), width)


def _check_axes(shape: Shape, axes: int, at: Where) -> None:
    if len(shape) != axes:
        raise _refuse("RuntimeError", "", at)


def _refuse(type_name: str, match: str, at: Where) -> Refusal:
    return Refusal(type_name, match, "experts-cannot-be-fused", at=at)
