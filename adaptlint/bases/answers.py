"""A built model's answers as plain data."""

from __future__ import annotations

from adaptlint.bases.backends import attention_features
from adaptlint.bases.classes import Choice, answers_to
from adaptlint.bases.folded import fold_modules
from adaptlint.bases.libraries import Libraries
from adaptlint.bases.module import KINDS, Module
from adaptlint.bases.versions import installed_versions
from adaptlint.hints import Any

_CONV = ("stride", "padding", "dilation", "groups", "padding_mode", "transposed")
_ATTENTION = ("embed_dim", "num_heads", "kdim", "vdim", "batch_first", "_qkv_same_embed_dim")
_CONFIG_JUNK = ("_name_or_path", "transformers_version", "_attn_implementation_autoset")


def record_model(libraries: Libraries, model: Any, choice: Choice) -> dict[str, Any]:
    """The record of an instantiated model (see record.py)."""
    modules = list(model.named_modules())
    kinds = _kind_classes(libraries)
    features = _features(libraries, model, choice)
    names = {id(module): path for path, module in modules}
    embeddings = {side: _embedding(model, side, names, features) for side in ("input", "output")}
    config = {key: value for key, value in model.config.to_dict().items() if key not in _CONFIG_JUNK}
    return {
        "model_type": choice.model_type,
        "model_class": type(model).__name__,
        "made_with": _releases(libraries),
        "config": plain(config),
        "tree": fold_modules(_module(path, module, kinds) for path, module in modules),
        "ties": _ties(model),
        "aliases": _aliases(model),
        "input_embedding": embeddings["input"],
        "output_embedding": embeddings["output"],
        "transforms": _transforms(libraries, model),
        "features": features,
    }


def plain(value: Any) -> Any:
    """The value as JSON can hold it; what it cannot hold becomes text."""
    if isinstance(value, dict):
        return {str(key): plain(entry) for key, entry in value.items()}
    if isinstance(value, set | frozenset):
        return sorted(str(entry) for entry in value)
    if isinstance(value, list | tuple):
        return [plain(entry) for entry in value]
    return value if value is None or isinstance(value, str | int | float | bool) else str(value)


def _releases(libraries: Libraries) -> dict[str, str]:
    """As the folder names have them, which is how later checks look an entry up; else as the modules say."""
    said = {"transformers": libraries.transformers.__version__, "torch": libraries.torch.__version__.partition("+")[0]}
    return {**said, **installed_versions(said)}


def _kind_classes(libraries: Libraries) -> list[tuple[str, type]]:
    nn, conv1d = libraries.torch.nn, libraries.conv1d
    found = [(kind, conv1d if kind == "Conv1D" else getattr(nn, kind, None)) for kind in KINDS]
    return [(kind, cls) for kind, cls in found if cls is not None]


def _module(path: str, module: Any, kinds: list[tuple[str, type]]) -> Module:
    kind = next((name for name, cls in kinds if isinstance(module, cls)), "")
    params = {name: tuple(p.shape) for name, p in module._parameters.items() if p is not None}
    hidden = module._non_persistent_buffers_set
    buffers = {name: tuple(b.shape) for name, b in module._buffers.items() if b is not None and name not in hidden}
    return Module(path, type(module).__name__, kind, params, buffers, _attrs(module, kind, params))


def _attrs(module: Any, kind: str, params: dict[str, tuple[int, ...]]) -> dict[str, Any]:
    names: tuple[str, ...] = ()
    if kind.startswith("Conv") and kind != "Conv1D":
        names = _CONV
    elif kind == "MultiheadAttention":
        names = _ATTENTION
    elif kind == "Embedding":
        names = ("padding_idx",)
    elif any(len(shape) == 3 for shape in params.values()):
        names = ("is_transposed", "num_experts")
    attrs = {name: plain(getattr(module, name)) for name in names if getattr(module, name, None) is not None}
    dtypes = {
        name: str(p.dtype).removeprefix("torch.")
        for name, p in module._parameters.items()
        if p is not None and not p.dtype.is_floating_point
    }
    return {**attrs, "dtypes": dtypes} if dtypes else attrs


def _ties(model: Any) -> list[list[str]]:
    firsts: dict[int, str] = {}
    ties = []
    for name, parameter in model.named_parameters(remove_duplicate=False):
        first = firsts.setdefault(id(parameter), name)
        if first != name:
            ties.append([first, name])
    return ties


