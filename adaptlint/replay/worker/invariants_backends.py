"""The invariant on attention backends: eager, sdpa and each of its kernels, flash attention, flex attention compiled.

torch 2.13: torch.nn.attention.sdpa_kernel switches off all kernels of sdpa but one, and sdpa raises RuntimeError ("No
viable backend", "No available kernel") for inputs that this one does not take. transformers 5.23 compiles flex
attention by itself (integrations/flex_attention.py).
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any, NamedTuple

from .diverging import first_divergence
from .invariants_forward import Found
from .models import answer, outputs
from .subjects import Unsupported
from .telling import unless_out_of_memory
from .tolerances import apart, tolerance_of

BACKENDS = ("eager", "sdpa")
ON_GPU = ("flash_attention_2", "flex_attention")
KERNELS = ("FLASH_ATTENTION", "EFFICIENT_ATTENTION", "CUDNN_ATTENTION", "MATH")  # of sdpa, one by one
SAID = 80  # characters of why a backend was not run
Slopes = dict[str, Any]


class Meant(NamedTuple):
    """What eager attention gives: the model, its output, its gradients, and the output of the base alone."""

    model: Any
    output: Any
    slopes: Slopes
    base: Any


def backends(subject: Any) -> Found:
    """(3) Every attention backend gives the same output and the same gradients of the adapter.

    Where it holds, `detail` names what was compared, and what was not and why. A backend or a kernel that the base
    alone does not stand, such as flash attention in float32, is left out.
    """
    on_gpu = subject.job["device"].startswith("cuda")
    left = [] if on_gpu else [f"{name} (no cuda)" for name in ON_GPU]
    models: dict[str, Any] = {}
    for name in (*BACKENDS, *(ON_GPU if on_gpu else ())):
        try:
            subject.base(name)
        except Exception as problem:  # the class or this machine does not have it
            left.append(f"{name} ({why(problem)})")
            continue
        models[name] = subject.wrapped(name)
    if len(models) < 2 or "eager" not in models:
        raise Unsupported(f"it runs with {', '.join(models) or 'none'} alone; not run: {', '.join(left)}")
    model = models.pop("eager")
    given = subject.given(model)
    meant = Meant(model, answer(model, given), slopes(subject, model, given), answer(subject.base("eager"), given))
    worst, told = 0.0, ["eager"]
    for name, other in models.items():
        for kernel in (None, *(KERNELS if name == "sdpa" else ())):
            seen = measured(subject, (name, kernel), meant, other, given)
            if seen.status == "broken":
                return seen
            worst = max(worst, seen.measured or 0.0)
            (told if seen.status == "held" else left).append(seen.detail)
    if len(told) < 2:
        raise Unsupported(f"not run: {', '.join(left)}")
    return Found("held", worst, ", ".join(told) + (f"; not run: {', '.join(left)}" if left else ""))


def measured(subject: Any, place: tuple[str, str | None], meant: Meant, model: Any, given: dict[str, Any]) -> Found:
    """One backend, or one kernel of it; skipped where the base alone does not stand it. Its name is in the detail."""
    name, kernel = place
    called = f"sdpa's {kernel}" if kernel else name
    try:
        with under(kernel):
            plain = answer(subject.base(name), given)
    except Exception as problem:
        return Found("skipped", None, f"{called} ({why(problem)})")
    if not subject.agree(meant.base, plain):
        return Found("skipped", None, f"{called} (the base itself is another one under it)")
    with under(kernel):
        return against(subject, (name, called), meant, model, given)


def why(problem: Exception) -> str:
    """Why a backend was not run, in a few words."""
    unless_out_of_memory(problem)
    text = " ".join(str(problem).split())
    return f"{type(problem).__name__}: {text[:SAID]}{'...' if len(text) > SAID else ''}"


@contextlib.contextmanager
def under(kernel: str | None) -> Iterator[None]:
    """One kernel of sdpa alone; torch's own choice for None. Raises where this torch does not know the kernel."""
    if kernel is None:
        yield
        return
    from torch.nn.attention import SDPBackend, sdpa_kernel

    with sdpa_kernel(getattr(SDPBackend, kernel)):
        yield


def against(subject: Any, place: tuple[str, str], meant: Meant, model: Any, given: dict[str, Any]) -> Found:
    """The model under one backend, `place` its name and what it is called, against eager: output, then gradients."""
    name, called = place
    found = answer(model, given)
    far = apart(meant.output, found)
    if not subject.agree(meant.output, found):
        where = first_divergence(meant.model, model, given, subject.tolerance)
        return Found("broken", far, f"{called} gives another output than eager", where)
    try:
        own = slopes(subject, model, given)
    except Exception as problem:
        unless_out_of_memory(problem)
        if learns_alone(subject, name, given):
            raise
        return Found("held", far, f"{called} (forward alone)")
    differing = first_slope(meant.slopes, own, tolerance_of(subject.job))
    if differing:
        return Found("broken", differing[1], f"{called} gives another gradient than eager", differing[0])
    return Found("held", far, called)


def slopes(subject: Any, model: Any, given: dict[str, Any]) -> Slopes:
    """The gradients of the adapter's parameters, in float32 on the CPU."""
    own = subject.trainable(model, subject.name)
    model.zero_grad()
    outputs(model(**given))[0].float().pow(2).mean().backward()
    return {name: value.grad.float().cpu() for name, value in own.items() if value.grad is not None}


def learns_alone(subject: Any, name: str, given: dict[str, Any]) -> bool:
    """Whether a backward is possible under this backend with no adapter: on a CPU compiled flex attention has none."""
    base = subject.base(name, own=True)
    try:
        outputs(base(**given))[0].float().pow(2).mean().backward()
    except Exception as problem:
        unless_out_of_memory(problem)
        return False
    return True


def first_slope(one: Slopes, other: Slopes, bound: dict[str, float]) -> tuple[str, float] | None:
    """The first parameter of the adapter whose gradient differs by more than a hundredth, or than its rounding."""
    for name, value in one.items():
        if name not in other:
            return name, float("inf")
        difference = float((value - other[name]).norm())
        if difference > max(0.01, bound["rtol"]) * float(value.norm()) + bound["atol"]:
            return name, difference
    return None
