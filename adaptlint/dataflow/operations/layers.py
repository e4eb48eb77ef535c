"""Operations that stand for a layer: tables, norms, gates and losses."""

from __future__ import annotations

from adaptlint.dataflow.operations.dims import axis, below, clash, count, replaced
from adaptlint.dataflow.value import Unknown, Value
from adaptlint.hints import Any


def embedding(input: Value, weight: Value, padding_idx: Any = None, *rest: Any, **options: Any) -> Value:
    """A row of the table for each index."""
    if input.kind != "int":
        raise Unknown(f"indexed by elements of kind {input.kind}")
    if len(weight.shape) != 2:
        raise clash("rank", weight.shape, more="needs a matrix")
    rows = weight.shape[0]
    if padding_idx is not None and not -rows <= padding_idx < rows:
        raise clash("padding-index", weight.shape, more=f"padding row {padding_idx} of {rows}")
    below(input, rows, weight.shape)
    return Value((*input.shape, weight.shape[1]), weight.kind)


def one_hot(tensor: Value, num_classes: Any = -1) -> Value:
    """One more axis, of a place for each class."""
    if not isinstance(num_classes, int) or num_classes == -1:
        raise Unknown("as many classes as the largest number says")
    if tensor.kind != "int" or not count(tensor.shape):
        raise Unknown("not of whole numbers, or of none")
    if num_classes < 1:
        raise clash("class-count", tensor.shape, more=f"{num_classes} classes")
    below(tensor, num_classes, (*tensor.shape, num_classes))
    return Value((*tensor.shape, num_classes), "int", 1)


def layer_norm(input: Value, normalized_shape: Any, weight: Any = None, bias: Any = None, eps: Any = 0) -> Value:
    """`layer_norm` and `rms_norm`: the last axes are those that are told, and so are the weights'."""
    wanted = (normalized_shape,) if isinstance(normalized_shape, int) else tuple(normalized_shape)
    if input.kind in ("bool", "int"):
        raise Unknown(f"the norm of elements of kind {input.kind}")
    if not wanted:
        raise clash("norm-size", input.shape, wanted)
    if input.shape[-len(wanted) :] != wanted:
        raise clash("norm-size", input.shape, wanted)
    for own in (weight, bias):
        if isinstance(own, Value) and own.shape != wanted:
            raise clash("norm-size", own.shape, wanted)
    return Value(input.shape, input.kind)


def rms_norm(input: Value, normalized_shape: Any, weight: Any = None, eps: Any = None) -> Value:
    """As `layer_norm`, without a bias."""
    return layer_norm(input, normalized_shape, weight)


def channels_fit(input: Value, *vectors: Any) -> None:
    """Checks vectors with an element for each channel."""
    for own in vectors:
        if isinstance(own, Value) and count(own.shape) != input.shape[1]:
            raise clash("channel-count", own.shape, input.shape)


def group_norm(input: Value, num_groups: Any, weight: Any = None, bias: Any = None, eps: Any = 0) -> Value:
    """The channels fall into groups."""
    if input.kind != "float":
        raise Unknown(f"the norm of elements of kind {input.kind}")
    if len(input.shape) < 2:
        raise clash("rank", input.shape, more="needs channels")
    if num_groups <= 0 or input.shape[1] % num_groups:
        raise clash("channel-count", input.shape, more=f"{num_groups} groups")
    if count(input.shape[2:]) * (input.shape[1] // num_groups) * input.shape[0] <= 1:
        raise Unknown("the norm of one number")
    channels_fit(input, weight, bias)
    return Value(input.shape, input.kind)


def batch_norm(
    input: Value,
    running_mean: Any = None,
    running_var: Any = None,
    weight: Any = None,
    bias: Any = None,
    training: Any = False,
    momentum: Any = 0.1,
    eps: Any = 1e-5,
) -> Value:
    """An element of each vector for every channel."""
    if len(input.shape) < 2 or input.kind != "float":
        raise Unknown("the norm of no channels, or not of floats")
    if training and count(replaced(input.shape, 1)) <= 1:
        raise clash("norm-size", input.shape, more="more than one value for each channel in training")
    channels_fit(input, running_mean, running_var, weight, bias)
    return Value(input.shape, input.kind)


def instance_norm(
    input: Value,
    running_mean: Any = None,
    running_var: Any = None,
    weight: Any = None,
    bias: Any = None,
    use_input_stats: Any = True,
    momentum: Any = 0.1,
    eps: Any = 1e-5,
) -> Value:
    """Over what follows the channels, which is more than one element."""
    if len(input.shape) < 3 or input.kind != "float":
        raise Unknown("the norm of no channels, or not of floats")
    if use_input_stats and count(input.shape[2:]) <= 1:
        raise clash("norm-size", input.shape, more="more than one value for each channel")
    channels_fit(input, running_mean, running_var, weight, bias)
    return Value(input.shape, input.kind)


def prelu(input: Value, weight: Value) -> Value:
    """One slope, or one for each channel."""
    if input.kind != weight.kind or not count(input.shape):
        raise Unknown("of nothing, or slopes of another kind")
    slopes = count(weight.shape)
    if len(weight.shape) > 1 or (slopes != 1 and len(input.shape) < 2):
        raise clash("channel-count", weight.shape, input.shape)
    if slopes != 1 and slopes != input.shape[1]:
        raise clash("channel-count", weight.shape, input.shape)
    return Value(input.shape, input.kind)


def glu(input: Value, dim: Any = -1) -> Value:
    """Half of an axis gates the other half."""
    if not input.shape:
        raise clash("rank", input.shape, more="needs an axis")
    at = axis(dim, len(input.shape), input.shape)
    if input.shape[at] % 2:
        raise clash("odd-halves", input.shape, more=f"axis {at}")
    return Value(replaced(input.shape, at, input.shape[at] // 2), input.kind)


def weight_norm(v: Value, g: Value, dim: Any = 0) -> Value:
    """`_weight_norm`: a direction, and a length for each place of one axis."""
    if dim == -1 and not g.shape:
        return v
    if not isinstance(dim, int) or dim not in (0, len(v.shape) - 1):
        raise Unknown("normed along a middle axis")
    wanted = tuple(size if at == dim else 1 for at, size in enumerate(v.shape))
    if g.shape != wanted:
        raise Unknown(f"lengths of {g.shape} for {v.shape}")
    return Value(v.shape, v.kind)


def cross_entropy(input: Value, target: Value, weight: Any = None, *rest: Any, **options: Any) -> Value:
    """A number for each target, of which the mean is taken unless told otherwise."""
    reduction = options.get("reduction", rest[3] if len(rest) > 3 else "mean")
    if len(input.shape) not in range(1, 6) or isinstance(weight, Value):
        raise Unknown("weighted classes, or of so many axes")
    at = 0 if len(input.shape) == 1 else 1
    wanted = replaced(input.shape, at)
    if target.kind == "float":
        if target.shape != input.shape:
            raise clash("target-size", input.shape, target.shape)
    elif target.shape != wanted:
        raise clash("target-size", input.shape, target.shape)
    else:
        below(target, input.shape[at], input.shape)
    return Value(wanted if reduction == "none" else (), input.kind)


RULES: dict[str, Any] = {
    "_weight_norm": weight_norm,
    "batch_norm": batch_norm,
    "cross_entropy": cross_entropy,
    "embedding": embedding,
    "glu": glu,
    "group_norm": group_norm,
    "instance_norm": instance_norm,
    "layer_norm": layer_norm,
    "one_hot": one_hot,
    "prelu": prelu,
    "rms_norm": rms_norm,
}
