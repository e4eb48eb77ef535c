"""`BaseTuner.inject_adapter`: which modules get the adapter, in PEFT's order of steps and of errors."""

from __future__ import annotations

from functools import partial

from adaptlint import tables
from adaptlint.bases import Base, Module
from adaptlint.findings import Fact, Fault
from adaptlint.hints import TYPE_CHECKING
from adaptlint.runtimes.peft import experts, extra_modules, parameters, replication
from adaptlint.runtimes.peft.entries import Answers, dead_entries, no_match, no_match_facts
from adaptlint.runtimes.peft.layers import Layers, unsupported
from adaptlint.runtimes.peft.refusal import NotModelled, Refusal, as_python_does
from adaptlint.runtimes.peft.release import PEFT
from adaptlint.runtimes.peft.settings import Settings
from adaptlint.runtimes.peft.targets import (
    EXCLUDED,
    MATCHED,
    UNMATCHED,
    Targets,
    expand_all_linear,
    is_tied_target,
    prepare_targets,
    tie_embeddings,
)
from adaptlint.runtimes.peft.tied import tied_modules
from adaptlint.runtimes.peft.wrapped import Site, Wrapped

if TYPE_CHECKING:
    from adaptlint.runtimes.peft.tuners import Tuner


def inject(wrapped: Wrapped, adapter: str, settings: Settings, others: list[Settings], low_memory: bool) -> list[Fault]:
    """Put one adapter into the model; returns what PEFT only warns about or passes over in silence."""
    base = wrapped.base
    _check_types(settings, others)
    if settings.method.is_prompt:
        from adaptlint.runtimes.peft.method_config import check_types
        from adaptlint.runtimes.peft.prompts import attach

        attach(wrapped, adapter, settings)
        check_types(settings)
        return []
    if settings.method.adapts_attention:
        from adaptlint.runtimes.peft.adaption import adapt_attention

        adapt_attention(wrapped, adapter, settings)
        return []
    if settings.method.mixes_experts:
        from adaptlint.runtimes.peft.xlora import load_experts

        return load_experts(wrapped, adapter, settings)
    if settings.is_lora:
        experts.convert_targets(settings, base)
    _check_against_others(settings, others)
    tie_embeddings(settings, base)
    prepare_targets(settings, base)
    if settings["layer_replication"]:
        replication.replicate_layers(wrapped, settings)
    expand_all_linear(settings, base)
    bias_refusal = _bias_refusal(settings)
    answers = _match_modules(wrapped, adapter, settings, low_memory)
    targeted_parameters: list[str] = []
    if settings["target_parameters"]:
        targeted_parameters = parameters.wrap_parameters(wrapped, adapter, settings)
    if not answers.targeted and not targeted_parameters:
        raise no_match(settings, base, answers)
    notes = dead_entries(settings, base, answers.targeted, targeted_parameters)
    if bias_refusal is not None:
        raise bias_refusal
    extra_modules.wrap_extra_modules(wrapped, adapter, settings)
    return notes


def _bias_refusal(settings: Settings) -> Refusal | None:
    """What `_mark_only_adapters_as_trainable` raises for a bias that is none of its choices."""
    bias = settings["bias"]
    if bias in ("none", "all", settings.method.own_bias):
        return None
    type_name, match = "NotImplementedError", f"Requested bias: {bias}, is not implemented."
    if settings.release.bias_by_ending:
        if not isinstance(bias, str):
            type_name, match = "AttributeError", f"'{type(bias).__name__}' object has no attribute 'endswith'"
        elif bias.endswith("_only"):
            return None
    at = settings.where("bias")
    return Refusal(type_name, match, "config-value-impossible", at=at, facts={"field": "bias"})


def _check_types(settings: Settings, others: list[Settings]) -> None:
    """`PeftModel.add_adapter`: all adapters of a model are of one method."""
    if any(other.method.peft_type != settings.method.peft_type for other in others):
        match, at = "Cannot combine adapters with different peft types.", settings.where("peft_type")
        raise Refusal("ValueError", match, "adapters-conflict", at=at, facts={"field": "peft_type"})


def _check_against_others(settings: Settings, others: list[Settings]) -> None:
    """`_check_new_adapter_config`: what two adapters of one model may not both have."""
    for field, refusal in settings.method.must_agree.items():
        if any(other[field] != settings[field] for other in others):
            facts: dict[str, Fact] = {"field": field}
            at = settings.where(field)
            raise Refusal(refusal["type"], refusal["match"], "adapters-conflict", at=at, facts=facts)
    if len({other["kasa_config"] is None for other in (settings, *others)}) > 1:
        match, at = "KaSA cannot be combined with adapters that don't use KaSA", settings.where("kasa_config")
        raise Refusal("ValueError", match, "adapters-conflict", at=at, facts={"field": "kasa_config"})
    biased = sum(s["bias"] != "none" for s in (settings, *others))
    if others and (biased > 1 or (settings["bias"] != "none" and not settings.release.counts_all_biases)):
        match = "Model supports only 1 adapter with bias."
        raise Refusal("ValueError", match, "adapters-conflict", at=settings.where("bias"), facts={"field": "bias"})
    wanted = settings["target_parameters"] if settings.release.checks_parameters_of_others else None
    if wanted:
        at = settings.where("target_parameters")
        as_python_does(lambda: set(wanted), "config-value-impossible", at, "target_parameters")
    for other in others if wanted else ():
        theirs = other["target_parameters"]
        if theirs and set(theirs) != set(wanted or ()):
            match = "When using multiple adapters with `target_parameters`, all adapters must target the same set"
            at = settings.where("target_parameters")
            raise Refusal("ValueError", match, "adapters-conflict", at=at, facts={"field": "target_parameters"})


