"""`add_weighted_adapter`: a new LoRA adapter made of loaded ones (tuners/lora/model.py, by release)."""

from __future__ import annotations

import copy
import math
from collections.abc import Mapping
from functools import partial

from adaptlint.findings import Fact, Fault
from adaptlint.hints import Any
from adaptlint.runtimes.peft.injection import inject
from adaptlint.runtimes.peft.plan import Step
from adaptlint.runtimes.peft.refusal import NotModelled, Refusal, as_python_does
from adaptlint.runtimes.peft.settings import Settings
from adaptlint.runtimes.peft.wrapped import Wrapped

EQUAL_RANKS = ("linear", "ties", "dare_ties", "dare_linear", "magnitude_prune")
SETTINGS = ("density",)


def combine(wrapped: Wrapped, loaded: dict[str, Settings], step: Step) -> list[Fault]:
    """Make the new adapter and return what is silently wrong with it; Refusal where PEFT raises."""
    kind, parts = _asked(step)
    if step.name in loaded:
        facts: dict[str, Fact] = {"name": step.name}
        return [Fault("combination-name-taken", facts=facts, decides=True)]
    for name in parts:
        if name not in loaded:
            raise _refuse(step, f"Adapter {name} does not exist", "plan-names-unknown-adapter", {"name": name})
    chosen = {name: loaded[name] for name in parts}
    if not all(settings.is_lora for settings in chosen.values()) or not wrapped.release.combining_read:
        raise NotModelled("step-not-modelled", facts={"step": f"{step.op} of such adapters, or by this release,"})
    _check_parts(wrapped, chosen, step)
    _check_known(wrapped, chosen, step)
    kind = "linear" if len(chosen) == 1 else kind
    rank = _rank(kind, chosen, step)
    settings = _settings(chosen, step, rank)
    inject(wrapped, step.name, settings, list(loaded.values()), False)
    _check_sites(wrapped, list(chosen), kind, step)
    loaded[step.name] = settings
    faults = [*_signs(wrapped, parts, kind, step), *_outside(wrapped, list(chosen), step)]
    if settings["use_rslora"]:
        facts = {"name": step.name, "factor": round(math.sqrt(rank), 3), "rank": rank}
        at = settings.where("use_rslora")
        faults.append(Fault("combination-scaled", adapter=step.name, at=at, facts=facts, decides=True))
    return faults


def _asked(step: Step) -> tuple[str, dict[str, str]]:
    """The combination type and the weights by adapter."""
    kinds = [name for name, value in step.options if not value]
    parts = {name: value for name, value in step.options if value and name not in SETTINGS}
    return (kinds[0] if kinds else "svd"), parts


def _check_parts(wrapped: Wrapped, chosen: Mapping[str, Settings], step: Step) -> None:
    """`_check_add_weighted_adapter` up to the ranks."""
    for name, settings in chosen.items():
        if settings["target_parameters"]:
            match = f"add_weighted_adapter does not support targeting nn.Parameter (problematic adapter '{name}')"
            raise _refuse(step, match, "combination-impossible", {"name": name})
    if not wrapped.release.combining_checks_saved:
        return
    several = [path for path, owners in wrapped.saved.items() if sum(name in owners for name in chosen) > 1]
    if several:
        match = "Cannot add weighted adapters if they target the same module with modules_to_save, but found "
        raise _refuse(step, f"{match}{len(several)} such instance(s).", "combination-impossible", {"name": several[0]})


def _check_known(wrapped: Wrapped, chosen: Mapping[str, Settings], step: Step) -> None:
    """NotModelled for what older releases carry over from the first adapter."""
    release = wrapped.release
    patterns = any(settings["rank_pattern"] or settings["alpha_pattern"] for settings in chosen.values())
    copied = release.saved_ends_anywhere and not release.combining_checks_saved and bool(wrapped.saved)
    if copied or (patterns and not release.combining_drops_patterns):
        raise NotModelled("step-not-modelled", facts={"step": f"{step.op} of such adapters by this release,"})


