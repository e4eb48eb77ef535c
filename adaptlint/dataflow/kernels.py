"""Attention kernels that need not be installed: functions that make the result's shape and record one operation.

What a kernel demands of its operands is in operations (`attn_flash`, `attn_flex`); here they are only put where
transformers looks them up. Source: transformers 5.23, modeling_utils.py (AttentionInterface) and masking_utils.py.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from adaptlint.dataflow.trace import Recorder

# backend -> (what a class says that supports it, the operation that stands for the kernel)
KERNELS = {
    "flash_attention_2": ("_supports_flash_attn", "attn_flash"),
    "flex_attention": ("_supports_flex_attn", "attn_flex"),
}
BUILT_AS = "eager"  # a class that is built for a kernel asks whether it is installed


def supports(model_class: Any, backend: str) -> bool:
    """What the class says of itself; eager attention is everybody's."""
    flag = {name: flag for name, (flag, _) in KERNELS.items()} | {"sdpa": "_supports_sdpa"}
    return bool(getattr(model_class, flag[backend], False)) if backend in flag else True


@contextmanager
def standing_in(torch: Any, recorder: Recorder, model: Any, backend: str) -> Iterator[None]:
    """Let the model's forward take the kernel's place-holder; nothing to do for eager and sdpa."""
    if backend not in KERNELS:
        yield
        return
    from transformers import masking_utils, modeling_utils

    operation = KERNELS[backend][1]

    def attend(module: Any, query: Any, key: Any, value: Any, attention_mask: Any = None, *_: Any, **__: Any) -> Any:
        mask = attention_mask if isinstance(attention_mask, torch.Tensor) else None
        with torch._C.DisableTorchFunction():
            batch, heads, length, width = query.shape[0], query.shape[1], query.shape[2], value.shape[-1]
            result = torch.empty((batch, length, heads, width), dtype=query.dtype, device="meta")
            recorder.add(operation, [query, key, value, mask], {}, result)
        return result, None

    attention = modeling_utils.AttentionInterface._global_mapping
    masks = masking_utils.AttentionMaskInterface._global_mapping
    before = attention[backend], masks[backend], model.config._attn_implementation
    attention[backend] = attend
    if backend == "flex_attention":
        masks[backend] = lambda *args, **kwargs: None
    model.config._attn_implementation = backend
    try:
        yield
    finally:
        attention[backend], masks[backend], model.config._attn_implementation = before
