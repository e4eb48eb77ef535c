"""Calls of every operation, right ones and wrong ones. A case is the arguments; a dict at the end is named ones."""

from __future__ import annotations

from typing import Any

from adaptlint.dataflow.operations.unary import KEPT, SAME_NUMBERS
from adaptlint.dataflow.value import Value


def f(*shape: int) -> Value:
    return Value(shape)


def i(*shape: int) -> Value:
    return Value(shape, "int")


def b(*shape: int) -> Value:
    return Value(shape, "bool")


def c(*shape: int) -> Value:
    return Value(shape, "complex")


COLON = slice(None)
Case = tuple[Any, ...]
CASES: dict[str, list[Case]] = {}
TAKE_MORE: dict[str, Case] = {
    "alpha_dropout": (0.1, True),
    "dropout": (0.1, True),
    "dropout_": (0.1, True),
    "feature_dropout": (0.1, False),
    "threshold": (0.1, 20),
}
for names in (*KEPT.values(), SAME_NUMBERS):
    for name in names.split():
        more = TAKE_MORE.get(name, ())
        made = (f, c) if name == ".imag" else (f,)
        CASES[name] = [(one(3, 4), *more) for one in (f, i, b, c)] + [(made[-1](), *more), (made[-1](2, 0), *more)]
for name in ("alpha_dropout", "dropout", "dropout_", "feature_dropout", "cuda", "cpu", "requires_grad_"):
    CASES[name] = [(f(3, 4), *TAKE_MORE.get(name, ()))]

PAIRS: list[Case] = [(f(3, 4), f(4)), (f(3, 1), f(1, 5)), (f(3, 4), f(3)), (f(2, 0), f(1)), (i(3), f(3)), (i(3), i(3))]
PAIRS += [(b(3), i(3)), (b(3), b(3)), (c(3), f(3))]
NUMBERS: list[Case] = [(f(3, 4), 2), (i(3, 4), 2), (i(3, 4), 2.5), (b(2), 2), (f(3), True)]
ARITHMETIC = (
    "__add__ __floordiv__ __mod__ __mul__ __pow__ __radd__ __rdiv__ __rfloordiv__ __rmul__ __rpow__ __rsub__"
    " __rtruediv__ __sub__ __truediv__ add div divide floor_divide fmod mul multiply pow remainder rsub sub subtract"
    " true_divide __eq__ __ge__ __gt__ __le__ __lt__ __ne__ eq ge gt le lt ne xlogy"
)
TENSORS_ONLY = "atan2 logaddexp logical_and logical_or maximum minimum"
WHOLE = "__and__ __or__ __rand__ __ror__ __xor__ bitwise_and bitwise_or bitwise_xor"
INTO = "__iadd__ __imul__ __isub__ __itruediv__ add_ div_ mul_ pow_ sub_ copy_"
CASES |= dict.fromkeys(ARITHMETIC.split(), PAIRS + NUMBERS)
CASES |= dict.fromkeys(TENSORS_ONLY.split(), PAIRS)
CASES |= {name: [(i(3, 4), i(4)), (b(3), b(2, 3)), (i(3), b(3)), (i(3), i(4)), (i(3), 1)] for name in WHOLE.split()}
CASES |= {
    name: [(f(3, 4), f(4)), (f(3, 4), f(3, 1)), (f(4), f(3, 4)), (f(3, 1), f(3, 4)), (f(3), i(3))]
    for name in INTO.split()
}
CASES |= {
    name: [(i(3, 4), i(4)), (b(3, 4), b(4)), (b(4), b(3, 4)), (i(3), i(2))]
    for name in ("__iand__", "__ior__", "bitwise_and_", "bitwise_or_")
}
CASES |= {name: [(f(3, 4),), (i(3),)] for name in ("relu", "relu_")}
CASES |= {name: [(f(3, 4),), (f(4),), (f(2, 3, 4),)] for name in ("dropout1d", "dropout2d")}
FLOATS: list[Case] = [(f(3, 4), 0), (f(3, 4), -1), (f(3, 4), 2), (f(), 0), (f(), 1)]
for name in ("softmax", "log_softmax", "cumsum", "cumprod", "logcumsumexp", "cummax", "cummax_"):
    CASES[name] = FLOATS
