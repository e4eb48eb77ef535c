"""Which modules PEFT's config asks for: `check_target_module_exists` and what prepares it."""

from __future__ import annotations

from collections.abc import Mapping

from adaptlint import tables
from adaptlint.bases import Base
from adaptlint.findings import Fact, Where
from adaptlint.hints import Any
from adaptlint.patterns import is_plain
from adaptlint.runtimes.peft.layer_numbers import in_layers
from adaptlint.runtimes.peft.pattern_keys import SEGMENT, PatternKeys
from adaptlint.runtimes.peft.patterns import full_match, prepare, segment_match
from adaptlint.runtimes.peft.refusal import NotModelled, Refusal, as_python_does
from adaptlint.runtimes.peft.release import PEFT
from adaptlint.runtimes.peft.settings import Settings
from adaptlint.runtimes.peft.tied import tied_modules

DEFAULTS = "runtimes/peft/default_targets.toml"
MATCHED, UNMATCHED, EXCLUDED = "matched", "unmatched", "excluded"
PASSED = "passed over"  # a saved module that the release neither adapts nor counts


class Targets:
    """The matcher of one config: what PEFT answers for a module's name."""

    __slots__ = ("excluded", "names", "saved", "settings", "suffixes", "targets")

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.excluded: Any = settings["exclude_modules"]
        self.saved: Any = settings["modules_to_save"]
        self.names: PatternKeys | None = None  # those of modules_to_save, once they are asked about
        self.targets: Any = settings["target_modules"]
        targets = self.targets
        self.suffixes: tuple[str, ...] = ()
        dot = "" if settings.release.targets_end_anywhere else "."
        if settings.release.targets_are_patterns and isinstance(targets, (list, dict)):
            special = next((str(name) for name in targets if not is_plain(str(name))), None)
            if special is not None:
                facts: dict[str, Fact] = {"entry": special}
                raise NotModelled("release-not-modelled", at=settings.where("target_modules"), facts=facts)
        if targets is not None and not isinstance(targets, str):
            self.suffixes = as_python_does(
                lambda: ("" in targets, tuple(f"{dot}{name}" for name in targets))[1],  # PEFT asks in this order
                "config-value-impossible",
                settings.where("target_modules"),
                "target_modules",
            )

    def prepare(self, paths: list[str]) -> None:
        """Evaluate the patterns on all module paths at once."""
        for field, value in (("target_modules", self.targets), ("exclude_modules", self.excluded)):
            if isinstance(value, str):
                prepare(value, paths, self.settings.where(field))
        if isinstance(self.saved, (list, dict)) and self.saved and self.settings.release.saved_is_not_targeted:
            self.names = PatternKeys(self.saved, SEGMENT, self.settings.where("modules_to_save"))
            self.names.prepare(paths)

    def answer(self, key: str) -> str:
        """MATCHED, UNMATCHED, EXCLUDED or PASSED for a module's dotted path."""
        targets = self.targets
        if self.excluded and self._in_excluded(self.excluded, key):
            return EXCLUDED
        if self.saved and self._is_saved(key):
            return EXCLUDED if self.settings.release.saved_is_not_targeted else PASSED
        if targets is None:
            return UNMATCHED
        if isinstance(targets, str):
            return MATCHED if full_match(targets, key, self.settings.where("target_modules")) else UNMATCHED
        if key in targets and not self.settings.release.layers_by_common_names:
            return MATCHED
        found = (key.endswith(self.suffixes) or key in targets) and in_layers(self.settings, key)
        return MATCHED if found else UNMATCHED

    def _is_saved(self, key: str) -> bool:
        release, at = self.settings.release, self.settings.where("modules_to_save")
        if release.saved_is_not_targeted:
            self.names = self.names or PatternKeys(self.saved, SEGMENT, at)
            return self.names.first(key) is not None
        return release.saved_ends_anywhere and any(key.endswith(str(name)) for name in self.saved)

    def _in_excluded(self, excluded: Any, key: str) -> bool:
        at = self.settings.where("exclude_modules")
        if isinstance(excluded, str):
            return full_match(excluded, key, at)
        return as_python_does(
            lambda: key in excluded or any(key.endswith(f".{name}") for name in excluded),
            "config-value-impossible",
            at,
            "exclude_modules",
        )


def expand_all_linear(settings: Settings, base: Base) -> None:
    """PEFT's `_maybe_include_all_linear_layers`: the shorthand becomes the full names of the linear modules."""
    targets, release = settings["target_modules"], settings.release
    if not (release.expands_all_linear and isinstance(targets, str) and targets.lower() == "all-linear"):
        return
    paths = [m.path for m in base.modules if m.kind in ("Linear", "Conv1D")]
    names = dict.fromkeys(paths if release.all_linear_is_paths else [path.rpartition(".")[2] for path in paths])
    if base.output_embedding_raises:
        at = settings.where("target_modules")
        if release.transformers < (5,):
            raise NotModelled("layer-not-modelled", at=at, facts={"class": base.model_class})
        kind, text = base.features["output_embedding_error"]
        facts: dict[str, Fact] = {"field": "target_modules", "class": base.model_class}
        raise Refusal(kind, text.partition("\n")[0], "output-embedding-unknown", at=at, facts=facts)
    if base.output_embedding is not None:
        names.pop(base.output_embedding, None)
    elif settings["task_type"] == "SEQ_CLS" and release.all_linear_spares_head:
        for head in tables.load()[PEFT]["names"]["heads"]:
            if head in base.by_path:
                names.pop(head, None)
                break
    settings["target_modules"] = names


