"""What the layers of AdapterHub's library refuse in a config when they are made.

Source: adapters 0.2.2 to 1.3.0, methods/lora.py, methods/bottleneck.py, methods/modeling.py, methods/prompt_tuning.py
(the constructors), configuration/adapter_config.py (`ConfigUnion.validate`); torch's Dropout; transformers' ACT2FN.
"""

from __future__ import annotations

from collections.abc import Mapping

from adaptlint import tables
from adaptlint.hints import Any
from adaptlint.runtimes.adapters.parts import CONFIGS
from adaptlint.runtimes.adapters.release import HubRelease
from adaptlint.runtimes.adapters.sites import Site
from adaptlint.runtimes.peft.refusal import NotModelled, Refusal


def refuse(error: str, text: str, field: str, value: object = "") -> Refusal:
    """What the library raises while it adds an adapter whose config asks for something."""
    facts = {"field": field, "value": str(value)[:80]}
    return Refusal(error, text, "hub-config-refused", facts=facts)


def check_lora(config: Mapping[str, Any], release: HubRelease) -> None:
    """A LoRA, (IA)^3, VeRA or MTL-LoRA module of this config can be made."""
    mode = config["composition_mode"]
    if mode == "scale":
        if config.get("use_dora"):
            raise refuse("AssertionError", "IA3 module does not support DoRA.", "use_dora", True)
        if config["r"] > 1:
            raise refuse("ValueError", "Can only use composition_mode='scale' when r == 1.", "r", config["r"])
        if config["dropout"] > 0:
            raise refuse("ValueError", "IA3 module does not support dropout.", "dropout", config["dropout"])
    elif mode != "add":
        raise refuse("ValueError", f"Unknown composition_mode: {mode}", "composition_mode", mode)
    if mode == "add":
        check_dropout(config["dropout"])
        if config["r"] == 0:
            raise refuse("ZeroDivisionError", "division by zero", "r", 0)
    known = ("lora", "bert", "ia3", "vera") if release.has_vera and mode == "add" else ("lora", "bert", "ia3")
    if config["init_weights"] not in known:
        text = f"Unknown init_weights type: {config['init_weights']}"
        raise refuse("ValueError", text, "init_weights", config["init_weights"])
    if config.get("task_specific_matrix_type") == "linear":
        text = "cannot assign parameters before Module.__init__() call"
        raise refuse("AttributeError", text, "task_specific_matrix_type", "linear")


def check_bottleneck(site: Site, config: Mapping[str, Any], factor: float | None) -> None:
    """A bottleneck of this config can be made at the site."""
    if factor is None:
        text = "The given reduction factor mapping does not give a default value"
        raise refuse("KeyError", text, "reduction_factor", config["reduction_factor"])
    if site.hooked and config["original_ln_after"] is False:
        text = "Unsupported configuration for bottleneck layer hooking mode: original_ln_after=False."
        raise refuse("ValueError", text, "original_ln_after", False)
    if factor == 0:
        raise refuse("ZeroDivisionError", "", "reduction_factor", factor)
    inner, dim = max(int(site.width_in // factor), 1), config["phm_dim"]
    if config["phm_layer"] and (site.width_in % dim or inner % dim):
        field, size = ("in_features", site.width_in) if site.width_in % dim else ("out_features", inner)
        text = f"Argument `{field}`={size} is not divisble be `phm_dim`{dim}"
        raise refuse("AssertionError", text, "phm_dim", dim)
    check_activation(config["non_linearity"])
    _check_values(config)


def _check_values(config: Mapping[str, Any]) -> None:
    scaling = config["scaling"]
    if not isinstance(scaling, float) and scaling not in ("learned", "channel"):
        raise refuse("ValueError", f"Unknown scaling type: {scaling}", "scaling", scaling)
    if config["init_weights"] not in ("bert", "mam_adapter", "houlsby"):
        text = f"Unknown init_weights type: {config['init_weights']}"
        raise refuse("ValueError", text, "init_weights", config["init_weights"])
    if config["phm_layer"] and config["init_weights"] != "bert":
        text = "'PHMLayer' object has no attribute 'weight'"
        raise refuse("AttributeError", text, "init_weights", config["init_weights"])
    check_dropout(config["dropout"])
    if config.get("stochastic_depth", 0) > 0:
        raise NotModelled("method-not-modelled", facts={"value": "stochastic_depth, which needs torchvision,"})


def check_activation(name: str) -> None:
    """The name is one of transformers' activations, or LeakyReLU, which the library adds."""
    if name.lower() not in tables.load()[CONFIGS]["activations"]["names"]:
        text = f"function {name.lower()} not found in ACT2FN mapping"
        raise refuse("KeyError", text, "non_linearity", name)


def check_dropout(rate: float) -> None:
    """A probability."""
    if not 0 <= rate <= 1:
        raise refuse("ValueError", f"dropout probability has to be between 0 and 1, but got {rate}", "dropout", rate)


def check_prompt(config: Mapping[str, Any]) -> None:
    """The prompt of this config can be made anew; its start is drawn before the file is opened."""
    if config["combine"] not in ("prefix", "prefix_after_bos"):
        raise refuse("ValueError", "Unknown combination function", "combine", config["combine"])
    if config["prompt_init"] == "from_string":  # it asks the model's config for the tokenizer, and configs have none
        text = "object has no attribute 'tokenizer_name_or_path'"
        raise refuse("AttributeError", text, "prompt_init", "from_string")
    if config["prompt_init"] != "random_uniform":
        text = f"Unknown prompt initialization: {config['prompt_init']}"
        raise refuse("ValueError", text, "prompt_init", config["prompt_init"])