CASES["softmax"] = [*FLOATS, (f(3, 4), -1, {"dtype": "torch.float32"}), (f(3, 4), {"dim": -1})]
CASES["cumsum"] = [*FLOATS, (i(3), 0), (b(3), 0), (f(3), 0, {"dtype": "torch.int64"})]
for name in ("all", "any"):
    CASES[name] = [(b(3, 4),), (f(3, 4), 0), (i(3, 4), -1, True), (f(3, 4), 2), (b(2, 3), {"dim": (0, 1)})]
for name in ("sum", "mean", "nanmean", "std", "var", "logsumexp", "amax", "amin"):
    CASES[name] = [(f(3, 4, 5), 0), (f(3, 4, 5), (0, -1)), (f(3, 4, 5), (0, -1), True), (f(3, 4), (0, -2)), (f(3), 1)]
    CASES[name] += [(f(3, 4), {"dim": 1, "keepdim": True}), (f(3, 4), {"axis": 1}), (f(), 0), (i(3), 0)]
for name in ("sum", "mean", "nanmean", "std", "var", "amax", "amin", "prod"):
    CASES.setdefault(name, []).append((f(3, 4, 5),))
for name in ("prod", "argmax", "argmin"):
    CASES.setdefault(name, [])
    CASES[name] += [(f(3, 4), 0), (f(3, 4), -1, True), (f(3, 4), 2), (i(3, 4), 1), (f(), 0)]
for name in ("max", "min", "median", "mode"):
    CASES[name] = [(f(3, 4), 0), (f(3, 4), -1, True), (f(3, 4), 2), (i(3, 4), 1), (f(), 0), (f(3, 4), {"dim": 1})]
for name in ("max", "min"):
    CASES[name] += [(f(3, 4),), (f(3, 4), f(4)), (f(3, 4), f(3)), (f(0),), (f(3, 0), 1), (f(3, 0), 0)]
CASES["amax"] += [(f(3, 0), 1), (f(3, 0), 0)]
CASES["argmax"] += [(f(3, 4),), (f(0),), (f(3, 0), 1), (f(3, 0), 0)]
CASES["sum"] += [(f(0),), (b(3), 0), (b(3),), (f(3), 0, {"dtype": "torch.int64"})]
NORMS: list[Case] = [(f(3, 4), 2, -1), (f(3, 4), 2, -1, True), (f(3, 4), 2, 2), (f(3, 4), {"dim": 1, "keepdim": True})]
CASES |= {name: [*NORMS, (f(3, 4),)] for name in ("linalg_norm", "linalg_vector_norm", "norm", "vector_norm")}
for name in ("scatter", "scatter_"):
    CASES[name] = [(f(3, 4), 1, i(3, 2), f(3, 2)), (f(3, 4), 1, i(3, 2), 1.0), (f(3, 4), 1, i(3, 2), f(3, 1))]
    CASES[name] += [(f(3, 4), 1, i(4, 2), f(4, 2)), (f(3, 4), 1, i(3), f(3)), (f(3, 4), 2, i(3, 2), f(3, 2))]
for name in ("scatter_add", "scatter_add_"):
    CASES[name] = [(f(3, 4), 1, i(3, 2), f(3, 2)), (f(3, 4), 0, i(7, 4), f(7, 4)), (f(3, 4), 1, i(3, 2), f(3, 1))]
    CASES[name] += [(f(3, 4), 1, i(4, 2), f(4, 2)), (f(3, 4), 1, i(3), f(3)), (f(3, 4), 1, i(3, 2), f(5, 2))]
