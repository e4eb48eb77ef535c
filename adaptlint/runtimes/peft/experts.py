"""Configs from before transformers 5 fused the experts: PEFT renames their targets (`_convert_peft_config_moe`)."""

from __future__ import annotations

import re

from adaptlint import tables
from adaptlint.bases import Base
from adaptlint.hints import Any
from adaptlint.runtimes.peft.refusal import Refusal, as_python_does
from adaptlint.runtimes.peft.release import PEFT
from adaptlint.runtimes.peft.settings import Settings
from adaptlint.runtimes.peft.targets import MATCHED, Targets, expand_all_linear


def convert_targets(settings: Settings, base: Base) -> None:
    """Move expert and router names from target_modules to target_parameters, with doubled rank where two fuse."""
    # PEFT adds the family "mixtral" for mixtral itself, and no other: qwen2_moe's own configs stay as they are.
    family = base.features.get("conversion_family") or ("mixtral" if base.model_type == "mixtral" else "")
    card = tables.load()[PEFT]["moe"].get(family)
    if base.conversion is None or card is None or not settings.release.converts_checkpoints:
        return
    renamed: dict[str, str] = card["renamed"]
    if isinstance(settings["target_modules"], str):
        resolved = _resolve(settings, base, renamed)
        if not resolved:
            return
        settings["target_modules"] = resolved
    targets = as_python_does(
        lambda: dict.fromkeys(settings["target_modules"] or ()),
        "config-value-impossible",
        settings.where("target_modules"),
        "target_modules",
    )
    for field in ("rank_pattern", "alpha_pattern"):
        settings[field] = dict(settings[field] or {})
    parameters: dict[str, None] = dict.fromkeys(settings["target_parameters"] or ())
    remaining: dict[Any, None] = {}
    seen: dict[str, set[str]] = {new: set() for new in card["fused"]}
    for target in targets:
        old = next((name for name in renamed if target == name or target.endswith(f".{name}")), None)
        if old is None:
            remaining[target] = None
            continue
        parameters[renamed[old]] = None
        seen.setdefault(renamed[old], set()).add(old)
    for new, needed in card["fused"].items():
        _fuse(settings, new, needed, seen[new])
    settings["target_parameters"] = parameters
    settings["target_modules"] = remaining


def _fuse(settings: Settings, new: str, needed: list[str], present: set[str]) -> None:
    if 0 < len(present) < len(needed):
        missing = ", ".join(sorted(set(needed) - present))
        match = (
            f"Cannot convert PEFT target(s) {', '.join(sorted(present))} without also targeting {missing} because they "
            f"are fused into {new}."
        )
        at = settings.where("target_modules")
        raise Refusal("ValueError", match, "fused-experts-half-targeted", at=at, facts={"missing": missing})
    if len(present) == len(needed) > 1:
        pattern = rf".*\.{re.escape(new)}"
        settings["rank_pattern"][pattern] = settings["r"] * len(needed)
        settings["alpha_pattern"][pattern] = settings["lora_alpha"] * len(needed)


def _resolve(settings: Settings, base: Base, renamed: dict[str, str]) -> dict[str, None]:
    """`_resolve_string_target_modules`: a regex or "all-linear" as the leaf names it stood for before the fusion."""
    if settings["target_modules"].lower() == "all-linear":
        before = settings["target_modules"]
        expand_all_linear(settings, base)
        names = [path.rpartition(".")[2] for path in settings["target_modules"]]
        settings["target_modules"] = before
        return dict.fromkeys([*names, *renamed])
    targets = Targets(settings)
    keys = [m.path for m in base.modules]
    parameter_keys = [f"{m.path}.{name}" for m in base.modules for name in m.params]
    matched = {key.rpartition(".")[2] for key in (*keys, *parameter_keys) if targets.answer(key) == MATCHED}
    containers: dict[str, set[str]] = {}
    for key in parameter_keys:
        container, _, leaf = key.rpartition(".")
        containers.setdefault(leaf, set()).add(container)
    for old, new in renamed.items():
        if any(targets.answer(f"{container}.{old}") == MATCHED for container in containers.get(new, ())):
            matched.add(old)
    return dict.fromkeys(sorted(matched))
