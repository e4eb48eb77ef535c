"""Operations on one tensor that keep its shape, and what they make of its elements."""

from __future__ import annotations

from adaptlint.dataflow.operations.dims import axes, axis, clash, kind_of, value_of
from adaptlint.dataflow.value import Unknown, Value
from adaptlint.hints import Any

# The kind that comes out for bool, int, float and complex; "-" where torch refuses or differs between devices.
KEPT = {
    "bifc": (
        "bernoulli bitwise_not celu empty_like gelu hardsigmoid hardswish mish nan_to_num"
        " rand_like sgn sign sign.default silu silu_ softplus threshold trunc_normal_ uniform_"
    ),
    "bif-": "nan_to_num_",
    "---f": ".imag",
    "biff": ".real abs",
    "bi--": "__invert__",
    "-ifc": "__neg__ frac hardtanh logsigmoid log_sigmoid neg positive relu6",
    "fffc": (
        "acos asin atan cos cosh erf erfinv exp expm1 log log1p reciprocal rsqrt sigmoid sin sinh softsign sqrt"
        " tan tanh"
    ),
    "ffff": "bfloat16 double float half",
    "bbbb": "bool isfinite isinf isnan logical_not",
    "iifc": "square",
    "--f-": "leaky_relu",
    "--fc": ("alpha_dropout dropout dropout_ elu exp_ feature_dropout normal_ randn_like requires_grad_ selu tanh_"),
}
# Those whose result holds the same numbers, so that a bound lives on.
SAME_NUMBERS = ".data alias ceil clone contiguous cpu cuda detach floor round trunc"
LETTERS = {"b": "bool", "i": "int", "f": "float", "c": "complex"}
ORDER = {"bool": 0, "int": 1, "float": 2, "complex": 3}


class Plain:
    """A rule that is a row of the table."""

    def __init__(self, kinds: str) -> None:
        self.kinds = kinds

    def __call__(self, input: Value, *rest: Any, dtype: Any = None, **options: Any) -> Value:
        """The same shape, with the kind that the table says."""
        letter = self.kinds[ORDER[input.kind]]
        if letter == "-":
            raise Unknown(f"not for elements of kind {input.kind}")
        kind = kind_of(dtype, LETTERS[letter])
        return Value(input.shape, kind, 1 if kind == "bool" and input.bound is not None else None)


def same_numbers(input: Value, *rest: Any, **options: Any) -> Value:
    """The tensor itself, as far as shapes can tell."""
    return input


def to_int(input: Value, *rest: Any, **options: Any) -> Value:
    """Whole numbers."""
    return Value(input.shape, "int", input.bound)


def to(input: Value, *rest: Any, dtype: Any = None, other: Any = None, **options: Any) -> Value:
    """Another dtype, another device, or those of another tensor."""
    kind = kind_of(dtype, input.kind)
    for given in (*rest, other):
        if isinstance(given, Value):
            kind = given.kind
        elif isinstance(given, str) and given.startswith("torch."):
            kind = kind_of(given, kind)
    bound = 1 if kind == "bool" and input.bound is not None else input.bound
    return Value(input.shape, kind, bound)


def astype(input: Value, dtype: Any = None, *rest: Any, **options: Any) -> Value:
    """`type`: a dtype, or the name of an old tensor class."""
    if isinstance(dtype, str) and dtype.endswith("Tensor"):
        raise Unknown("named by an old tensor class")
    if dtype is None:
        raise Unknown("returns a name, no tensor")
    return to(input, dtype)


def filled(input: Value, fill: Any, **options: Any) -> Value:
    """Every element the same number."""
    return Value(input.shape, kind_of(options.get("dtype"), input.kind), value_of(fill).bound)


def full_like(input: Value, fill_value: Any, **options: Any) -> Value:
    """A new tensor of one number."""
    return filled(input, fill_value, **options)


def fill_in(input: Value, value: Any) -> Value:
    """`fill_`: a number, or a tensor without axes."""
    if value_of(value).shape != ():
        raise clash("fill", input.shape, value.shape)
    return filled(input, value)


def zeros_like(input: Value, **options: Any) -> Value:
    """Zeros."""
    return filled(input, 0, **options)


def ones_like(input: Value, **options: Any) -> Value:
    """Ones."""
    return filled(input, 1, **options)


def rectified(input: Value, inplace: Any = False) -> Value:
    """`relu`: nothing below zero is left."""
    return Value(input.shape, input.kind, None if input.bound is None else max(input.bound, 0))


def triangle(input: Value, diagonal: Any = 0) -> Value:
    """`tril` and `triu`: of matrices only."""
    if len(input.shape) < 2:
        raise clash("rank", input.shape, more="needs a matrix")
    return rectified(input)