def default_targets(peft_type: str) -> Mapping[str, Any]:
    """The targets of a method by model type (TRANSFORMERS_MODELS_TO_*_TARGET_MODULES_MAPPING)."""
    lora: Mapping[str, Any] = tables.load()[PEFT]["default_targets"]
    if peft_type == "LORA":
        return lora
    card = tables.load()[DEFAULTS]
    name = card["table_of"].get(peft_type, "")
    if name == "lora":
        return lora
    table = card["tables"].get(name, {"targets": {}})
    own: Mapping[str, Any] = table["targets"]
    if "like" not in table:
        return own
    return {**{k: v for k, v in lora.items() if k not in table.get("without", ())}, **own}


def prepare_targets(settings: Settings, base: Base) -> None:
    """`LoraModel._prepare_adapter_config`: the default targets of the base's model type when the config has none."""
    _prepare_feedforward(settings, base)
    if settings["target_modules"] is not None:
        return
    if settings.method.peft_type == "TRAINABLE_TOKENS":
        settings["target_modules"] = {base.input_embedding or "embed_tokens": None}
        return
    if settings.method.adapts_blocks:
        from adaptlint.runtimes.peft import shadow

        settings["target_modules"] = shadow.default_targets(base, settings)
        return
    model_type = base.model_type or ""
    default = default_targets(settings.method.peft_type).get(model_type)
    if default is not None and not _has_default(settings, model_type):
        default = None
    if isinstance(default, list):
        settings["target_modules"] = dict.fromkeys(default)
    elif default is not None:
        settings["target_modules"] = default
    elif settings.method.default_targets:
        settings["target_modules"] = settings.method.default_targets
    elif not settings["target_parameters"]:
        parameters_too = settings.is_lora and settings.release.has("fields", "target_parameters")
        raise Refusal(
            "ValueError",
            f"Please specify `target_modules` {'or `target_parameters`' if parameters_too else ''}in `peft_config`",
            "targets-unspecified",
            at=Where(settings.file),
            facts={"model_type": base.model_type},
        )


def _has_default(settings: Settings, model_type: str) -> bool:
    """True if this release has default targets of the method for a model type; NotModelled where it has others."""
    release = settings.release
    if settings.is_lora:
        return release.has("default_targets", model_type)
    card, name = tables.load()[DEFAULTS], settings.method.peft_type
    changed = card["changed"].get(name, {}).get(model_type)
    if changed is not None and not release.reached(changed):
        at = settings.where("target_modules")
        raise NotModelled(
            "release-not-modelled", at=at, facts={"problem": f"default targets of {name} before {changed}"}
        )
    since = card["since"].get(name, {})
    if "*" in since and not release.reached(since["*"]):
        return False
    return release.reached(since[model_type]) if model_type in since else release.has("default_targets", model_type)


def _prepare_feedforward(settings: Settings, base: Base) -> None:
    """`IA3Model._prepare_adapter_config`: the default of feedforward_modules, which is asked for after the targets."""
    if "feedforward_modules" not in settings.values or settings["feedforward_modules"] is not None:
        return
    known = tables.load()[DEFAULTS]["feedforward"]
    if settings["target_modules"] is None and base.model_type not in default_targets(settings.method.peft_type):
        return
    if base.model_type not in known:
        at, facts = Where(settings.file), {"model_type": base.model_type}
        match = "Please specify `feedforward_modules` in `peft_config`"
        raise Refusal("ValueError", match, "targets-unspecified", at=at, facts=facts)
    settings["feedforward_modules"] = dict.fromkeys(known[base.model_type])


def tie_embeddings(settings: Settings, base: Base) -> None:
    """`BaseTuner._check_tied_modules` and LoraModel's two hooks: only `ensure_weight_tying` changes the config."""
    if not settings.release.has("fields", "ensure_weight_tying"):
        return
    at = settings.where("target_modules")
    names: list[str] = tables.load()[PEFT]["names"]["embeddings"]
    raw = settings["target_modules"]
    saved = settings["modules_to_save"]

    def leaves(values: Any) -> bool:
        return any(value.split(".")[-1] in names for value in set(values or []))

    where = settings.where("modules_to_save")
    to_save = as_python_does(lambda: leaves(saved), "config-value-impossible", where, "modules_to_save")
    if isinstance(raw, str):
        targeted = any(full_match(raw, name, at) for name in names)
    else:
        targeted = as_python_does(lambda: leaves(raw), "config-value-impossible", at, "target_modules")
    tied = tied_modules(base)
    if not (settings["ensure_weight_tying"] and tied and (to_save or targeted)):
        return
    if not settings.release.maps_keys_from_model:
        raise NotModelled("tying-not-modelled", at=settings.where("ensure_weight_tying"))
    embedding = base.input_embedding or ""
    if to_save:
        settings["modules_to_tie"] = dict.fromkeys(tied)
        settings["modules_to_save"] = _without_tied([*saved, *([] if embedding in saved else [embedding])], tied, at)
        return
    settings["target_modules_to_tie"] = dict.fromkeys(tied)
    if isinstance(raw, str):
        import re

        settings["target_modules"] = rf"(?:{raw}|^{re.escape(embedding)}$)"
    else:
        settings["target_modules"] = dict.fromkeys(_without_tied([*{**raw, embedding: None}], tied, at))


def _without_tied(names: list[str], tied: list[str], at: Where) -> list[str]:
    for key in tied:
        for name in names:
            if segment_match(name, key, at):
                names.remove(name)
                break
    return names


def is_tied_target(settings: Settings, key: str) -> bool:
    """`BaseTuner._check_tied_module_exists`: the module follows the embedding's adapter."""
    tied = settings.get("target_modules_to_tie")
    if not tied:
        return False
    return key in tied or any(key.endswith(f".{name}") for name in tied)
