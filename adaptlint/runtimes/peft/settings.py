"""An adapter's config as PEFT holds it: parsed, defaulted, checked; mutable, because PEFT edits it while it loads."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from adaptlint import tables
from adaptlint.artefacts import Document
from adaptlint.findings import Fact, Fault, Where
from adaptlint.hints import Any
from adaptlint.methods import Method, has_method, load_method
from adaptlint.runtimes.peft.pattern_keys import DOTTED, FORMS, SUFFIX, PatternKeys
from adaptlint.runtimes.peft.refusal import NotModelled, Refusal, as_python_does
from adaptlint.runtimes.peft.release import PEFT, Release

LORA_CONFIG = "runtimes/peft/lora_config.toml"
LORA = "LORA"
ABSENT: dict[str, Any] = {  # what fields stand for that a method's config does not have; other such fields are null
    "bias": "none",
    "rank_pattern": {},
    "alpha_pattern": {},
    "init_lora_weights": True,
    "use_dora": False,
}


class Settings:
    """The fields of an adapter's config as read from `file`, with PEFT's defaults for those that the file leaves out.

    Fields that the release does not know have their defaults, whatever the file says: what they stand for is off.
    """

    __slots__ = ("file", "given", "indexed", "known", "method", "notes", "release", "values")

    def __init__(self, file: str, given: dict[str, Any], release: Release, method: Method) -> None:
        card = tables.load()[LORA_CONFIG] if method.peft_type == LORA else method.config
        fields: dict[str, Any] = dict.fromkeys(card["none"])
        fields.update({k: v.copy() if isinstance(v, dict) else v for k, v in card["defaults"].items()})
        self.file = file
        self.release = release
        self.method = method
        self.indexed: dict[str, PatternKeys] = {}
        since = method.config.get("since", {})
        self.known = {field for field in (*fields, "runtime_config") if release.has_field(field, since)}
        dropped = dict.fromkeys(field for field in given if field not in self.known)
        self.given = {k: v for k, v in given.items() if k not in dropped}
        unread = tables.load()[LORA_CONFIG]["unread"]
        said = {k: v for k, v in fields.items() if k not in unread and given.get(k) != v}
        safety = {k: "" if k in said else "safe" if k in fields or k in unread else "unsafe" for k in dropped}
        self.notes: list[Fault] = [
            self._dropped(k, given[k], fields.get(k))._replace(repair=safety[k]) for k in dropped
        ]
        self.values: dict[str, Any] = fields | {k: v for k, v in self.given.items() if k in fields}

    def _dropped(self, field: str, value: Any, default: Any) -> Fault:
        """What becomes of a field that the release does not have: nothing, unless the adapter depends on it."""
        matters = self.is_lora and field in self.release.card["fields_that_matter"]["names"] and value != default
        if matters and value not in (None, False, [], {}):
            since = self.release.card["fields"][field]
            facts: dict[str, Fact] = {"field": field, "value": str(value)[:80], "since": since}
            return Fault("config-field-dropped", at=self.where(field), facts=facts, decides=True)
        facts = {"field": field, "config_class": self.method.config_class}
        return Fault("config-field-unknown", at=self.where(field), facts=facts)

    def __getitem__(self, field: str) -> Any:
        return self.values[field] if field in self.values else ABSENT.get(field)

    def __setitem__(self, field: str, value: Any) -> None:
        self.values[field] = value

    def get(self, field: str, default: Any = None) -> Any:
        """The value of a field that PEFT adds only under a condition."""
        return self.values.get(field, default)

    @property
    def is_lora(self) -> bool:
        """True for LoRA, whose loader is modelled in detail and by release."""
        return self.method.peft_type == LORA

    def pattern_keys(self, field: str) -> PatternKeys:
        """The keys of rank_pattern and its like; what PEFT raises for a value that has none is raised."""
        if field not in self.indexed:
            at = self.where(field)
            keys = as_python_does(lambda: list(self[field].keys()), "config-value-impossible", at, field)
            forms = (FORMS[row["form"]] for row in self.method.patterns.values() if row["field"] == field)
            form = next(forms, DOTTED if self.release.patterns_need_a_dot else SUFFIX)
            self.indexed[field] = PatternKeys(keys, form, at)
        return self.indexed[field]

    def where(self, *route: str | int) -> Where:
        """The spot of a field in the config file."""
        return Where(self.file, route)


def _lacks_layers(settings: Settings) -> bool:
    layers = settings["layers_to_transform"]
    return layers is None if settings.release.empty_layers_are_layers else not layers


def _lacks_loftq(settings: Settings) -> bool:
    config = settings["loftq_config"]
    return not config if settings.release.layers_pattern_needs_layers else config is None


# (field, text, what PEFT asks), as the configs of many methods have it.
LAYERS_NEED_LIST: tuple[str, str, Callable[[Settings], bool]] = (
    "layers_to_transform",
    "`layers_to_transform` cannot be used when `target_modules` is a str.",
    lambda s: isinstance(s["target_modules"], str) and s["layers_to_transform"] is not None,
)
PATTERN_NEEDS_LIST: tuple[str, str, Callable[[Settings], bool]] = (
    "layers_pattern",
    "`layers_pattern` cannot be used when `target_modules` is a str.",
    lambda s: isinstance(s["target_modules"], str) and s["layers_pattern"] is not None,
)
PATTERN_NEEDS_LAYERS: tuple[str, str, Callable[[Settings], bool]] = (
    "layers_pattern",
    "When `layers_pattern` is specified, `layers_to_transform` must also be specified.",
    lambda s: s.release.layers_pattern_needs_layers and bool(s["layers_pattern"]) and _lacks_layers(s),
)

# (exception, field, text, what PEFT asks), in the order of LoraConfig.__post_init__. What asks about a field that a
# release lacks never holds there, since the field has its default.
CONTRADICTIONS: tuple[tuple[str, str, str, Callable[[Settings], bool]], ...] = (
    (
        "TypeError",
        "target_parameters",
        "`target_parameters` must be a list of strings or None.",
        lambda s: isinstance(s["target_parameters"], str),
    ),
    ("ValueError", *LAYERS_NEED_LIST),
    ("ValueError", *PATTERN_NEEDS_LIST),
    ("ValueError", *PATTERN_NEEDS_LAYERS),
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
        lambda s: s["init_lora_weights"] == "loftq" and s.release.has("fields", "loftq_config") and _lacks_loftq(s),
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


def parse_settings(config: Document, release: Release) -> Settings:
    """PEFT's `PeftConfig._get_peft_type` and `LoraConfig.from_pretrained` on a parsed file; may raise Refusal."""
    value: Any = config.value
    root = Where(config.path)

    def peft_type_of() -> Any:
        if release.strips_runtime_config:
            "runtime_config" in value  # noqa: B015 - PEFT asks this first, and it raises for numbers and null
        return value["peft_type"]

    peft_type = as_python_does(peft_type_of, "config-not-a-peft-config", root, "peft_type")
    at = Where(config.path, ("peft_type",))
    as_python_does(lambda: hash(peft_type), "peft-type-unknown", at, "peft_type")
    known = [*tables.load()[PEFT]["types"]["known"], *release.card["types_gone"]]
    if peft_type not in known or not release.has("types", peft_type):
        match = str(peft_type)
        raise Refusal("KeyError", match, "peft-type-unknown", at=at, facts={"value": match})
    if not has_method(peft_type):
        raise NotModelled("method-not-modelled", at=at, facts={"value": peft_type})
    settings = Settings(config.path, value, release, load_method(peft_type, release.version))
    if not settings.is_lora:
        from adaptlint.runtimes.peft.method_config import check_config

        check_config(settings)
        return settings
    refuse_unknown(settings)
    _post_init(settings)
    return settings


