"""The same call played by torch on meta tensors and by the rule, and what either says."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator
from typing import Any

import torch
from torch.nn import functional

from adaptlint.dataflow.operations import apply
from adaptlint.dataflow.value import Conflict, Unknown, Value

DTYPES = {"bool": torch.bool, "int": torch.int64, "float": torch.float32, "complex": torch.complex64}
RAISES, UNSURE, UNPLAYED = "raises", "unsure", "unplayed"
# Their names are those of other functions in torch, with other arguments.
FUNCTIONAL = {"embedding", "layer_norm", "batch_norm", "instance_norm", "group_norm", "grouped_mm", "pad", "rms_norm"}
FUNCTIONAL |= {
    "dropout",
    "alpha_dropout",
    "cross_entropy",
    "interpolate",
    "conv1d",
    "conv2d",
    "conv3d",
}
FUNCTIONAL |= {"threshold", "celu", "selu", "elu", "normalize", "gelu", "hardtanh", "softmax", "log_softmax"}
ELSEWHERE: dict[str, Callable[..., Any]] = {
    "alias": torch.ops.aten.alias.default,
    "cummax_": torch.cummax,
    "fft_fftn": torch.fft.fftn,
    "index": torch.ops.aten.index.Tensor,
    "linalg_norm": torch.linalg.norm,
    "linalg_solve_triangular": torch.linalg.solve_triangular,
    "linalg_vector_norm": torch.linalg.vector_norm,
    "log_sigmoid": torch._C._nn.log_sigmoid,
    "vector_norm": torch.linalg.vector_norm,
    "new_x": torch.Tensor.new_empty,
    "argsort_": torch.argsort,
    "cuda": torch.Tensor.cpu,
    "sign.default": torch.sign,
    "silu_": lambda x: functional.silu(x, inplace=True),
    "dropout_": lambda x, p, train: functional.dropout(x, p, train, inplace=True),
}


def forms(op: str, args: tuple[Any, ...]) -> Iterator[Callable[..., Any]]:
    """The functions of that name."""
    if op in ELSEWHERE:
        yield ELSEWHERE[op]
        return
    if op.startswith("."):
        yield lambda tensor: getattr(tensor, op[1:])
        return
    if op == "unfold":
        yield torch.Tensor.unfold if len(args) == 4 else functional.unfold
        return
    rooms = (functional,) if op in FUNCTIONAL else (torch.Tensor, torch, functional, torch.nn.init)
    for room in rooms:
        if callable(getattr(room, op, None)):
            yield getattr(room, op)


def for_torch(given: Any, device: str) -> Any:
    """Values become tensors, dtypes what they are."""
    if isinstance(given, Value):
        return torch.zeros(given.shape, dtype=DTYPES[given.kind], device=device)
    if given == "meta":
        return device
    if isinstance(given, (list, tuple)):
        return type(given)(for_torch(one, device) for one in given)
    if isinstance(given, str) and given.startswith("torch."):
        return getattr(torch, given.removeprefix("torch."))
    return given


def kind_of(tensor: torch.Tensor) -> str:
    if tensor.dtype == torch.bool:
        return "bool"
    return "complex" if tensor.is_complex() else "float" if tensor.is_floating_point() else "int"


def by_torch(device: str, op: str, /, *args: Any, **kwargs: Any) -> Any:
    """Shapes and kinds; RAISES with its words; or UNPLAYED where meta tensors cannot say."""
    outcome: Any = (UNPLAYED, "no such function")
    for form in forms(op, args):
        given = [for_torch(one, device) for one in args]
        named = {word: for_torch(one, device) for word, one in kwargs.items()}
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            try:
                found = form(*given, **named)
            except NotImplementedError as error:
                outcome = (UNPLAYED, str(error))
                continue
            except Exception as error:
                outcome = (RAISES, f"{type(error).__name__}: {error}")
                continue
        if op == "__setitem__":
            return ()
        if found is NotImplemented:
            continue
        results = (found,) if isinstance(found, torch.Tensor) else tuple(one for one in found if one is not None)
        return tuple((tuple(one.shape), kind_of(one)) for one in results)
    return outcome


def by_rule(op: str, *args: Any, **kwargs: Any) -> Any:
    """Shapes and kinds, RAISES or UNSURE."""
    try:
        return tuple((value.shape, value.kind) for value in apply(op, list(args), kwargs))
    except Conflict as fault:
        return RAISES, str(fault)
    except Unknown as reason:
        return UNSURE, str(reason)


def differ(op: str, *args: Any, **kwargs: Any) -> str:
    """What the two say where they do not say the same; nothing where the rule is unsure or torch cannot play.

    Meta tensors check less than others now and then, so that the processor is asked as well.
    """
    told = by_rule(op, *args, **kwargs)
    reals = []
    for device in ("meta", "cpu"):
        real = by_torch(device, op, *args, **kwargs)
        if told[:1] == (UNSURE,) or real[:1] == (UNPLAYED,) or real == told:
            return ""
        if real[:1] == told[:1] == (RAISES,):
            return ""
        reals.append(real)
    return f"{op}{args}{kwargs or ''}: torch {reals}, rule {told}"


def sure(op: str, *args: Any, **kwargs: Any) -> bool:
    """Whether the rule has an answer."""
    return bool(by_rule(op, *args, **kwargs)[:1] != (UNSURE,))
