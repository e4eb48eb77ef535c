"""An adapter's config as PEFT holds it: parsed, defaulted, checked; mutable, because PEFT edits it while it loads."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

from adaptlint import tables
from adaptlint.artefacts import Document
from adaptlint.findings import Fault, Where
from adaptlint.runtimes.peft.refusal import NotModelled, Refusal, as_python_does

LORA_CONFIG = "runtimes/peft/lora_config.toml"
PEFT = "runtimes/peft/peft.toml"


class Settings:
    """The fields of a LoraConfig as read from `file`, with PEFT's defaults for those that the file leaves out."""

    __slots__ = ("file", "given", "notes", "values")

    def __init__(self, file: str, given: dict[str, Any]) -> None:
        card = tables.load()[LORA_CONFIG]
        fields: dict[str, Any] = dict.fromkeys(card["none"])
        fields.update({k: v.copy() if isinstance(v, dict) else v for k, v in card["defaults"].items()})
        self.file = file
        self.given = given
        self.values: dict[str, Any] = fields | {k: v for k, v in given.items() if k in fields}
        self.notes: list[Fault] = [
            Fault("config-field-unknown", at=self.where(k), facts={"field": k})
            for k in given
            if k not in fields and k != "runtime_config"
        ]

    def __getitem__(self, field: str) -> Any:
        return self.values[field]

    def __setitem__(self, field: str, value: Any) -> None:
        self.values[field] = value

    def get(self, field: str, default: Any = None) -> Any:
        """The value of a field that PEFT adds only under a condition."""
        return self.values.get(field, default)

    def where(self, *route: str | int) -> Where:
        """The spot of a field in the config file."""
        return Where(self.file, route)


# (exception, field, text, what PEFT asks), in the order of LoraConfig.__post_init__.
CONTRADICTIONS: tuple[tuple[str, str, str, Callable[[Settings], bool]], ...] = (
    (
        "TypeError",
        "target_parameters",
        "`target_parameters` must be a list of strings or None.",
        lambda s: isinstance(s["target_parameters"], str),
    ),
    (
        "ValueError",
        "layers_to_transform",
        "`layers_to_transform` cannot be used when `target_modules` is a str.",
        lambda s: isinstance(s["target_modules"], str) and s["layers_to_transform"] is not None,
    ),
    (
        "ValueError",
        "layers_pattern",
        "`layers_pattern` cannot be used when `target_modules` is a str.",
        lambda s: isinstance(s["target_modules"], str) and s["layers_pattern"] is not None,
    ),
    (
        "ValueError",
        "layers_pattern",
        "When `layers_pattern` is specified, `layers_to_transform` must also be specified.",
        lambda s: bool(s["layers_pattern"]) and s["layers_to_transform"] is None,
    ),
    (
        "ValueError",
        "use_dora",
        "DoRA does not support megatron_core, please set `use_dora=False`.",
        lambda s: bool(s["use_dora"] and s["megatron_config"]),
    ),
    (
        "ValueError",
        "loftq_config",
        "`loftq_config` must be specified when `init_lora_weights` is 'loftq'.",
        lambda s: s["init_lora_weights"] == "loftq" and not s["loftq_config"],
    ),
    (
        "ValueError",
        "lora_bias",
        "The argument lora_bias=True is only supported with init_lora_weights=True or False",
        lambda s: bool(s["lora_bias"]) and s["init_lora_weights"] not in (True, False),
    ),
    (
        "ValueError",
        "lora_bias",
        "The argument lora_bias=True is not supported for DoRA",
        lambda s: bool(s["lora_bias"] and s["use_dora"]),
    ),
)


def parse_settings(config: Document) -> Settings:
    """PEFT's `PeftConfig._get_peft_type` and `LoraConfig.from_pretrained` on a parsed file; may raise Refusal."""
    value: Any = config.value
    root = Where(config.path)

    def peft_type_of() -> Any:
        "runtime_config" in value  # noqa: B015 - PEFT asks this first, and it raises for numbers and null
        return value["peft_type"]

    peft_type = as_python_does(peft_type_of, "config-not-a-peft-config", root, "peft_type")
    at = Where(config.path, ("peft_type",))
    as_python_does(lambda: hash(peft_type), "peft-type-unknown", at, "peft_type")
    if peft_type not in tables.load()[PEFT]["types"]["known"]:
        match = str(peft_type)
        raise Refusal("KeyError", match, "peft-type-unknown", at=at, facts={"value": match})
    if peft_type != "LORA":
        raise NotModelled("method-not-modelled", at=at, facts={"value": peft_type})
    settings = Settings(config.path, value)
    _post_init(settings)
    return settings


def _post_init(settings: Settings) -> None:
    """The checks of `LoraConfig.__post_init__`, in its order (PEFT 0.21.2)."""
    task = settings["task_type"]
    tasks = tables.load()[PEFT]["task"]
    if task is not None and task not in list(tasks):
        raise Refusal(
            "ValueError",
            f"Invalid task type: '{task}'",
            "task-type-unknown",
            at=settings.where("task_type"),
            facts={"value": str(task), "known": list(tasks)},
        )
    for field in ("target_modules", "exclude_modules"):
        if isinstance(settings[field], list):
            as_a_set = partial(dict.fromkeys, settings[field])
            settings[field] = as_python_does(as_a_set, "config-value-impossible", settings.where(field), field)
    _refuse_subconfigs(settings)
    for type_name, field, match, broken in CONTRADICTIONS:
        if broken(settings):
            at = settings.where(field)
            raise Refusal(type_name, match, "config-value-impossible", at=at, facts={"field": field})
    for field in tables.load()[LORA_CONFIG]["variants"]["fields"]:
        if settings[field] is not None:
            raise NotModelled("variant-not-modelled", at=settings.where(field), facts={"field": field})
    if settings["megatron_config"]:
        raise NotModelled(
            "variant-not-modelled", at=settings.where("megatron_config"), facts={"field": "megatron_config"}
        )


def _refuse_subconfigs(settings: Settings) -> None:
    for field, class_name in tables.load()[LORA_CONFIG]["subconfigs"].items():
        if settings[field] is not None and not isinstance(settings[field], dict):
            match = f"`{class_name}` must be a `{class_name}`, a dict, or None."
            at = settings.where(field)
            raise Refusal("TypeError", match, "config-value-impossible", at=at, facts={"field": field})
