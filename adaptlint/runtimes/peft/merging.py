"""`merge_and_unload`: an adapter becomes part of the base's own weights (PEFT 0.21.2, `merge` of tuners/*/layer.py)."""

from __future__ import annotations

import math
from collections.abc import Iterator

from adaptlint.bases import Module
from adaptlint.findings import Fact, Fault, Where
from adaptlint.runtimes.peft.layers import CONVOLUTIONS
from adaptlint.runtimes.peft.plan import Step
from adaptlint.runtimes.peft.refusal import NotModelled, Refusal
from adaptlint.runtimes.peft.settings import Settings
from adaptlint.runtimes.peft.wrapped import Wrapped


def merge(wrapped: Wrapped, name: str, settings: Settings, step: Step) -> list[Fault]:
    """What the merged model computes otherwise than the adapted one; Refusal where PEFT raises."""
    if not wrapped.release.variants_read:
        raise NotModelled("release-not-modelled", facts={"problem": f"step {step.op} of this release"})
    _check_method(wrapped, settings, step)
    quantised = wrapped.base.config.get("quantization_config")
    if quantised:
        kind = quantised.get("quant_method") if isinstance(quantised, dict) else None
        if kind == "gptq" and settings.method.peft_type in ("LORA", "OFT"):
            match = f"Cannot merge {settings.method.peft_type} layers when the model is gptq quantized"
            raise _refuse(step, "ValueError", match, settings.where("peft_type"))
        raise NotModelled("step-not-modelled", facts={"step": f"{step.op} into weights quantised by {kind}"})
    adapted = [wrapped.by_path[path] for path, site in wrapped.sites.items() if name in site.adapters]
    for module in adapted:
        _check_layer(module, settings, step)
    return [*_tied(wrapped, adapted, settings), *_replicated(settings), *_convolved(adapted, settings)]


def _check_method(wrapped: Wrapped, settings: Settings, step: Step) -> None:
    method, at = settings.method, settings.where("peft_type")
    if method.is_prompt or method.adapts_attention:
        match = f"'{wrapped.base.model_class}' object has no attribute 'merge_and_unload'"
        raise _refuse(step, "AttributeError", match, at)
    if method.merging:
        raise _refuse(step, method.merging["type"], method.merging["match"], at)
    if method.mixes_experts:
        raise NotModelled("step-not-modelled", facts={"step": f"{step.op} of such an adapter"})
    if settings["alora_invocation_tokens"] is not None:
        field = "alora_invocation_tokens"
        raise _refuse(step, "NotImplementedError", "aLoRA does not support merging.", settings.where(field))


def _check_layer(module: Module, settings: Settings, step: Step) -> None:
    """What single layers refuse."""
    at = settings.where("target_modules")
    if settings.is_lora and module.kind in CONVOLUTIONS and module.attrs.get("groups", 1) != 1:
        match = "Merging is not supported for _ConvNd layers with groups > 1!"
        raise _refuse(step, "NotImplementedError", match, at, module.path)
    lacks_bias = "bias" not in module.params
    if settings.is_lora and settings["lora_bias"] and lacks_bias:
        match = "Impossible to merge LoRA with `lora_bias=True` because the base layer has no bias."
        raise _refuse(step, "RuntimeError", match, settings.where("lora_bias"), module.path)
    if settings.method.peft_type == "BEFT" and lacks_bias:
        match = "Base layer has no bias, cannot merge bias adapter"
        raise _refuse(step, "ValueError", match, at, module.path)


def _tied(wrapped: Wrapped, adapted: list[Module], settings: Settings) -> Iterator[Fault]:
    """Weights that are one tensor in the base: what is added for one module is added for the other."""
    ties = [(first.rpartition("."), other.rpartition(".")) for first, other in wrapped.base.ties]
    for module in adapted:
        if settings.method.peft_type == "TRAINABLE_TOKENS":
            continue  # both show the same rows, before and after
        for (first, _, leaf), (second, _, _) in ties:
            if leaf == "weight" and module.path in (first, second):
                other = second if module.path == first else first
                facts: dict[str, Fact] = {"other": other}
                at = settings.where("target_modules")
                yield Fault("merge-into-tied-weights", module=module.path, at=at, facts=facts, decides=True)
                break


def _replicated(settings: Settings) -> Iterator[Fault]:
    """Replicated layers share the base's weights, and each copy adds its own update to them."""
    if settings["layer_replication"]:
        facts: dict[str, Fact] = {"field": "layer_replication"}
        at = settings.where("layer_replication")
        yield Fault("merge-into-replicated-layers", at=at, facts=facts, decides=True)


def _convolved(adapted: list[Module], settings: Settings) -> Iterator[Fault]:
    """OFT rotates the patches that a convolution sees, and the merge rotates the kernel in another order."""
    for module in adapted if settings.method.peft_type == "OFT" else ():
        if module.kind in CONVOLUTIONS and math.prod(module.params["weight"][2:]) > 1:
            facts: dict[str, Fact] = {"kernel": list(module.params["weight"][2:])}
            at = settings.where("target_modules")
            yield Fault("merge-of-convolution", module=module.path, at=at, facts=facts, decides=True)


def _refuse(step: Step, type_name: str, match: str, at: Where, module: str = "") -> Refusal:
    facts: dict[str, Fact] = {"step": step.op}
    return Refusal(type_name, match, "merge-impossible", at=at, module=module, facts=facts, stage=step.op)