def _rank(kind: str, chosen: Mapping[str, Settings], step: Step) -> int:
    """The new adapter's rank by combination type."""
    ranks = [
        as_python_does(partial(_largest, settings), "rank-impossible", settings.where("rank_pattern"), "rank_pattern")
        for settings in chosen.values()
    ]
    ties = next(iter(chosen.values())).release.combining_knows_ties
    if kind in EQUAL_RANKS if ties else kind == "linear":
        if len(set(ranks)) != 1:
            match = "All adapters must have the same r value when using "
            match += "combination_type linear, ties, dare_ties or" if ties else "`linear` combination_type"
            facts: dict[str, Fact] = {"ranks": [str(rank) for rank in ranks], "name": kind}
            raise _refuse(step, match, "combination-impossible", facts)
        return int(ranks[0])
    if kind == "cat":
        return int(sum(ranks))
    if kind == "svd" or (ties and kind.endswith("svd")):
        return int(max(ranks))
    raise _refuse(step, f"Invalid combination_type: {kind}", "combination-impossible", {"name": kind})


def _check_sites(wrapped: Wrapped, chosen: list[str], kind: str, step: Step) -> None:
    """Layers of the new adapter, in order: each needs a part, and where the factors are added parts of one rank."""
    for module in wrapped.modules:
        site = wrapped.sites.get(module.path)
        if site is None or step.name not in site.adapters:
            continue
        ranks = [site.adapters[name].rank for name in chosen if name in site.adapters]
        facts: dict[str, Fact] = {"name": module.path}
        if not ranks and kind in EQUAL_RANKS:
            raise _refuse(step, "list index out of range", "combination-impossible", facts, "IndexError")
        if not ranks:
            raise _refuse(step, "No matching LoRAs found. Please raise an issue on", "combination-impossible", facts)
        if kind in EQUAL_RANKS and len(set(ranks)) > 1:
            match = "stack expects each tensor to be equal size"
            raise _refuse(step, match, "combination-impossible", facts, "RuntimeError")


def _signs(wrapped: Wrapped, parts: Mapping[str, str], kind: str, step: Step) -> list[Fault]:
    """Weights below zero, of which the square root is taken where factors are added."""
    release = wrapped.release
    if kind not in EQUAL_RANKS or not release.combining_knows_ties or release.combining_keeps_signs:
        return []
    for name, weight in parts.items():
        scales = [site.adapters[name].scale for site in wrapped.sites.values() if name in site.adapters]
        if any(_number(weight) * scale < 0 for scale in scales):
            facts: dict[str, Fact] = {"name": name, "weight": weight, "new": step.name}
            if not release.combining_takes_negatives:
                raise _refuse(step, "math domain error", "combination-impossible", facts)
            return [Fault("combination-loses-sign", adapter=name, facts=facts, decides=True)]
    return []


def _number(weight: str) -> float:
    try:
        return float(weight)
    except ValueError:
        return 0.0


def _outside(wrapped: Wrapped, chosen: list[str], step: Step) -> list[Fault]:
    """Layers of a part that the new adapter has not: which layers it has, the first part's config says."""
    for path, site in wrapped.sites.items():
        lost = next((name for name in chosen if name in site.adapters and step.name not in site.adapters), None)
        if lost is not None:
            facts: dict[str, Fact] = {"name": lost, "new": step.name, "what": f"its part at {path}"}
            return [Fault("combination-drops-part", adapter=lost, module=path, facts=facts, decides=True)]
    return []


def _largest(settings: Settings) -> Any:
    patterns = settings["rank_pattern"]
    return max(settings["r"], *patterns.values()) if patterns else settings["r"]


def _settings(chosen: Mapping[str, Settings], step: Step, rank: int) -> Settings:
    """The first adapter's config with the new rank, all targets, and no patterns."""
    first = next(iter(chosen.values()))
    targets = [settings["target_modules"] for settings in chosen.values()]
    if len({isinstance(target, str) for target in targets}) > 1:
        match = "all adapter configs should follow the same target modules type."
        raise _refuse(step, match, "combination-impossible", {"name": "target_modules"})
    merged: Any
    if isinstance(targets[0], str):
        merged = "|".join(f"({target})" for target in targets)
    else:
        merged = {name: None for target in targets for name in target}
    settings = copy.copy(first)
    settings.indexed = {}
    settings.values = {
        **first.values,
        "modules_to_save": first["modules_to_save"] if first.release.combining_checks_saved else None,
        "r": rank,
        "lora_alpha": rank,
        "target_modules": merged,
        "alpha_pattern": {},
        "rank_pattern": {},
    }
    return settings


def _refuse(step: Step, match: str, reason: str, facts: Mapping[str, Fact], type_name: str = "ValueError") -> Refusal:
    return Refusal(type_name, match, reason, facts={"step": f"{step.op} {step.name}", **facts}, stage=step.op)
