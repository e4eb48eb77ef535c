"""Windows that move over the last axes: convolutions, pools, patches, and other resolutions."""

from __future__ import annotations

from collections.abc import Callable
from math import floor

from adaptlint.dataflow.operations.dims import clash, count, sizes_of, spread
from adaptlint.dataflow.operations.matmul import one_kind
from adaptlint.dataflow.operations.views import windows
from adaptlint.dataflow.value import Shape, Unknown, Value
from adaptlint.hints import Any


def convolution(count: int) -> Callable[..., Value]:
    """The rule of a convolution over so many axes."""

    def rule(
        input: Value,
        weight: Value,
        bias: Any = None,
        stride: Any = 1,
        padding: Any = 0,
        dilation: Any = 1,
        groups: Any = 1,
    ) -> Value:
        shape, kernel = input.shape, weight.shape
        if len(kernel) != count + 2 or len(shape) not in (count + 1, count + 2):
            raise clash("rank", shape, kernel, more=f"needs {count} axes beside batch and channels")
        channels = shape[-count - 1]
        if groups <= 0 or channels != kernel[1] * groups or kernel[0] % groups:
            raise clash("channel-count", shape, kernel, more=f"{groups} groups")
        if isinstance(bias, Value) and bias.shape != kernel[:1]:
            raise clash("bias-size", bias.shape, kernel)
        steps, gaps = spread(stride, count), spread(dilation, count)
        sizes = []
        for at in range(count):
            reach = gaps[at] * (kernel[2 + at] - 1) + 1
            if padding == "same":
                if set(steps) != {1}:
                    raise clash("stride", shape, kernel, more="padding is `same`")
                border = reach - 1
            else:
                border = 0 if padding == "valid" else 2 * spread(padding, count)[at]
            sizes.append(moved(shape[at - count] + border, reach, steps[at], (shape, kernel)))
        return Value((*shape[: -count - 1], kernel[0], *sizes), one_kind(input, weight))

    return rule


def moved(size: int, reach: int, step: int, operands: tuple[Shape, ...]) -> int:
    """How often a window fits."""
    if step <= 0 or reach <= 0:
        raise clash("stride", *operands, more=f"step {step}")
    if size < reach:
        raise clash("kernel-size", *operands, more=f"{reach} over {size}")
    return (size - reach) // step + 1


def spatial(input: Value, count: int) -> tuple[int, ...]:
    """The last axes; before them are channels and perhaps a batch."""
    if len(input.shape) not in (count + 1, count + 2):
        raise clash("rank", input.shape, more=f"needs {count} axes beside batch and channels")
    if not all(input.shape[1:]):
        raise Unknown("a pool of nothing")
    return input.shape[-count:]


def pooled(
    input: Value, count: int, kernel_size: Any, stride: Any, padding: Any, dilation: Any, ceil_mode: Any
) -> Value:
    """A pool over the last axes; with `ceil_mode` the last window may reach beyond, if it starts inside."""
    kernel, border, gaps = spread(kernel_size, count), spread(padding, count), spread(dilation, count)
    steps = kernel if stride is None or stride in ((), []) else spread(stride, count)
    sizes = []
    for size, width, step, edge, gap in zip(spatial(input, count), kernel, steps, border, gaps, strict=True):
        if edge < 0 or edge > width // 2:
            raise clash("pad", input.shape, more=f"border {edge} of a window of {width}")
        reach = gap * (width - 1) + 1
        if step <= 0 or width <= 0 or gap <= 0:
            raise clash("stride", input.shape, more=f"windows of {width} by {step}")
        room = size + 2 * edge - reach
        places = (room + (step - 1 if ceil_mode else 0)) // step + 1
        if ceil_mode and (places - 1) * step >= size + edge:
            places -= 1
        if places < 1:
            raise clash("kernel-size", input.shape, more=f"{reach} over {size + 2 * edge}")
        sizes.append(places)
    return Value((*input.shape[:-count], *sizes), input.kind)


def max_pool(count: int) -> Callable[..., Any]:
    """The rule of a largest-element pool over so many axes."""

    def rule(
        input: Value,
        kernel_size: Any,
        stride: Any = None,
        padding: Any = 0,
        dilation: Any = 1,
        ceil_mode: Any = False,
        return_indices: Any = False,
    ) -> Any:
        result = pooled(input, count, kernel_size, stride, padding, dilation, ceil_mode)
        return (result, Value(result.shape, "int")) if return_indices else result

    return rule