def _match_modules(wrapped: Wrapped, adapter: str, settings: Settings, low_memory: bool) -> Answers:
    targets = Targets(settings)
    paths = [module.path for module in wrapped.modules]
    targets.prepare(paths)
    for field in ("rank_pattern", "alpha_pattern"):
        if isinstance(settings[field], dict) and settings[field]:
            settings.pattern_keys(field).prepare(paths)
    if settings.release.saved_ends_anywhere and settings["modules_to_save"] is not None:
        extra_modules.save_modules(wrapped, adapter, settings, settings["modules_to_save"])
    answers = {module.path: targets.answer(module.path) for module in wrapped.modules}
    ties = bool(settings.get("target_modules_to_tie"))
    tied = [module for module in wrapped.modules if ties and is_tied_target(settings, module.path)]
    matched = [m for m in wrapped.modules if answers[m.path] == MATCHED and m not in tied]
    layers: Layers | Tuner
    if settings.is_lora:
        layers = Layers(settings, adapter, low_memory)
    else:
        from adaptlint.runtimes.peft.tuners import Tuner

        layers = Tuner(settings, adapter, matched, wrapped.base, partial(no_match_facts, settings, wrapped.base))
    refused = _mamba_names(wrapped.base, settings)
    for module in matched:
        if refused:
            _check_mamba(settings, module, refused, wrapped.base)
        _put(wrapped, layers, module)
    for module in tied:
        _put(wrapped, layers, module)
    if not settings.is_lora and matched:
        _share(wrapped, adapter, layers)
    if settings.method.peft_type == "TRAINABLE_TOKENS":
        _tie_tokens(wrapped, adapter)
    left = [answer for path, answer in answers.items() if not ties or path not in {m.path for m in tied}]
    return Answers([m.path for m in (*matched, *tied)], left.count(EXCLUDED), left.count(UNMATCHED))


def _share(wrapped: Wrapped, adapter: str, layers: Layers | Tuner) -> None:
    """The tensors at the model's root; a further adapter takes over the first one's, which have to fit it."""
    from adaptlint.runtimes.peft.method_config import check_types

    rows = layers.shared()
    sizes = [shape for _, _, shape in rows]
    if any([shape for _, _, shape in others] != sizes for others in wrapped.shared.values()):
        at = layers.settings.where("peft_type")
        raise NotModelled("method-not-modelled", at=at, facts={"value": "a second adapter of other sizes"})
    wrapped.shared[adapter] = rows
    check_types(layers.settings)


def _tie_tokens(wrapped: Wrapped, adapter: str) -> None:
    """`TrainableTokensModel.inject_adapter`: what is tied to the embedding shows the same rows under its own name."""
    base = wrapped.base
    embedding = wrapped.sites.get(base.input_embedding or "")
    if embedding is None or not base.resolved_config.get("tie_word_embeddings"):
        return
    rows = embedding.adapters[adapter]
    for path in tied_modules(base):
        site = wrapped.sites[path] = Site(path, embedding.kind)
        site.adapters[adapter] = rows._replace(aliases=frozenset(saved for _, saved, _ in rows.tensors))


def _put(wrapped: Wrapped, layers: Layers | Tuner, module: Module) -> None:
    settings = layers.settings
    if (wrapped.saved or wrapped.tokens) and (module.path in wrapped.saved or module.path in wrapped.tokens):
        wrapper = "ModulesToSaveWrapper" if module.path in wrapped.saved else "TrainableTokensWrapper"
        raise unsupported(settings, wrapper, module.path)
    if wrapped.saved and any(module.path.startswith(path + ".") for path in wrapped.saved):
        if settings.release.saved_hides_inside:
            leaf = module.path.rpartition(".")[2]
            match, at = f"ModulesToSaveWrapper has no attribute `{leaf}`", settings.where("modules_to_save")
            facts = {"field": "modules_to_save"}
            raise Refusal("AttributeError", match, "config-value-impossible", at=at, module=module.path, facts=facts)
        raise NotModelled("target-inside-saved-module", at=settings.where("target_modules"), module=module.path)
    applied = layers.apply(module)
    if applied is None:
        return
    site = wrapped.sites.get(module.path)
    if site is None:
        site = wrapped.sites[module.path] = Site(module.path, module.kind, infix=layers.settings.method.infix)
    site.adapters[layers.adapter] = applied


def _mamba_names(base: Base, settings: Settings) -> frozenset[str]:
    card = tables.load()[PEFT]["mamba"]
    checked = settings.release.checks_mamba and (settings.is_lora or settings.method.checks_mamba)
    known = checked and base.model_type in card["model_types"]
    return frozenset(card["refused"] if known else ())


def _check_mamba(settings: Settings, module: Module, refused: frozenset[str], base: Base) -> None:
    leaf = module.path.rpartition(".")[2]
    if leaf in refused:
        known = f"[PEFT:{settings.method.peft_type}] Module '{leaf}'"
        match = f"{known} is incompatible with Mamba-based models (model_type='{base.model_type}')"
        at = settings.where("target_modules")
        facts = {"class": module.cls}
        raise Refusal("ValueError", match, "layer-not-supported", at=at, module=module.path, facts=facts)
