"""PEFT's own loader, watched: what arrives, what stays at its initial value, what is overwritten."""

from __future__ import annotations

import contextlib
import json
import os
import warnings
import zlib
from collections.abc import Iterator
from typing import Any

from .cutting import tensors_in

Record = dict[str, Any]
MARK = 0.8125  # a value that no initialisation leaves in a whole tensor; exact in every float type
# Buffers made from a seed of the config, or of zeros: an adapter may be saved without them.
MADE_AGAIN = ("vera_A", "vera_B", "randlora_A", "randlora_B", "tinylora_P", "unilora_", "zeros")
FOLDED = "delta_embedding"  # CPT saves the sum of its two embeddings: this one stays zero when it is loaded
TOP_K_OUT = "vblora_logits"  # minus infinity is VB-LoRA's own mark for a logit that is not among the top k


class Watch:
    """Stands where PEFT copies a checkpoint into the model, and measures what the copying changed."""

    def __init__(self, copy: Any, name: str) -> None:
        self.copy, self.name, self.result, self.seen = copy, name, None, {}  # type: ignore[var-annotated]

    def __call__(self, model: Any, *args: Any, **options: Any) -> Any:
        """Mark every parameter of the adapter, let PEFT copy, put back the initial values of what is still marked."""
        own = {**dict(model.named_parameters()), **dict(model.named_buffers())}
        real = {name: value for name, value in own.items() if not value.is_meta}
        marks = {name: mark_of(value) for name, value in real.items() if not belongs(name, self.name)}
        marked = {name: value for name, value in real.items() if self.marks(name, value, model)}
        before = {name: value.detach().clone() for name, value in marked.items()}
        for value in marked.values():
            value.data.fill_(MARK)
        try:
            self.result = self.copy(model, *args, **options)
        finally:
            now = {**dict(model.named_parameters()), **dict(model.named_buffers())}
            left = [name for name in marked if name in now and _still(now[name])]
            for name in left:
                now[name].data.copy_(before[name])
        missing = getattr(self.result, "missing_keys", ())
        empty = {name for name, value in own.items() if value.is_meta and belongs(name, self.name)}
        self.seen["left_at_init"] = left + [name for name in missing if name in empty]
        self.seen["overwritten"] = [
            name for name, value in now.items() if name in marks and mark_of(value) != marks[name]
        ]
        return self.result

    def marks(self, name: str, value: Any, model: Any) -> bool:
        """True for what a checkpoint of the adapter is to bring."""
        if not belongs(name, self.name) or FOLDED in name or not value.is_floating_point():
            return False
        parameters = dict(model.named_parameters())
        return name in parameters or (not any(word in name for word in MADE_AGAIN) and name in model.state_dict())


def _still(value: Any) -> bool:
    return bool(value.numel() and not value.is_meta and (value.data == MARK).all())


def belongs(name: str, adapter: str) -> bool:
    """True for a parameter of the adapter with this name."""
    return f".{adapter}." in f".{name}."


def mark_of(value: Any) -> tuple[Any, ...]:
    """What changes when a byte of a tensor does; a copy of every tensor of the base would take as much as the base."""
    import torch

    flat = value.detach().contiguous().cpu().reshape(-1)
    return (tuple(value.shape), zlib.crc32(flat.view(torch.uint8).numpy()) if flat.numel() else 0)


@contextlib.contextmanager
def watched(name: str) -> Iterator[Watch]:
    """While it holds, PEFT's copying of a checkpoint into a model goes through a `Watch`."""
    from peft import peft_model

    watch = Watch(peft_model.set_peft_model_state_dict, name)
    peft_model.set_peft_model_state_dict = watch
    try:
        yield watch
    finally:
        peft_model.set_peft_model_state_dict = watch.copy


def load(model: Any, first: bool, name: str, folder: str, options: Record) -> Any:
    """`from_pretrained` for the first adapter, else `load_adapter`; the model that is then in use."""
    import peft

    if first:
        return peft.PeftModel.from_pretrained(model, folder, adapter_name=name, **options)
    model.load_adapter(folder, adapter_name=name, **options)
    return model


def observed_load(model: Any, first: bool, name: str, folder: str, options: Record) -> Any:
    """The model after one load, and what was seen of it. Raises what PEFT raises."""
    with warnings.catch_warnings(record=True) as caught, watched(name) as watch:
        warnings.simplefilter("always")
        loaded = load(model, first, name, folder, options)
    told = watch.result
    seen: Record = {
        "missing_keys": [key for key in getattr(told, "missing_keys", ()) if _of_adapter(key, name)],
        "unexpected_keys": list(getattr(told, "unexpected_keys", ())),
        **watch.seen,
        "warnings": [f"{each.category.__name__}: {each.message}"[:1000] for each in caught],
        **values(loaded, name),
    }
    return loaded, seen


def _of_adapter(key: str, name: str) -> bool:
    """Releases before 0.14 list every parameter of the base as missing too."""
    return belongs(key, name) or "prompt_embeddings" in key


def values(model: Any, name: str) -> Record:
    """Parameters and frozen factors of an adapter that hold no numbers, or only zeros; nothing on meta."""
    import torch

    own = {**dict(model.named_parameters()), **dict(model.named_buffers())}
    mine = {
        key: value.detach()
        for key, value in own.items()
        if belongs(key, name) and not value.is_meta and value.is_floating_point()
    }
    broken: list[str] = []
    for key, value in mine.items():
        fine = torch.isfinite(value) | (torch.isneginf(value) if TOP_K_OUT in key else False)
        if not bool(fine.all()):
            broken.append(key)
    return {"nonfinite": broken, "all_zero": [key for key, value in mine.items() if not bool(value.any())]}


def held_by(folder: str, base: Any) -> Record:
    """What decides findings where a load raises: the file's tensors, their numbers, and the modules of the base.

    Methods that are no change of modules are left out, and files that cannot be read.
    """
    import torch

    with contextlib.suppress(Exception):
        with open(os.path.join(folder, "adapter_config.json"), encoding="utf-8") as stream:
            prompts = "num_virtual_tokens" in json.load(stream)
        tensors = {} if prompts else tensors_in(folder) or {}
        numbers = {key: value for key, value in tensors.items() if value.is_floating_point()}
        return {
            "tensors": sorted(tensors),
            "nonfinite": sorted(key for key, value in numbers.items() if not bool(torch.isfinite(value).all())),
            "all_zero": sorted(key for key, value in numbers.items() if not bool(value.any())),
            "modules": [path for path, _ in base.named_modules() if path],
        }
    return {}
