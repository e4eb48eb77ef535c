"""A real forward on the CPU: the shapes of everything that its modules return."""

from __future__ import annotations

from typing import Any

import torch

from adaptlint.dataflow.inputs import axes_of, recipes_of, taken_by
from adaptlint.dataflow.trace import tensors_in

Shapes = dict[str, list[tuple[int, ...]]]


def inputs_for(model: Any, sizes: dict[str, int], axes: dict[str, list[Any]]) -> dict[str, Any]:
    """Ordinary inputs of these axes and sizes: words of the vocabulary, a mask with padding, noise for what is seen
    or heard, and as many words for images as the images have features.
    """
    source = torch.Generator().manual_seed(3)
    given = {}
    recipe = next(each for each in recipes_of(model, model.config.to_dict()) if axes_of(each) == axes)
    for name, entry in recipe.items():
        shape = [sizes[axis] if isinstance(axis, str) else axis for axis in entry.axes]
        if entry.kind == "float":
            given[name] = torch.randn(shape, generator=source, dtype=model.dtype)
        elif name == "attention_mask":
            given[name] = torch.ones(shape, dtype=torch.long)
            given[name][-1, 0] = 0
        else:
            given[name] = torch.randint(3, min(entry.bound or 30, 90), shape, generator=source)
    word = getattr(model.config, "image_token_id", getattr(model.config, "image_token_index", None))
    if "pixel_values" in given and word is not None:
        features = model.model.get_image_features(given["pixel_values"], return_dict=True).pooler_output
        given["input_ids"][:, -features[0].shape[0] :] = word
    return given


def real_shapes(model: Any, sizes: dict[str, int], axes: dict[str, list[Any]]) -> Shapes:
    """Path -> shapes of what the module returned last."""
    found: Shapes = {}
    hooks = []
    with torch.no_grad():
        given = inputs_for(model, sizes, axes)
    for path, module in model.named_modules():

        def note(_: Any, __: Any, result: Any, path: str = path) -> None:
            found[path] = [tuple(tensor.shape) for tensor in tensors_in(result, torch)]

        hooks.append(module.register_forward_hook(note))
    try:
        with torch.no_grad():
            model(**given, **({"use_cache": False} if "use_cache" in taken_by(model) else {}))
    finally:
        for hook in hooks:
            hook.remove()
    return found
