"""Adaption prompts: the top attention modules are wrapped, by the base's model type (adaption_prompt)."""

from __future__ import annotations

from collections.abc import Iterator

from adaptlint.bases import Module
from adaptlint.findings import Fact
from adaptlint.hints import Any
from adaptlint.runtimes.peft.refusal import NotModelled, Refusal, as_python_does
from adaptlint.runtimes.peft.settings import Settings
from adaptlint.runtimes.peft.wrapped import Applied, Site, Wrapped

# model type: (the attention module's name, a child that the wrapper asks for). Source: TRANSFORMERS_MODEL_CONFIG.
ATTENTION = {"llama": ("self_attn", "q_proj"), "mistral": ("self_attn", "q_proj"), "gpt2": ("attn", "c_proj")}
SEEN = ((4, 35), (4, 40))  # releases of transformers with which adaption prompts before 0.10 were run
SINCE = {"mistral": "0.10.0", "gpt2": "0.17.0"}


def adapt_attention(wrapped: Wrapped, adapter: str, settings: Settings) -> None:
    """`AdaptionPromptModel.add_adapter`: Refusal where it raises."""
    base = wrapped.base
    model_type = base.model_type or ""
    if model_type not in ATTENTION or not wrapped.release.reached(SINCE.get(model_type, "0")):
        match = f"Unsupported model type for adaption prompt: '{base.model_type}'."
        facts: dict[str, Fact] = {"model_type": base.model_type}
        raise Refusal("ValueError", match, "targets-unspecified", at=settings.where("target_modules"), facts=facts)
    _check_seen(wrapped, settings)
    target, child = ATTENTION[model_type]
    target = target if settings["target_modules"] is None else settings["target_modules"]
    parents = _parents(wrapped, settings, target)
    wanted, at = settings["adapter_layers"], settings.where("adapter_layers")
    few = as_python_does(lambda: len(parents) < wanted, "config-value-impossible", at, "adapter_layers")
    if few:
        match = f"Config specifies more adapter layers '{wanted}' than the model has '{len(parents)}'."
        raise Refusal("ValueError", match, "config-value-impossible", at=at, facts={"field": "adapter_layers"})
    size, width = settings["adapter_len"], base.resolved_config.get("hidden_size", base.resolved_config.get("n_embd"))
    for module in parents[-wanted:]:
        if f"{module.path}.{child}" not in wrapped.by_path:
            match, field = f"'{module.cls}' object has no attribute '{child}'", "target_modules"
            facts = {"field": field}
            at = settings.where(field)
            raise Refusal("AttributeError", match, "config-value-impossible", at=at, module=module.path, facts=facts)
        if type(size) is not int:
            match, at = "empty(): argument 'size'", settings.where("adapter_len")
            raise Refusal("TypeError", match, "config-value-impossible", at=at, facts={"field": "adapter_len"})
        if not isinstance(width, int) or size < 0:
            raise NotModelled("method-not-modelled", at=at, facts={"value": "adaption prompts of such a size"})
        known = wrapped.sites.get(module.path)
        site = wrapped.sites[module.path] = known or Site(module.path, module.kind, infix=settings.method.infix)
        shapes = {"adaption_prompt": (1, size, width), "adaption_gate": (1,)}
        site.adapters[adapter] = Applied(0, 1.0, tuple((name, name, shape) for name, shape in shapes.items()))


def forward_faults(wrapped: Wrapped, settings: Settings) -> Iterator[Refusal]:
    """AdaptedAttention's forward before 0.10, which is written for the Llama of its day (adaption_prompt/utils.py)."""
    release, config = wrapped.release, wrapped.base.resolved_config
    if release.adaption_follows_base:
        return
    heads, shared = config.get("num_attention_heads"), config.get("num_key_value_heads")
    at, cause = settings.where("peft_type"), "its adaption prompt is written for another attention than this base's"
    facts: dict[str, Fact] = {"class": wrapped.base.model_class, "cause": cause}
    type_name, match = "IndexError", "tuple index out of range"
    if shared is not None and shared != heads:
        type_name, match = "RuntimeError", " is invalid for input of size "
    elif release.adaption_knows_caches:
        if release.transformers < (4, 40):
            return
        type_name, match = "TypeError", "LlamaRotaryEmbedding.forward() got an unexpected keyword argument 'seq_len'"
    yield Refusal(type_name, match, "library-forward-fault", at=at, facts=facts, stage="forward")


def _check_seen(wrapped: Wrapped, settings: Settings) -> None:
    """NotModelled where no forward was run: releases before 0.10 depend on the inside of a base's attention."""
    release = wrapped.release
    if not release.adaption_follows_base and release.transformers[:2] not in SEEN:
        at = settings.where("peft_type")
        raise NotModelled("method-not-modelled", at=at, facts={"value": "adaption prompts with this transformers"})


def _parents(wrapped: Wrapped, settings: Settings, target: Any) -> list[Module]:
    """The modules that the target names; before 0.17 by any ending, and Python refuses what is no text."""
    if wrapped.release.attention_after_a_dot:
        return [module for module in wrapped.modules if module.path.endswith(f".{target}")]
    at, modules = settings.where("target_modules"), wrapped.modules
    target = list(target) if isinstance(target, dict) else target  # the class makes no set of it

    def ending() -> list[Module]:
        return [module for module in modules if module.path.endswith(target)]

    return as_python_does(ending, "config-value-impossible", at, "target_modules")