for name in ("index_add", "index_add_", "index_copy_"):
    CASES[name] = [(f(3, 4), 0, i(2), f(2, 4)), (f(3, 4), 1, i(2), f(3, 2)), (f(3, 4), 0, i(2), f(3, 4))]
    CASES[name] += [(f(3, 4), 0, i(2), f(2, 5)), (f(3, 4), 0, i(2, 2), f(2, 4)), (f(3, 4), 2, i(2), f(2, 4))]
for name in ("empty", "ones", "rand", "randn", "zeros"):
    device = {"device": "meta"}
    CASES[name] = [(3, 4, device), ((3, 4), device), ((3,), {"dtype": "torch.float64"} | device), (-1, device)]
    CASES[name].append(((), device))
for name in ("zeros", "ones", "empty"):
    CASES[name].append(((3,), {"dtype": "torch.int64", "device": "meta"}))
for name in ("new_empty", "new_ones", "new_zeros", "new_x"):
    CASES[name] = [(i(1), 3, 4), (f(1), (3, 4)), (f(2), (3,), {"dtype": "torch.bool"}), (f(2), (-3,))]
for name, axes in (("conv1d", 1), ("conv2d", 2), ("conv3d", 3)):
    image, kernel = (9, 8, 7)[:axes], (3, 2, 1)[:axes]
    CASES[name] = [
        (f(2, 4, *image), f(6, 4, *kernel), f(6)),
        (f(4, *image), f(6, 4, *kernel), None, 2, 1),
        (f(2, 4, *image), f(6, 2, *kernel), f(6), 1, 0, 2, 2),
        (f(2, 4, *image), f(6, 4, *kernel), f(6), {"padding": "same"}),
        (f(2, 4, *image), f(6, 4, *kernel), f(6), {"padding": "valid", "stride": (2,) * axes}),
        (f(2, 5, *image), f(6, 4, *kernel), f(6)),
        (f(2, 4, *image), f(6, 4, *kernel), f(5)),
        (f(2, 4, *image), f(6, 4, 10, *kernel[1:])),
        (f(2, 4, *image), f(5, 2, *kernel), None, 1, 0, 1, 2),
        (
            f(
                4,
            ),
            f(6, 4, *kernel),
        ),
        (f(0, 4, *image), f(6, 4, *kernel)),
    ]
