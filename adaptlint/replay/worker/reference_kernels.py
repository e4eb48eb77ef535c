"""A reference in the place of flash-attn's kernels, for a machine that has neither the package nor a GPU.

It computes what the package documents, so that everything around the kernel is run as it is: masks, padding, shapes,
adapters. The record has "reference" for the release of flash_attn; what is seen so confirms, and never refutes. It
takes every floating type, where the kernels take float16 and bfloat16 alone.

Source of the contract: flash-attn 2.6, flash_attn_interface.py (`flash_attn_func`, `flash_attn_varlen_func`: axes,
masks aligned to the bottom right, windows, rows without keys are zero), csrc/flash_attn/flash_api.cpp (what is
refused), bert_padding.py (`unpad_input`, `pad_input`, `index_first_axis`).
"""

from __future__ import annotations

import sys
from importlib.machinery import ModuleSpec
from importlib.util import find_spec
from types import ModuleType
from typing import Any

FLASH, PACKAGE, REFERENCE = "flash_attention_2", "flash_attn", "reference"
WIDEST = 256  # features of a head
Shape = tuple[int, ...]


def stand_in(job: dict[str, Any]) -> None:
    """Put the reference where the job asks for flash attention that this machine has not; torch is imported already.

    Before the models' files are: many import the kernels only where they are installed.
    """
    asked = job["conditions"].get("attn") == FLASH and job["device"] in ("cpu", "meta")
    if not asked or PACKAGE in sys.modules or find_spec(PACKAGE) is not None:
        return
    package, padding = ModuleType(PACKAGE), ModuleType(f"{PACKAGE}.bert_padding")
    for module in (package, padding):
        module.__spec__ = ModuleSpec(module.__name__, None)
    kernels = (flash_attn_func, flash_attn_varlen_func, flash_attn_with_kvcache)
    vars(package).update({each.__name__: each for each in kernels}, __version__=REFERENCE, bert_padding=padding)
    vars(padding).update(unpad_input=unpad_input, pad_input=pad_input, index_first_axis=index_first_axis)
    sys.modules[PACKAGE], sys.modules[f"{PACKAGE}.bert_padding"] = package, padding
    _taken_for_installed()


def _taken_for_installed() -> None:
    """transformers asks for CUDA and for the package's metadata as well; wherever it is imported to, it is told yes."""
    import transformers.utils.import_utils

    names = [name for name in vars(transformers.utils.import_utils) if name.startswith("is_flash_attn_")]
    told = [name for name in names if name == "is_flash_attn_2_available" or "greater_or_equal" in name]
    for module in [each for key, each in sys.modules.items() if key.partition(".")[0] in ("transformers", "adapters")]:
        for name in told:
            if name in vars(module):
                setattr(module, name, yes)
        versions = vars(module).get("FLASH_ATTENTION_COMPATIBILITY_MATRIX")
        if versions is not None:
            versions[2] = {**versions[2], "general_availability_check": yes}


def yes(*_: Any, **__: Any) -> bool:
    """It is there, and new enough."""
    return True


def flash_attn_func(
    q: Any, k: Any, v: Any, dropout_p: float = 0.0, softmax_scale: Any = None, causal: bool = False,
    window_size: Any = (-1, -1), softcap: float = 0.0, alibi_slopes: Any = None, deterministic: bool = False,
    return_attn_probs: bool = False,
) -> Any:  # fmt: skip
    """Batches of texts of one length: q [batch, positions, heads, features], k and v the same with their own heads."""
    import torch

    batch, _, heads, features = q.shape
    kept = (batch, k.shape[1], k.shape[2], features)
    _refuse(heads, k.shape[2], features)
    for name, value in (("k", k), ("v", v)):
        _same(name, value, kept, "batch_size, seqlen_k, num_heads_k, head_size_og")
    settings = (softmax_scale, causal, window_size, softcap)
    return torch.stack([attended(*each, *settings) for each in zip(q, k, v)])


