"""Adaption prompts: the top attention modules are wrapped, by the base's model type (adaption_prompt)."""

from __future__ import annotations

from typing import Any

from adaptlint.bases import Module
from adaptlint.findings import Fact
from adaptlint.runtimes.peft.refusal import NotModelled, Refusal, as_python_does
from adaptlint.runtimes.peft.settings import Settings
from adaptlint.runtimes.peft.wrapped import Applied, Site, Wrapped

# model type: (the attention module's name, a child that the wrapper asks for). Source: TRANSFORMERS_MODEL_CONFIG.
ATTENTION = {"llama": ("self_attn", "q_proj"), "mistral": ("self_attn", "q_proj"), "gpt2": ("attn", "c_proj")}
SINCE = {"mistral": "0.10.0", "gpt2": "0.17.0"}


def adapt_attention(wrapped: Wrapped, adapter: str, settings: Settings) -> None:
    """`AdaptionPromptModel.add_adapter`: Refusal where it raises."""
    base = wrapped.base
    model_type = base.model_type or ""
    if model_type not in ATTENTION or not wrapped.release.reached(SINCE.get(model_type, "0")):
        match = f"Unsupported model type for adaption prompt: '{base.model_type}'."
        facts: dict[str, Fact] = {"model_type": base.model_type}
        raise Refusal("ValueError", match, "targets-unspecified", at=settings.where("target_modules"), facts=facts)
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


def _parents(wrapped: Wrapped, settings: Settings, target: Any) -> list[Module]:
    """The modules that the target names; before 0.17 by any ending, and Python refuses what is no text."""
    if wrapped.release.attention_after_a_dot:
        return [module for module in wrapped.modules if module.path.endswith(f".{target}")]
    at, modules = settings.where("target_modules"), wrapped.modules

    def ending() -> list[Module]:
        return [module for module in modules if module.path.endswith(target)]

    return as_python_does(ending, "config-value-impossible", at, "target_modules")
