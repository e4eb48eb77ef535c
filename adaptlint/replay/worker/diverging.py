"""Where two models part: the first module, in the order in which they run, whose outputs differ."""

from __future__ import annotations

from typing import Any

from .tolerances import close

ADDED, INNER = "base_model.model.", ".base_layer"  # what PEFT puts into a module's path


def first_divergence(one: Any, other: Any, given: dict[str, Any], tolerance: dict[str, float]) -> str | None:
    """The path of that module; None where no module that both have differs."""
    seen, meant = traced(other, given), traced(one, given)
    for path, value in meant.items():
        if path in seen and not close(value, seen[path], tolerance):
            return path
    return None


def traced(model: Any, given: dict[str, Any]) -> dict[str, Any]:
    """The first tensor that each module returns, by its path in the base, in the order of the forward."""
    import torch

    found: dict[str, Any] = {}
    handles = []

    def keep(path: str) -> Any:
        def hook(_: Any, __: Any, result: Any) -> None:
            first = result[0] if isinstance(result, (tuple, list)) and result else result
            if isinstance(first, torch.Tensor) and first.is_floating_point():
                found.setdefault(path, first.detach().float().cpu())

        return hook

    for path, module in model.named_modules():
        handles.append(module.register_forward_hook(keep(bare(path))))
    try:
        with torch.no_grad():
            model(**given)
    finally:
        for handle in handles:
            handle.remove()
    return found


def bare(path: str) -> str:
    """A module's path as it is in the base."""
    inside = path[len(ADDED) :] if path.startswith(ADDED) else path
    return inside.replace(INNER, "")
