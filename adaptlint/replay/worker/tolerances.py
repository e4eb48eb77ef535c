"""How far two computations of the same thing may be apart: by the floating type and by how much is summed."""

from __future__ import annotations

from typing import Any

ROUNDING = {"float64": 1e-9, "float32": 1e-4, "float16": 2e-2, "bfloat16": 6e-2}
WIDE = 4096  # features; sums of more terms lose more


def tolerance_of(job: dict[str, Any]) -> dict[str, float]:
    """The bound for outputs of a job, relative and absolute; wider models get sqrt(width / 4096) more."""
    config = job["base"]["config"]
    named = job["dtype"]
    if named == "auto":
        named = config.get("dtype") or config.get("torch_dtype") or "float32"
    base = ROUNDING.get(named, ROUNDING["bfloat16"])
    width = config.get("hidden_size") or config.get("d_model") or 0
    grown = base * max(1.0, (width / WIDE) ** 0.5 if isinstance(width, int) else 1.0)
    return {"rtol": grown, "atol": grown}


def apart(one: Any, other: Any) -> float:
    """The largest difference; infinity where the shapes differ or a value is no number on one side only."""
    if tuple(one.shape) != tuple(other.shape):
        return float("inf")
    if not one.numel():
        return 0.0
    one, other = one.float().cpu(), other.float().cpu()
    return float((one - other).abs().nan_to_num(float("inf")).max()) if bool((one != other).any()) else 0.0


def close(one: Any, other: Any, tolerance: dict[str, float]) -> bool:
    """Equal within the bound; values that are no numbers are equal to such values."""
    import torch

    if tuple(one.shape) != tuple(other.shape):
        return False
    return bool(torch.allclose(one.float().cpu(), other.float().cpu(), equal_nan=True, **tolerance))