def _aliases(model: Any) -> dict[str, str]:
    """Topmost further paths of shared modules; what lies below them is shared with them."""
    firsts: dict[int, str] = {}
    aliases: dict[str, str] = {}
    below: tuple[str, ...] = ()
    for path, module in model.named_modules(remove_duplicate=False):
        first = firsts.setdefault(id(module), path)
        if first != path and not path.startswith(below):
            aliases[path] = first
            below = (*below, path + ".")
    return aliases


def _embedding(model: Any, side: str, names: dict[int, str], features: dict[str, Any]) -> str | None:
    try:
        module = getattr(model, f"get_{side}_embeddings")()
    except Exception as error:  # models without one raise NotImplementedError, AttributeError or worse
        features[f"{side}_embedding_error"] = [type(error).__name__, str(error)[:300]]
        return None
    return names.get(id(module))


def _features(libraries: Libraries, model: Any, choice: Choice) -> dict[str, Any]:
    config = model.config
    try:
        text = config.get_text_config()
    except Exception:  # several text parts: transformers refuses to pick one
        text = config
    features: dict[str, Any] = {
        "chosen_by": choice.chosen_by,
        "answers_to": answers_to(libraries, choice.model_type, type(model).__name__),
        "base_model_prefix": str(getattr(model, "base_model_prefix", "")),
        "prepare_inputs_for_generation": hasattr(model, "prepare_inputs_for_generation"),
        "can_generate": bool(model.can_generate()),
        "is_encoder_decoder": bool(getattr(config, "is_encoder_decoder", False)),
        "tie_word_embeddings": plain(getattr(config, "tie_word_embeddings", None)),
        "text_tie_word_embeddings": plain(getattr(text, "tie_word_embeddings", None)),
        "tied_weights_keys": _tied_weights_keys(model),
    }
    old_prefixes = getattr(model, "_checkpoint_conversion_mapping", None)
    if old_prefixes:
        features["checkpoint_conversion_mapping"] = plain(old_prefixes)
    attention = attention_features(libraries.transformers.PreTrainedModel, model)
    return {**features, **attention, **_conversion_features(libraries.conversions, model)}


def _tied_weights_keys(model: Any) -> Any:
    """`_tied_weights_keys` of the model; where it is a mapping, those of its parts joined under their paths."""
    own = getattr(model, "_tied_weights_keys", None)
    if not isinstance(own, dict):
        return plain(own)
    joined: dict[str, Any] = {}
    for path, module in model.named_modules():
        keys = getattr(module, "_tied_weights_keys", None)
        if isinstance(keys, dict):
            prefix = path + "." if path else ""
            joined.update((prefix + target, prefix + str(source)) for target, source in keys.items())
    return joined


def _conversion_features(conversions: Any, model: Any) -> dict[str, Any]:
    """Whether adapters of this model type are converted; releases before 5 have no such table."""
    if conversions is None:
        return {"converts_adapters": False}
    model_type = getattr(model.config, "model_type", None)
    own = conversions.get_checkpoint_conversion_mapping(model_type)
    features: dict[str, Any] = {"converts_adapters": own is not None}
    family = getattr(conversions, "_MODEL_TO_CONVERSION_PATTERN", {}).get(model_type)
    if family is not None:
        features["conversion_family"] = family
    return features


def _transforms(libraries: Libraries, model: Any) -> list[dict[str, Any]]:
    if libraries.conversions is None:
        return []
    return [_transform(entry) for entry in libraries.conversions.get_model_conversion_mapping(model)]


def _transform(entry: Any) -> dict[str, Any]:
    operations = getattr(entry, "operations", None)
    data: dict[str, Any] = {
        "op": "rename" if operations is None else "convert",
        "class": type(entry).__name__,
        "sources": list(entry.source_patterns),
        "targets": list(entry.target_patterns),
    }
    if operations is not None:
        data["operations"] = [{"name": type(op).__name__, **plain(vars(op))} for op in operations]
    if entry.scope_prefix is not None:
        data["scope"], data["prefix"] = entry.scope_prefix, entry.base_model_prefix
    if hasattr(entry, "offset"):
        data["offset"] = entry.offset
    return data