def avg_pool2d(
    input: Value,
    kernel_size: Any,
    stride: Any = None,
    padding: Any = 0,
    ceil_mode: Any = False,
    *rest: Any,
    **more: Any,
) -> Value:
    """The mean of each window."""
    return pooled(input, 2, kernel_size, stride, padding, 1, ceil_mode)


def adaptive(count: int) -> Callable[..., Value]:
    """The rule of a pool that is told its result's last axes; None keeps one."""

    def rule(input: Value, output_size: Any) -> Value:
        own = spatial(input, count)
        wanted = (output_size,) * count if output_size is None or isinstance(output_size, int) else tuple(output_size)
        if len(wanted) != count:
            raise Unknown(f"pooled to {wanted}")
        sizes = tuple(old if new is None else new for old, new in zip(own, wanted, strict=True))
        if min(sizes) < 0:
            raise clash("negative-size", input.shape, sizes)
        return Value((*input.shape[:-count], *sizes), input.kind)

    return rule


def interpolate(
    input: Value, size: Any = None, scale_factor: Any = None, mode: Any = "nearest", *rest: Any, **options: Any
) -> Value:
    """Another resolution, told as sizes or as factors."""
    axes = len(input.shape) - 2
    fitting = {"linear": 1, "bilinear": 2, "bicubic": 2, "trilinear": 3}.get(mode, axes)
    if axes not in (1, 2, 3) or fitting != axes or (size is None) == (scale_factor is None):
        raise clash("resolution", input.shape, more=f"{mode} to {size or scale_factor}")
    told = size if size is not None else scale_factor
    each = (told,) * axes if isinstance(told, (int, float)) else tuple(told)
    if len(each) != axes:
        raise clash("resolution", input.shape, more=f"{each} for {axes} axes")
    if size is None:
        each = tuple(floor(length * factor) for length, factor in zip(input.shape[2:], each, strict=True))
    sizes = sizes_of((each,))
    if not all(input.shape[1:]) or min(sizes) <= 0:
        raise clash("resolution", input.shape, more=f"{mode} to {sizes}")
    return Value((*input.shape[:2], *sizes), input.kind)


def patches(input: Value, kernel_size: Any, dilation: Any = 1, padding: Any = 0, stride: Any = 1) -> Value:
    """The function `unfold`: every window of an image as a column."""
    if len(input.shape) not in (3, 4) or not all(input.shape[1:]):
        raise clash("rank", input.shape, more="needs images")
    settings = (spread(one, 2) for one in (kernel_size, dilation, padding, stride))
    columns, area = 1, count(spread(kernel_size, 2))
    for size, width, gap, edge, step in zip(input.shape[-2:], *settings, strict=True):
        columns *= moved(size + 2 * edge, gap * (width - 1) + 1, step, (input.shape,))
    return Value((*input.shape[:-3], input.shape[-3] * area, columns), input.kind)


def fold(
    input: Value, output_size: Any, kernel_size: Any, dilation: Any = 1, padding: Any = 0, stride: Any = 1
) -> Value:
    """The columns that the function `unfold` makes, put together as images of this size."""
    if len(input.shape) not in (2, 3) or not all(input.shape):
        raise clash("rank", input.shape, more="needs columns")
    size = spread(output_size, 2)
    settings = (spread(one, 2) for one in (kernel_size, dilation, padding, stride))
    places, area = 1, count(spread(kernel_size, 2))
    for length, width, gap, edge, step in zip(size, *settings, strict=True):
        places *= moved(length + 2 * edge, gap * (width - 1) + 1, step, (input.shape, size))
    rows, columns = input.shape[-2:]
    if rows % area or columns != places:
        raise clash("fold-sizes", input.shape, size, more=f"{places} windows of {area}")
    return Value((*input.shape[:-2], rows // area, *size), input.kind)


def unfold(input: Value, *args: Any, **options: Any) -> Value:
    """The method takes an axis, a size and a step; the function a kernel."""
    if len(args) == 3 or "dimension" in options:
        return windows(input, *args, **options)
    return patches(input, *args, **options)


RULES: dict[str, Any] = {
    "adaptive_avg_pool1d": adaptive(1),
    "adaptive_avg_pool2d": adaptive(2),
    "avg_pool2d": avg_pool2d,
    "conv1d": convolution(1),
    "conv2d": convolution(2),
    "conv3d": convolution(3),
    "fold": fold,
    "interpolate": interpolate,
    "max_pool1d": max_pool(1),
    "max_pool2d": max_pool(2),
    "unfold": unfold,
}
