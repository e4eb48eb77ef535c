"""Which transformers class a config means: by name, from transformers' own registry alone."""

from __future__ import annotations

from adaptlint.bases.base import BaseProblem
from adaptlint.bases.libraries import Libraries
from adaptlint.findings import Fact
from adaptlint.hints import Any
from adaptlint.named_tuple import NamedTuple

_GUESSES = ("AutoModelForCausalLM", "AutoModelForSeq2SeqLM", "AutoModelForImageTextToText", "AutoModel")


class Choice(NamedTuple):
    """The class to build, the config object to build it from, and how it was chosen."""

    model_class: Any
    config: Any
    model_type: str
    chosen_by: str


def choose(
    libraries: Libraries, config: dict[str, Any], original: dict[str, Any], asked: str | None
) -> Choice | BaseProblem:
    """The class that `asked` names (a class or an Auto class), else the config's architectures, else its auto_map.

    Exceptions of transformers' config classes pass through.
    """
    facts: dict[str, Fact] = {
        "model_type": _text(config.get("model_type")),
        "asked": asked or "",
        "auto_map": "auto_map" in original,
        "transformers": str(libraries.transformers.__version__),
    }
    architecture = _first_architecture(config)
    named = None if asked and asked.startswith("Auto") else _model_class(libraries, asked or architecture)
    if asked and named is None and _auto_class(libraries, asked) is None:
        return BaseProblem("base-class-unknown", {**facts, "fault": "class-not-in-transformers"})
    made = _make_config(libraries, config, named)
    if made is None:
        fault = "model-type-unknown" if facts["model_type"] else "model-type-missing"
        return BaseProblem("base-class-unknown", {**facts, "fault": fault, "architecture": architecture or ""})
    model_type = str(made.model_type)
    if named is not None:
        chosen_by = "asked" if asked else "architectures"
        return Choice(named, _text_part(made, named), model_type, chosen_by)
    for auto, chosen_by in _auto_candidates(asked, original):
        found = _from_mapping(libraries, auto, made)
        if found is not None:
            return Choice(found, _text_part(made, found), model_type, chosen_by)
    facts["architecture"] = architecture or ""
    return BaseProblem("base-class-unknown", {**facts, "fault": "model-type-without-class"})


def _auto_candidates(asked: str | None, original: dict[str, Any]) -> list[tuple[str, str]]:
    if asked:
        return [(asked, "asked")]
    auto_map = original.get("auto_map")
    mapped = [name for name in auto_map if isinstance(name, str)] if isinstance(auto_map, dict) else []
    candidates = [(name, "auto_map") for name in mapped if name.startswith("AutoModel")]
    return candidates + [(name, "guess") for name in _GUESSES]


def _make_config(libraries: Libraries, config: dict[str, Any], named: Any) -> Any:
    model_type = config.get("model_type")
    if model_type == "mistral" and "layer_types" in config and "ministral" in libraries.configs:
        model_type = "ministral"  # as AutoConfig.from_pretrained does
        config = {**config, "model_type": model_type}
    if isinstance(model_type, str) and model_type in libraries.configs:
        return libraries.configs[model_type].from_dict(config)
    if model_type is None and named is not None:
        return named.config_class.from_dict(config)
    return None


def _model_class(libraries: Libraries, name: str | None) -> Any:
    """The transformers model class of that name, None if there is none."""
    if not name or not name.isidentifier() or not name[0].isupper():
        return None
    found = getattr(libraries.transformers, name, None)
    if isinstance(found, type) and issubclass(found, libraries.transformers.PreTrainedModel):
        return found if getattr(found, "config_class", None) is not None else None
    return None


def _auto_class(libraries: Libraries, name: str) -> Any:
    found = getattr(libraries.auto, name, None) if name.isidentifier() else None
    return found if hasattr(found, "_model_mapping") else None


def _from_mapping(libraries: Libraries, auto: str, config: Any) -> Any:
    """The class that the Auto class gives for this config, as its own `from_config` picks it."""
    auto_class = _auto_class(libraries, auto)
    mapping = getattr(auto_class, "_model_mapping", None)
    if mapping is None or type(config) not in mapping:
        return None
    found = mapping[type(config)]
    if not isinstance(found, list | tuple):
        return found
    by_name = {entry.__name__: entry for entry in found}
    named = [by_name[name] for name in getattr(config, "architectures", None) or [] if name in by_name]
    return (named or list(found))[0]


def _text_part(config: Any, model_class: Any) -> Any:
    """The text part of a composite config where the class is a text model, as `from_config` does."""
    parts = getattr(config, "sub_configs", None) or {}
    text = parts.get("text_config") if isinstance(parts, dict) else None
    if text is not None and getattr(model_class, "config_class", None) is text:
        return config.get_text_config()
    return config


def answers_to(libraries: Libraries, model_type: str, class_name: str) -> list[str]:
    """The Auto classes whose table leads from this model type to this class, sorted."""
    names = []
    for name, auto in vars(libraries.auto).items():
        mapping: Any = getattr(getattr(auto, "_model_mapping", None), "_model_mapping", None)
        if name.startswith("AutoModel") and hasattr(mapping, "get"):
            found = mapping.get(model_type)
            if found == class_name or (isinstance(found, list | tuple) and class_name in found):
                names.append(name)
    return sorted(names)


def _first_architecture(config: dict[str, Any]) -> str | None:
    names = config.get("architectures")
    return names[0] if isinstance(names, list) and names and isinstance(names[0], str) else None


def _text(value: object) -> str:
    return value if isinstance(value, str) else ""