def flash_attn_varlen_func(
    q: Any, k: Any, v: Any, cu_seqlens_q: Any, cu_seqlens_k: Any, max_seqlen_q: int, max_seqlen_k: int,
    dropout_p: float = 0.0, softmax_scale: Any = None, causal: bool = False, window_size: Any = (-1, -1),
    softcap: float = 0.0, alibi_slopes: Any = None, deterministic: bool = False, return_attn_probs: bool = False,
    block_table: Any = None,
) -> Any:  # fmt: skip
    """Texts one behind the other: q [positions, heads, features]; `cu_seqlens` say where each begins."""
    import torch

    _, heads, features = q.shape
    _refuse(heads, k.shape[1], features)
    for name, value in (("k", k), ("v", v)):
        _same(name, value, (k.shape[0], k.shape[1], features), "total_k, num_heads_k, head_size_og")
    _same("cu_seqlens_k", cu_seqlens_k, tuple(cu_seqlens_q.shape), "batch_size + 1")
    settings = (softmax_scale, causal, window_size, softcap)
    found = torch.zeros_like(q)
    ends = zip(cu_seqlens_q.tolist(), cu_seqlens_q.tolist()[1:], cu_seqlens_k.tolist(), cu_seqlens_k.tolist()[1:])
    for start, end, first, last in ends:
        found[start:end] = attended(q[start:end], k[first:last], v[first:last], *settings)
    return found


def flash_attn_with_kvcache(q: Any, k_cache: Any, v_cache: Any, causal: bool = False, **_: Any) -> Any:
    """Only transformers' continuous batching calls it, which no replay does."""
    raise NotImplementedError("the reference has no paged cache")


def attended(q: Any, k: Any, v: Any, scale: Any, causal: bool, window: Any, softcap: float) -> Any:
    """One text: softmax(q k^T) v for each head, masked from the bottom right corner; a row without keys is zero."""
    import torch

    rows, heads, features = q.shape
    times = heads // k.shape[1]
    k, v = (each.repeat_interleave(times, 1).float() for each in (k, v))
    scores = torch.einsum("qhd,khd->hqk", q.float(), k) * (features**-0.5 if scale is None else scale)
    if softcap:
        scores = softcap * torch.tanh(scores / softcap)
    left, right = (window[0], 0) if causal else window
    place = torch.arange(rows, device=q.device)[:, None] + len(k) - rows
    key = torch.arange(len(k), device=q.device)[None]
    seen = torch.ones(rows, len(k), dtype=torch.bool, device=q.device)
    seen &= key <= place + right if right >= 0 else True
    seen &= key >= place - left if left >= 0 else True
    weights = scores.masked_fill(~seen, float("-inf")).softmax(-1).nan_to_num(0.0)
    return torch.einsum("hqk,khd->qhd", weights, v).to(q.dtype)


def _refuse(heads: int, key_heads: int, features: int) -> None:
    if features > WIDEST:
        raise RuntimeError("FlashAttention forward only supports head dimension at most 256")
    if not key_heads or heads % key_heads:
        raise RuntimeError("Number of heads in key/value must divide number of heads in query")


def _same(name: str, value: Any, shape: Shape, written: str) -> None:
    if tuple(value.shape) != shape:
        raise RuntimeError(f"{name} must have shape ({written})")


def index_first_axis(values: Any, indices: Any) -> Any:
    """Rows by their numbers."""
    return values[indices]


def unpad_input(hidden_states: Any, attention_mask: Any) -> Any:
    """What the mask leaves, one text behind the other: tokens, their numbers, where texts begin, the longest."""
    import torch

    lengths = attention_mask.sum(dim=-1, dtype=torch.int32)
    indices = torch.nonzero(attention_mask.flatten(), as_tuple=False).flatten()
    starts = torch.nn.functional.pad(torch.cumsum(lengths, 0, dtype=torch.int32), (1, 0))
    return hidden_states.flatten(0, 1)[indices], indices, starts, int(lengths.max())


def pad_input(hidden_states: Any, indices: Any, batch: int, seqlen: int) -> Any:
    """Texts side by side again, zero where nothing was."""
    made = hidden_states.new_zeros(batch * seqlen, *hidden_states.shape[1:])
    made[indices] = hidden_states
    return made.unflatten(0, (batch, seqlen))