def refuse_unknown(settings: Settings) -> None:
    """`LoraConfig(**fields)`, of the releases that do it: Python names the first field that it does not take."""
    first = next((note for note in settings.notes), None)
    if first is not None and settings.release.refuses_unknown_fields:
        field = str(first.facts["field"])
        own = settings.method.config.get("since", {})
        since = own.get(field, settings.release.card["fields"].get(field, ""))
        match = f"{settings.method.config_class}.__init__() got an unexpected keyword argument '{field}'"
        fields = [str(note.facts["field"]) for note in settings.notes]
        facts: dict[str, Fact] = {"field": field, "fields": fields, "since": since}
        refusal = Refusal("TypeError", match, "config-field-refused", at=settings.where(field), facts=facts)
        safeties = {note.repair for note in settings.notes}
        repair = "" if "" in safeties else "safe" if safeties == {"safe"} else "unsafe"
        refusal.fault = refusal.fault._replace(repair=repair)
        raise refusal


def _post_init(settings: Settings) -> None:
    """The checks of `LoraConfig.__post_init__`, in its order."""
    check_task(settings)
    for field in ("target_modules", "exclude_modules"):
        make_set(settings, field)
    _refuse_subconfigs(settings)
    if not settings.release.checks_config:
        return
    for type_name, field, match, broken in CONTRADICTIONS:
        if broken(settings):
            at = settings.where(field)
            raise Refusal(type_name, match, "config-value-impossible", at=at, facts={"field": field})
    for field in tables.load()[LORA_CONFIG]["variants"]["fields"]:
        if settings[field] is not None and not settings.release.variants_read:
            raise NotModelled("variant-not-modelled", at=settings.where(field), facts={"field": field})
    if settings["megatron_config"]:
        raise NotModelled(
            "variant-not-modelled", at=settings.where("megatron_config"), facts={"field": "megatron_config"}
        )


def check_task(settings: Settings) -> None:
    """`PeftConfigMixin.__post_init__`."""
    task = settings["task_type"]
    tasks = tables.load()[PEFT]["task"]
    if settings.release.checks_task_type and task is not None and task not in list(tasks):
        raise Refusal(
            "ValueError",
            f"Invalid task type: '{task}'",
            "task-type-unknown",
            at=settings.where("task_type"),
            facts={"value": str(task), "known": list(tasks)},
        )


def make_set(settings: Settings, field: str) -> None:
    """A list of names becomes a set; entries that have no hash raise."""
    if isinstance(settings[field], list):
        as_a_set = partial(dict.fromkeys, settings[field])
        settings[field] = as_python_does(as_a_set, "config-value-impossible", settings.where(field), field)


def _refuse_subconfigs(settings: Settings) -> None:
    for field, class_name in tables.load()[LORA_CONFIG]["subconfigs"].items():
        if settings[field] is not None and not isinstance(settings[field], dict):
            if not settings.release.checks_subconfigs:
                raise NotModelled("variant-not-modelled", at=settings.where(field), facts={"field": field})
            match = f"`{class_name}` must be a `{class_name}`, a dict, or None."
            at = settings.where(field)
            raise Refusal("TypeError", match, "config-value-impossible", at=at, facts={"field": field})
