"""LoRA variants of PEFT 0.21 beside DoRA: what they add to a linear layer, and which may be combined (variants.py)."""

from __future__ import annotations

from adaptlint.bases import Module
from adaptlint.hints import Any
from adaptlint.runtimes.peft.refusal import NotModelled, Refusal, as_python_does
from adaptlint.runtimes.peft.settings import Settings
from adaptlint.runtimes.peft.wrapped import Applied

CONFIGS = ("alora_invocation_tokens", "arrow_config", "kasa_config", "monteclora_config", "use_bdlora", "velora_config")
BESIDE_LINEAR = {"Embedding": ("mica", "use_dora")}  # what the other layer classes list as theirs
BLOCKED = "use_bdlora"


class Routed:
    """What `arrow_config` is while `create_arrow_model` makes the router: its experts are known, as in no file."""


def requested(settings: Settings) -> tuple[str, ...]:
    """The variants that the config asks for, sorted as PEFT's registry has them (resolve_lora_variant)."""
    on = [field for field in CONFIGS if settings[field] is not None]
    if settings["use_dora"]:
        on.append("use_dora")
    if settings["init_lora_weights"] == "mica":
        on.append("mica")
    return tuple(sorted(on))


def check_variant(settings: Settings, module: Module) -> None:
    """Refusal for a combination that the layer class does not list, or for an Arrow router from a file."""
    if not settings.release.variants_read:
        return
    on = requested(settings)
    allowed = on if module.kind in ("Linear", "Conv1D") else BESIDE_LINEAR.get(module.kind, ("use_dora",))
    field = next((name for name in on if name != "mica"), "init_lora_weights")
    at, facts = settings.where(field), {"field": field}
    if len(on) > 1 or not set(on) <= set(allowed):
        match = f"Invalid or unsupported variant combination: {on}"
        raise Refusal("ValueError", match, "config-value-impossible", at=at, module=module.path, facts=facts)
    if on == ("arrow_config",) and not isinstance(settings["arrow_config"], Routed):
        # task_adapter_names has init=False: it is never read from a file, and ArrowLoraLinearLayer copies it.
        match = "'NoneType' object has no attribute 'copy'"
        raise Refusal("AttributeError", match, "config-value-impossible", at=at, module=module.path, facts=facts)


def blocks_of(settings: Settings, path: str) -> tuple[bool, bool, int]:
    """BD-LoRA: whether A and B of this module are block-diagonal (names as substrings), and the number of blocks."""
    config: Any = settings[BLOCKED]
    if config is None:
        return False, False, 1

    def named(field: str) -> bool:
        return any(name in path for name in config.get(field) or ())

    at = settings.where(BLOCKED)
    in_a = as_python_does(lambda: named("target_modules_bd_a"), "config-value-impossible", at, BLOCKED)
    in_b = as_python_does(lambda: named("target_modules_bd_b"), "config-value-impossible", at, BLOCKED)
    strict = config.get("match_strict", True)
    if (in_a and in_b) or (strict and not (in_a or in_b)):
        which = "both A and B" if in_a else "neither A nor B"
        match = f"Target {path} matches {which} block-diagonal patterns"
        facts = {"field": BLOCKED}
        raise Refusal("ValueError", match, "config-value-impossible", at=at, module=path, facts=facts)
    return in_a, in_b, config.get("nblocks", 1)


def blocked(settings: Settings, path: str, applied: Applied) -> Applied:
    """The layer's parameters with the inner axis of a block-diagonal factor cut to one block's size."""
    in_a, in_b, blocks = blocks_of(settings, path)
    if not (in_a or in_b) or blocks == 1:
        return applied
    if type(blocks) is not int or blocks < 1:
        raise NotModelled("variant-not-modelled", at=settings.where(BLOCKED), module=path, facts={"field": BLOCKED})
    side = "lora_A." if in_a else "lora_B."
    tensors = []
    for key, saved, shape in applied.tensors:
        if key.startswith(side) and key.endswith(".weight"):
            if shape[1] % blocks:
                facts = {"field": BLOCKED}
                raise NotModelled("variant-not-modelled", at=settings.where(BLOCKED), module=path, facts=facts)
            shape = (shape[0], shape[1] // blocks)
        tensors.append((key, saved, shape))
    return applied._replace(tensors=tuple(tensors))


def extra_sizes(settings: Settings, sizes: dict[str, Any]) -> dict[str, Any]:
    """VeLoRA's group of the input features, the last one padded (_get_group_dim); MonteCLoRA's number of samples."""
    if settings["monteclora_config"] is not None:
        return {"samples": _samples(settings)}
    config: Any = settings["velora_config"]
    if config is None:
        return {}
    groups = config.get("num_groups", 64)
    if type(groups) is not int or groups <= 0:
        raise NotModelled("variant-not-modelled", at=settings.where("velora_config"), facts={"field": "velora_config"})
    return {"group": (sizes["in"] + groups - 1) // groups}


def _samples(settings: Settings) -> int:
    config: Any = settings["monteclora_config"]
    samples = config.get("num_samples", 8) if isinstance(config, dict) else None
    if type(samples) is not int or samples < 0:
        at = settings.where("monteclora_config")
        raise NotModelled("variant-not-modelled", at=at, facts={"field": "monteclora_config"})
    return samples
