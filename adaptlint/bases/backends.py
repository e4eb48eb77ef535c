"""Which attention backends a built model can be loaded with, as its classes answer."""

from __future__ import annotations

from adaptlint.hints import Any

# backend -> the class attributes that say it is supported; transformers before 4.56 spelt flash attention's otherwise
FLAGS = {
    "sdpa": ("_supports_sdpa",),
    "flash_attention_2": ("_supports_flash_attn", "_supports_flash_attn_2"),
    "flex_attention": ("_supports_flex_attn",),
}
POOLS_LAST = "will not detect padding tokens in `inputs_embeds`"
"""What a head that looks for the last token of each text logs where it gets embeddings, and takes the last of all."""


def attention_features(pretrained: type, model: Any) -> dict[str, Any]:
    """`attention` and what goes with it (see record.py); `pretrained` is transformers' PreTrainedModel.

    A backend is asked of the model and of every part that is a model of its own, in the order in which they are built
    (PreTrainedModel.__init__ of transformers 5.23): the first that does not support it is the one that raises.
    """
    parts = [module for module in model.modules() if isinstance(module, pretrained)]
    refusing: dict[str, str] = {}
    for backend, flags in FLAGS.items():
        part = next((p for p in parts if not any(getattr(p, flag, False) for flag in flags)), None)
        if part is not None:
            refusing[backend] = type(part).__name__
    features: dict[str, Any] = {"attention": ["eager", *(name for name in FLAGS if name not in refusing)]}
    others = {name: part for name, part in refusing.items() if part != type(model).__name__}
    if others:
        features["attention_refused_by"] = others
    kernels = next((own for p in parts if (own := getattr(p, "_compatible_flash_implementations", None))), None)
    if kernels:
        features["flash_kernels"] = [str(kernel) for kernel in kernels]
    if _pools_last(model):
        features["pools_last_token"] = True
    return features


def _pools_last(model: Any) -> bool:
    """True for classifiers that read off at each text's last token; transformers has no flag for it."""
    import inspect

    try:
        return POOLS_LAST in inspect.getsource(type(model).forward)
    except (OSError, TypeError):  # no source: compiled away, or made in an interpreter
        return False