INDEXED: list[Case] = [
    (f(3, 4, 5), 0),
    (f(3, 4, 5), -1),
    (f(3, 4, 5), 3),
    (f(3, 4, 5), (0, 1, 2, 3)),
    (f(3, 4, 5), (Ellipsis, 0)),
    (f(3, 4, 5), (None, Ellipsis, None, 1)),
    (f(3, 4, 5), (COLON, slice(1, None), slice(None, -2))),
    (f(3, 4, 5), slice(-2, 100)),
    (f(3, 4, 5), slice(2, 1)),
    (f(3, 4, 5), slice(None, None, 2)),
    (f(3, 4, 5), slice(None, None, -1)),
    (f(3, 4, 5), i(7)),
    (f(3, 4, 5), i(7, 2)),
    (f(3, 4, 5), (i(7), i(7))),
    (f(3, 4, 5), (i(7), COLON, i(7))),
    (f(3, 4, 5), (COLON, i(7, 1), i(2))),
    (f(3, 4, 5), (i(7), i(6))),
    (f(3, 4, 5), (i(7), 0, i(7))),
    (f(3, 4, 5), (i(7), None, i(7))),
    (f(3, 4, 5), (COLON, [0, 2, 3])),
    (f(3, 4, 5), ([0, 1], [0, 1])),
    (f(3, 4, 5), b(4, 4)),
    (f(3, 4, 5), (COLON, b(5))),
    (f(), 0),
    (f(), Ellipsis),
    (f(), None),
]
ATTENTION: list[Case] = [
    (f(2, 8, 5, 4), f(2, 8, 7, 4), f(2, 8, 7, 3)),
    (f(2, 8, 5, 4), f(2, 8, 7, 4), f(2, 8, 7, 4), f(2, 1, 5, 7)),
    (f(2, 8, 5, 4), f(2, 8, 7, 4), f(2, 8, 7, 4), b(5, 7)),
    (f(2, 8, 5, 4), f(2, 8, 7, 4), f(2, 8, 7, 4), f(2, 1, 5, 6)),
    (f(2, 8, 5, 4), f(2, 8, 7, 4), f(2, 8, 7, 4), f(3, 1, 5, 7)),
    (f(2, 8, 5, 4), f(2, 8, 7, 3), f(2, 8, 7, 4)),
    (f(2, 8, 5, 4), f(2, 8, 7, 4), f(2, 8, 6, 4)),
    (f(2, 8, 5, 4), f(2, 2, 7, 4), f(2, 2, 7, 4)),
    (f(2, 8, 5, 4), f(2, 1, 7, 4), f(2, 1, 7, 4)),
    (f(2, 8, 5, 4), f(3, 8, 7, 4), f(3, 8, 7, 4)),
    (f(2, 8, 5, 4), f(2, 2, 7, 4), f(2, 2, 7, 4), {"enable_gqa": True}),
    (f(2, 8, 5, 4), f(2, 3, 7, 4), f(2, 3, 7, 4), {"enable_gqa": True}),
    (f(2, 8, 5, 4), f(2, 2, 7, 4), f(2, 4, 7, 4), {"enable_gqa": True}),
    (f(2, 8, 5, 4), f(2, 2, 7, 4), f(2, 2, 7, 4), f(2, 1, 5, 7), {"enable_gqa": True}),
    (f(2, 8, 5, 4), f(2, 2, 7, 4), f(2, 2, 7, 4), f(1, 8, 1, 7), {"enable_gqa": True, "scale": 0.5}),
    (f(8, 5, 4), f(8, 7, 4), f(8, 7, 4)),
    (f(5, 4), f(7, 4), f(7, 4)),
    (
        f(
            4,
        ),
        f(7, 4),
        f(7, 4),
    ),
    (f(2, 8, 5, 4), f(2, 8, 5, 4), f(2, 8, 5, 4), {"is_causal": True}),
]
VIEWS: list[Case] = [
    (f(3, 4), 2, 6),
    (f(3, 4), (2, 6)),
    (f(3, 4), -1),
    (f(3, 4), 2, -1),
    (f(3, 4), 5, -1),
    (f(3, 4), 13),
]
VIEWS += [
    (f(3, 4), (-1, -1)),
    (f(0, 4), -1, 4),
    (f(0, 4), 0, -1),
    (f(), 1, 1),
    (f(1), ()),
    (f(3, 4), -2, 6),
    (f(0, 3), 7),
]
CASES |= dict.fromkeys(("view", "reshape"), VIEWS)
CASES |= {name: [(f(3, 4), f(2, 6)), (f(3, 4), f(5))] for name in ("view_as", "reshape_as")}
MATRICES: list[Case] = [(f(3, 4), f(4, 5)), (f(3, 4), f(5, 4)), (f(2, 3, 4), f(4, 5)), (f(3, 4), f(4)), (f(4), f(4))]
MATRICES += [(f(4), f(2, 4, 5)), (f(2, 1, 3, 4), f(7, 4, 5)), (f(2, 3, 4), f(3, 4, 5)), (f(), f(4)), (f(0, 3), f(3, 0))]
CASES |= dict.fromkeys(("matmul", "__matmul__", "mm", "mv", "dot", "bmm", "outer"), MATRICES)
CASES["__rmatmul__"] = [(f(4, 5), f(3, 4)), (f(3, 4), f(3, 4))]
CASES["bmm"] = [*MATRICES, (f(2, 3, 4), f(2, 4, 5)), (f(2, 3, 4), f(1, 4, 5))]