def initialised(input: Value, *rest: Any, **options: Any) -> Value:
    """`kaiming_uniform_` and `xavier_uniform_` count the fan of a matrix."""
    if len(input.shape) < 2:
        raise clash("rank", input.shape, more="needs a matrix")
    return Value(input.shape, input.kind)


def along(input: Value, dim: Any = None, *rest: Any, dtype: Any = None, **options: Any) -> Value:
    """`softmax` and its kin: an axis that must be there."""
    axis(dim, len(input.shape), input.shape)
    for given in rest:
        dtype = given if isinstance(given, str) and given.startswith("torch.") else dtype
    return Value(input.shape, kind_of(dtype, input.kind))


def channel_dropout(input: Value, *rest: Any, **options: Any) -> Value:
    """`dropout1d` and `dropout2d`: whole channels fall out."""
    if len(input.shape) < 2:
        raise clash("rank", input.shape, more="needs channels")
    return Plain("--fc")(input)


def gumbel_softmax(logits: Value, tau: Any = 1, hard: Any = False, eps: Any = 1e-10, dim: Any = -1) -> Value:
    """Floats along an axis."""
    return Plain("--f-")(along(logits, dim))


def normalize(input: Value, p: Any = 2.0, dim: Any = 1, eps: Any = 1e-12, out: Any = None) -> Value:
    """Divided by the norm over some axes."""
    axes(dim, input.shape)
    return Plain("--fc")(input)


def running_sum(input: Value, dim: Any, dtype: Any = None, **options: Any) -> Value:
    """`cumsum`: of zeros and ones the last is as large as the axis is long; of other numbers nothing is said."""
    at = axis(dim, len(input.shape), input.shape)
    kind = kind_of(dtype, "int" if input.kind == "bool" else input.kind)
    length = input.shape[at] if input.shape else 1
    return Value(input.shape, kind, length * input.bound if input.bound in (0, 1) else None)


def running(input: Value, dim: Any, dtype: Any = None, **options: Any) -> Value:
    """`cumprod` and the others that run along an axis."""
    return Value(*running_sum(input, dim, dtype)[:2])


def argsort(input: Value, dim: Any = -1, descending: Any = False, stable: Any = False) -> Value:
    """Places along an axis."""
    at = axis(-1 if isinstance(dim, bool) else dim, len(input.shape), input.shape)
    return Value(input.shape, "int", input.shape[at] - 1 if input.shape else 0)


def flip(input: Value, *dims: Any, **options: Any) -> Value:
    """The same numbers, turned round."""
    given = options.get("dims", dims[0] if len(dims) == 1 else dims)
    if given != ():
        axes(given, input.shape)
    return input


def roll(input: Value, shifts: Any, dims: Any = None) -> Value:
    """The same numbers, moved on."""
    if dims is None or dims in ((), []):
        return input
    moved = (shifts,) if isinstance(shifts, int) else tuple(shifts)
    along_these = (dims,) if isinstance(dims, int) else tuple(dims)
    if len(moved) != len(along_these):
        raise clash("axis-count", input.shape, more=f"{len(moved)} shifts for {len(along_these)} axes")
    for dim in along_these:
        axis(dim, len(input.shape), input.shape)
    return input


def fftn(input: Value, s: Any = None, dim: Any = None, norm: Any = None) -> Value:
    """Complex numbers, along some axes."""
    if s is not None:
        raise Unknown("transformed to another size")
    if dim is not None:
        axes(dim, input.shape)
    return Value(input.shape, "complex")


RULES: dict[str, Any] = {name: Plain(kinds) for kinds, names in KEPT.items() for name in names.split()}
RULES |= dict.fromkeys(SAME_NUMBERS.split(), same_numbers)
RULES |= dict.fromkeys(("softmax", "log_softmax"), along)
RULES |= dict.fromkeys(("dropout1d", "dropout2d"), channel_dropout)
RULES |= dict.fromkeys(("relu", "relu_"), rectified)
RULES |= dict.fromkeys(("tril", "triu"), triangle)
RULES |= dict.fromkeys(("kaiming_uniform_", "xavier_uniform_"), initialised)
RULES |= dict.fromkeys(("cumprod", "logcumsumexp"), running)
RULES |= dict.fromkeys(("argsort", "argsort_"), argsort)
RULES |= {
    "cumsum": running_sum,
    "fft_fftn": fftn,
    "fill_": fill_in,
    "flip": flip,
    "full_like": full_like,
    "gumbel_softmax": gumbel_softmax,
    "int": to_int,
    "long": to_int,
    "normalize": normalize,
    "ones_like": ones_like,
    "roll": roll,
    "to": to,
    "type": astype,
    "type_as": to,
    "zero_": zeros_like,
    "zeros_like": zeros_like,
}
