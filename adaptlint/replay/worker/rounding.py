"""How far rounding alone moves a model's answer: some models make much of a last digit; no bound by type knows it."""

from __future__ import annotations

from typing import Any

from .models import answer
from .tolerances import apart

TIMES = 8  # two ways to compute one thing round more often than each module's result once
SHARE = 0.01  # of the answer; where rounding moves more than that nothing can be told


def moved(model: Any, given: dict[str, Any]) -> tuple[float, float]:
    """(How far the answer moves when each innermost module's result changes by its last digit, its largest number).

    Zero for a model that does not answer the same twice: that is no rounding.
    """
    plain = answer(model, given)
    size = float(plain.abs().max()) if plain.numel() else 0.0
    if apart(plain, answer(model, given)):
        return 0.0, size
    handles = [each.register_forward_hook(_shaken) for each in model.modules() if not any(each.children())]
    try:
        return apart(plain, answer(model, given)), size
    finally:
        for handle in handles:
            handle.remove()


def _shaken(_: Any, __: Any, result: Any) -> Any:
    """A result, each of its numbers up or down by the last digit; seeded."""
    import torch

    if not isinstance(result, torch.Tensor) or not result.is_floating_point():
        return result
    source = torch.Generator().manual_seed(result.numel())
    signs = torch.randint(0, 2, result.shape, generator=source).to(result.device) * 2 - 1
    return result * (1 + signs.to(result.dtype) * torch.finfo(result.dtype).eps)
