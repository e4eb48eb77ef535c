"""`target_parameters`: LoRA on a module's parameter by wrapping the module (PEFT 0.21.2, lora.ParamWrapper)."""

from __future__ import annotations

from adaptlint.bases import Module
from adaptlint.hints import Any
from adaptlint.runtimes.peft.layers import check_rank_and_scale, made, pattern_value
from adaptlint.runtimes.peft.refusal import NotModelled, Refusal, as_python_does
from adaptlint.runtimes.peft.settings import Settings
from adaptlint.runtimes.peft.wrapped import Site, Wrapped

# What ParamWrapper refuses, in its order: (config field, text).
REFUSED_WITH = (
    ("lora_dropout", "lora.ParamWrapper does not work with lora_dropout != 0."),
    ("fan_in_fan_out", "lora.ParamWrapper does not work with fan_in_fan_out."),
    ("lora_bias", "lora.ParamWrapper does not work with lora_bias=True."),
    ("use_dora", "lora.ParamWrapper does not work with use_dora=True."),
)


PLAIN_STARTS = ("gaussian", "eva", "lora_ga")  # others read a weight that a fused module may not have


def wrap_parameters(wrapped: Wrapped, adapter: str, settings: Settings) -> list[str]:
    """`_inject_parameters`: wrappers nest in registration order, the last one outermost; returns the names hit."""
    at = settings.where("target_parameters")
    names = as_python_does(
        lambda: set(settings["target_parameters"]), "config-value-impossible", at, "target_parameters"
    )
    hit: list[str] = []
    for module in wrapped.modules:
        for name, shape in module.params.items():
            key = f"{module.path}.{name}"
            if key not in names and not any(key.endswith(f".{wanted}") for wanted in names):
                continue
            if module.path in wrapped.sites:
                match = (
                    f"Trying to wrap an `nn.Parameter` of layer '{module.path}' of type {module.cls}, which is not a "
                    "valid target."
                )
                facts = {"field": "target_parameters"}
                raise Refusal("ValueError", match, "parameter-also-targeted", at=at, module=module.path, facts=facts)
            _wrap(wrapped, adapter, settings, module, name, shape)
            hit.append(key)
    return hit


def _wrap(
    wrapped: Wrapped, adapter: str, settings: Settings, module: Module, name: str, shape: tuple[int, ...]
) -> None:
    key, at = f"{module.path}.{name}", settings.where("target_parameters")
    rank: Any = pattern_value(settings, "rank_pattern", key, "r")
    alpha: Any = pattern_value(settings, "alpha_pattern", key, "lora_alpha")
    if len(shape) not in (2, 3):
        match = f"lora.ParamWrapper was initialized with {len(shape)} dimensional Parameter"
        raise Refusal(
            "ValueError", match, "layer-not-supported", at=at, module=module.path, facts={"class": module.cls}
        )
    for field, text in REFUSED_WITH:
        if settings[field]:
            where = settings.where(field)
            facts = {"field": field}
            raise Refusal("ValueError", text, "config-value-impossible", at=where, module=module.path, facts=facts)
    scale = check_rank_and_scale(settings, adapter, key, rank, alpha)
    if isinstance(settings["init_lora_weights"], str) and settings["init_lora_weights"] not in PLAIN_STARTS:
        raise NotModelled("initialisation-not-modelled", at=settings.where("init_lora_weights"), module=module.path)
    if len(shape) == 2:
        sizes = {"experts": 1, "in": shape[1], "out": shape[0]}
    elif module.attrs.get("is_transposed"):
        sizes = {"experts": shape[0], "in": shape[1], "out": shape[2]}
    else:
        sizes = {"experts": shape[0], "in": shape[2], "out": shape[1]}
    wrappers = wrapped.parameters.setdefault(module.path, [])
    site = next((w for w in wrappers if w.parameter == name), None)
    if site is None:
        site = Site(module.path, "Parameter", name)
        wrappers.append(site)
    site.adapters[adapter] = made(settings, adapter, "Parameter", rank, sizes, scale)
