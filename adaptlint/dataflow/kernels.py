"""Attention kernels that need not be installed: functions that make the result's shape and record one operation.

Only the innermost call is replaced, so that what transformers does before and after it is the release's own; what the
kernel itself demands is in operations (`flash_attention`, `flex_attention`). Sources: transformers 5.23,
integrations/flash_attention.py, integrations/flex_attention.py and masking_utils.py; for classes with an attention of
their own transformers 4.40 to 4.51, modeling_gptj.py (`_flash_attention_forward`, a method until 4.42).
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from importlib import import_module

from adaptlint.dataflow.shims import as_built, put, sets_in_order, without_autocast, without_checks, without_vmap
from adaptlint.dataflow.trace import Recorder
from adaptlint.hints import Any

MODELS = ("transformers.models.", "adapters.models.")  # where the code of models lies
FLASH, FLEX = "flash_attention_2", "flex_attention"
WINDOW = "_flash_supports_window_size"
# what a class says that supports the backend; the second word is that of transformers 4
FLAGS = {
    "sdpa": ("_supports_sdpa",),
    FLASH: ("_supports_flash_attn", "_supports_flash_attn_2"),
    FLEX: ("_supports_flex_attn",),
}


def supports(model_class: Any, backend: str) -> bool:
    """What the class says of itself; eager attention is everybody's."""
    return backend not in FLAGS or any(getattr(model_class, flag, False) for flag in FLAGS[backend])


@contextmanager
def taken_for_installed(backend: str) -> Iterator[None]:
    """Let a class be built for flash attention where the package is not there; its own refusals stay."""
    if backend != FLASH:
        yield
        return
    from transformers import modeling_utils

    with ExitStack() as stack:
        for name in ("is_flash_attn_2_available", "lazy_import_flash_attention"):
            if hasattr(modeling_utils, name):
                stack.enter_context(put(modeling_utils, name, lambda *_, **__: True))
        versions = getattr(modeling_utils, "FLASH_ATTENTION_COMPATIBILITY_MATRIX", None)
        if versions is not None:
            before = versions[2]
            versions[2] = {**before, "general_availability_check": lambda: True}
            stack.callback(versions.__setitem__, 2, before)
        yield


@contextmanager
def standing_in(torch: Any, recorder: Recorder, model: Any, backend: str) -> Iterator[None]:
    """Let the model's forward take the kernel's place-holder; for every backend what meta tensors need."""
    with ExitStack() as stack:
        stack.enter_context(without_autocast(torch))
        stack.enter_context(as_built(model))
        stack.enter_context(without_checks(recorder, _files(model)))
        stack.enter_context(sets_in_order(_files(model)))
        stack.enter_context(without_vmap(_imported("transformers.masking_utils")))
        if backend == FLASH:
            _put_flash(stack, torch, recorder, model)
        if backend == FLEX:
            _put_flex(stack, torch, recorder)
        yield


def _put_flash(stack: ExitStack, torch: Any, recorder: Recorder, model: Any) -> None:
    """In the integration, in every modeling file (some import it only where it is installed), as a method."""

    def attend(query: Any, key: Any, value: Any, attention_mask: Any, query_length: Any, *_: Any, **__: Any) -> Any:
        with torch._C.DisableTorchFunction():
            shape = (query.shape[0], int(query_length), query.shape[2], query.shape[3])
            result = torch.empty(shape, dtype=query.dtype, device="meta")
            recorder.add("flash_attention", [query, key, value, attention_mask, query_length], {}, result)
        return result

    name = "_flash_attention_forward"
    for file in (*_files(model), _imported("transformers.integrations.flash_attention")):
        if file is not None:
            stack.enter_context(put(file, name, attend))
            if not hasattr(file, WINDOW):  # transformers 4.40 asks for it where flash-attn 2.3 is there
                stack.enter_context(put(file, WINDOW, True))
    for kind in {type(module) for module in model.modules()}:
        if name in vars(kind):
            stack.enter_context(put(kind, name, lambda _, *args, **kwargs: attend(*args, **kwargs)))


def _put_flex(stack: ExitStack, torch: Any, recorder: Recorder) -> None:
    """The kernel, and what makes block masks, wherever transformers has imported them."""
    for file in ("transformers.masking_utils", "transformers.integrations.flex_attention"):
        for name in ("create_block_mask", "create_block_causal_mask_flex"):
            if hasattr(_imported(file), name):
                stack.enter_context(put(_imported(file), name, _block_masks(torch)))
    integration = _imported("transformers.integrations.flex_attention")
    name = "compile_friendly_flex_attention"
    new = _flex_attention(torch, recorder)
    stack.enter_context(put(integration, name if hasattr(integration, name) else "flex_attention", new))


def _block_masks(torch: Any) -> Any:
    """In the place of `create_block_mask`: a block mask that keeps the mask itself and has no blocks."""
    from torch.nn.attention.flex_attention import BlockMask

    class Whole(BlockMask):  # type: ignore[misc]
        """The mask has the axes batch, heads, queries, keys."""

        def __init__(self, mask: Any) -> None:
            self.mask = mask

        @property
        def shape(self) -> Any:
            """That of the mask, as a block mask has it."""
            return self.mask.shape

        def to(self, *_: Any, **__: Any) -> Any:
            """Everything is on the meta device."""
            return self

    def create(mask_mod: Any, B: Any, H: Any, Q_LEN: Any, KV_LEN: Any, *_: Any, **__: Any) -> Any:  # noqa: N803
        # torch asks the function for each place in turn; here once, with an axis for each kind of index
        batch, head, row, column = (torch.arange(size or 1, device="meta") for size in (B, H, Q_LEN, KV_LEN))
        places = (batch[:, None, None, None], head[None, :, None, None], row[:, None], column[None, :])
        return Whole(mask_mod(*places).expand(B or 1, H or 1, Q_LEN, KV_LEN))

    return create


def _flex_attention(torch: Any, recorder: Recorder) -> Any:
    """In the place of the kernel: the result, and the sums of its scores where they are asked for."""

    def attend(query: Any, key: Any, value: Any, *_: Any, **options: Any) -> Any:
        given = options.get("block_mask")
        with torch._C.DisableTorchFunction():
            result = torch.empty((*query.shape[:3], value.shape[3]), dtype=query.dtype, device="meta")
            sums = torch.empty(query.shape[:3], dtype=torch.float32, device="meta")
            mask, named = given and given.mask, {"enable_gqa": bool(options.get("enable_gqa"))}
            recorder.add("flex_attention", [query, key, value, mask], named, (result, sums))
        last = (size - 1 for size in (*query.shape[:3], key.shape[2]))
        if options.get("score_mod") is not None:  # which reads tensors of its own at every place up to the last
            options["score_mod"](torch.empty((), device="meta"), *last)
        if options.get("return_aux") is not None:
            from torch.nn.attention.flex_attention import AuxOutput

            return result, AuxOutput(lse=sums)
        return (result, sums) if options.get("return_lse") else result

    return attend


def _files(model: Any) -> list[Any]:
    """The modeling files of a model's parts."""
    names = {type(module).__module__ for module in model.modules()}
    return [sys.modules[name] for name in sorted(names) if name.startswith(MODELS)]


def _imported(file: str) -> Any:
    """A module of transformers; None in a release without it."""
    try:
        return import_module(file)
    except ImportError:
        return None
