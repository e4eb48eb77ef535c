"""A model in memory whose gradient checkpointing keeps gradients from its adapters.

torch's reentrant checkpoint records a block only if an input of it requires gradients (torch 2.13,
utils/checkpoint.py, `CheckpointFunction`). With a frozen base the embeddings' output does not, unless
`enable_input_require_grads` was called. PEFT calls it where checkpointing is on when it wraps the model (PEFT 0.21.2,
peft_model.py, `_prepare_model_for_gradient_checkpointing`); where it is turned on later, transformers does for models
that are given words (5.23, modeling_utils.py, `_activation_checkpointing_enable`), and older releases for none.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from adaptlint.findings import Fact, Fault
from adaptlint.hints import Any

HOOKS = ("_require_grads_hook", "_require_grads_hooks")
"""What transformers keeps of `enable_input_require_grads`, older and newer releases."""


def out_of_reach(model: Any, adapter: str, paths: Sequence[str]) -> Iterator[Fault]:
    """An adapter all of whose layers, at `paths`, lie in blocks that are recorded for no gradient."""
    if not getattr(model, "training", False) or not paths:
        return
    blocks = [f"{path}." for path, module in model.named_modules() if _is_reentrant(module)]
    inside = [path for path in paths if path.startswith(tuple(blocks))]
    if blocks and len(inside) == len(paths) and not _is_fed(model, tuple(blocks)):
        facts: dict[str, Fact] = {"layers": len(paths), "blocks": len(blocks), "first": blocks[0].rstrip(".")}
        yield Fault("live-checkpoint-without-input-gradients", adapter, facts=facts, target="peft")


def _is_reentrant(module: Any) -> bool:
    keywords = getattr(getattr(module, "_gradient_checkpointing_func", None), "keywords", None) or {}
    return getattr(module, "gradient_checkpointing", False) is True and keywords.get("use_reentrant") is True


def _is_fed(model: Any, blocks: tuple[str, ...]) -> bool:
    """Whether a gradient may reach the blocks' inputs: a hook, or a trainable parameter in front of them."""
    if any(getattr(module, hook, None) for module in model.modules() for hook in HOOKS):
        return True
    embeddings = model.get_input_embeddings() if hasattr(model, "get_input_embeddings") else None
    if embeddings is None or embeddings._forward_hooks or embeddings._forward_pre_hooks:
        return True
    head = model.get_output_embeddings() if hasattr(model, "get_output_embeddings") else None
    behind = {id(parameter) for parameter in head.parameters()} if head is not None else set()
    return any(
        parameter.requires_grad and id(parameter) not in behind
        for path, parameter in model.named_parameters()
        if not path.startswith(blocks)
    )
