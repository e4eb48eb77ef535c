"""A real forward on the CPU: the shapes of everything that its modules return."""

from __future__ import annotations

from typing import Any

import torch

from adaptlint.dataflow.inputs import inputs_of
from adaptlint.dataflow.trace import tensors_in

Shapes = dict[str, list[tuple[int, ...]]]


def inputs_for(model: Any, sizes: dict[str, int]) -> dict[str, Any]:
    """Ordinary inputs of these sizes: words of the vocabulary, a mask with padding, noise for pixels."""
    source = torch.Generator().manual_seed(3)
    given = {}
    for name, entry in (inputs_of(model, model.config.to_dict()) or {}).items():
        shape = [sizes[axis] if isinstance(axis, str) else axis for axis in entry.axes]
        if entry.kind == "float":
            given[name] = torch.randn(shape, generator=source, dtype=model.dtype)
        elif name == "attention_mask":
            given[name] = torch.ones(shape, dtype=torch.long)
            given[name][-1, 0] = 0
        else:
            given[name] = torch.randint(3, min(entry.bound or 30, 90), shape, generator=source)
    return given


def real_shapes(model: Any, sizes: dict[str, int]) -> Shapes:
    """Path -> shapes of what the module returned last."""
    found: Shapes = {}
    hooks = []
    for path, module in model.named_modules():

        def note(_: Any, __: Any, result: Any, path: str = path) -> None:
            found[path] = [tuple(tensor.shape) for tensor in tensors_in(result, torch)]

        hooks.append(module.register_forward_hook(note))
    given = inputs_for(model, sizes)
    try:
        with torch.no_grad():
            model(**given, **({} if "pixel_values" in given else {"use_cache": False}))
    finally:
        for hook in hooks:
            hook.remove()
    return found
