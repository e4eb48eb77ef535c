"""What transformers makes of a raw config: defaults filled in, labels, rotary settings, keys that it drops or keeps.

The parts that every config class shares are said here (transformers 5.23, configuration_utils.py and
modeling_rope_utils.py); what a class adds is in its table: defaults, the values that were tried, and a template for
each key of the result. A value of a kind that nobody tried is not covered.
"""

from __future__ import annotations

from collections.abc import Mapping

from adaptlint.bases.templates import Filling, NotCovered
from adaptlint.hints import Any

Config = dict[str, Any]

POPPED = frozenset(
    {
        "_attn_implementation_autoset",
        "_commit_hash",
        "_name_or_path",
        "transformers_version",
        "model_type",
        "num_labels",
        "id2label",
        "label2id",
    }
)
"""Keys that `resolve` sees to itself or that a record leaves out."""
ROPE_KEYS = ("rope_parameters", "rope_scaling", "rope_theta", "partial_rotary_factor")
ROPE_NUMBERS = {
    "default": (),
    "linear": ("factor",),
    "dynamic": ("factor",),
    "yarn": ("factor",),
    "llama3": ("factor", "low_freq_factor", "high_freq_factor"),
}
"""The kinds of rotary scaling that tables speak of, with the numbers that each must have."""
_ROPE_OPTIONAL = frozenset(
    {
        "attention_factor",
        "beta_fast",
        "beta_slow",
        "mscale",
        "mscale_all_dim",
        "original_max_position_embeddings",
        "partial_rotary_factor",
        "rope_theta",
    }
)
SMALL_HEAD = 4
_KEPT = ("_num_labels",)
"""What older releases saved and no class asks for."""
_SCALED = ("llama3", "yarn", "longrope")
_NOT_SAVED = frozenset(
    {
        "_is_quantized",
        "_auto_class",
        "_commit_hash",
        "_attn_implementation_internal",
        "_experts_implementation_internal",
        "_post_init_done",
        "ignore_keys_at_rope_validation",
        "base_model_tp_plan",
        "base_model_pp_plan",
        "base_model_fsdp_plan",
        "distributed_config",
    }
)


def resolve(table: Mapping[str, Any], raw: Config) -> tuple[Config, Config]:
    """(inputs, config): the raw values over the class's defaults, and what `to_dict()` says of them after a build.

    `raw` is what `buildable` has left. Raises NotCovered.
    """
    given, extras, made = _parted(table, raw)
    inputs = {**table["defaults"], **given}
    config = {**Filling([], flat(inputs)).fill(table["config"]), **extras}
    for key, value in made.items():
        if config[key] != value or type(config[key]) is not type(value):
            raise NotCovered(key)  # what the class makes itself, given otherwise
    if any(config.get(key, inputs.get(key)) == 0 for key in table["sized"]):
        raise NotCovered("a size of zero")
    config["id2label"], config["label2id"] = labels(raw, inputs.get("problem_type"), table["labels"])
    if "rope" in table:
        head_dim = config.get(table["rope"].get("head", "head_dim"))
        if type(head_dim) is int and head_dim > SMALL_HEAD and head_dim % 2:
            raise NotCovered("head_dim")  # PreTrainedConfig.validate_rope
        rope = rope_parameters(table["rope"], raw, {**inputs, **config})
        if rope is not None:
            config["rope_parameters"] = rope
    return inputs, config


def _parted(table: Mapping[str, Any], raw: Config) -> tuple[Config, Config, Config]:
    """(given, extras, made): fields, keys that are kept as they are, and what the class makes itself."""
    fields = table["fields"]
    given, extras, made = {}, {}, {}
    for name, value in raw.items():
        key = table["aliases"].get(name, name)
        if key != name and raw.get(key, value) != value:
            raise NotCovered(name)
        if key in fields:
            if not admits(fields[key], value):
                raise NotCovered(f"{key}: {value!r}"[:200])
            given[key] = value
            if table["unlisted"].get(key):
                extras[key] = value
        elif key in table["taken"]:
            if type(value) not in (int, float) or value <= 0 or (key.endswith("pct") and value > 1):
                raise NotCovered(key)
        elif key not in POPPED and key not in table["popped"] and not (key in ROPE_KEYS and "rope" in table):
            if key in table["config"]:
                made[key] = value
                continue
            if not _changes_nothing(table, key, value):
                raise NotCovered(key)
            extras[key] = kept(value)
    return given, extras, made


def _changes_nothing(table: Mapping[str, Any], key: str, value: Any) -> bool:
    """Whether a key that is no field is one that nothing asks for, or has a value that was tried and does nothing."""
    if key.startswith("_") and key not in _KEPT:
        return False
    kind = "null" if value is None else type(value).__name__
    tried = table["harmless"].get(key, ())
    return kind in table["read"].get(key, (kind,)) or any(value == one and type(value) is type(one) for one in tried)


def flat(config: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Dotted names of everything in a config: nested objects, and the entries of short lists ("depths.0")."""
    names: dict[str, Any] = {}
    for key, value in config.items():
        name = prefix + key
        names[name] = value
        if isinstance(value, dict) and key not in ("id2label", "label2id"):
            names.update(flat(value, name + "."))
        elif isinstance(value, list):
            names[f"len({name})"] = len(value)
            if len(value) <= MAX_ENTRIES:
                names.update((f"{name}.{index}", entry) for index, entry in enumerate(value))
    return names


MAX_ENTRIES = 8


def admits(domain: Mapping[str, Any], value: Any) -> bool:
    """Whether a value is of a kind that was tried: {"null": 1, "bool": [values], "int": [low, high], "float": ...,
    "str": [values], "list": [[values of entries], ...lengths]}; true in place of the values: any."""
    kind = "null" if value is None else type(value).__name__
    known = domain.get(kind)
    if known is None:
        return False
    if known is True or kind == "null":
        return True
    if kind in ("int", "float"):
        return bool(known[0] <= value and (known[1] is None or value <= known[1]))
    if kind == "list":
        return value in known if known and isinstance(known[0], list) else all(admits(known[0], part) for part in value)
    return value in known


def labels(raw: Config, problem_type: Any, default: int | None) -> tuple[Any, Any]:
    """`id2label` and `label2id` as `PreTrainedConfig.__post_init__` leaves them, keys as text."""
    names, numbers = raw.get("id2label"), raw.get("label2id")
    count = raw.get("num_labels", default) if names is None else raw.get("num_labels")
    if names is None or (count is not None and count != len(names)):
        if type(count) is not int or not 0 <= count <= 100_000:
            raise NotCovered(f"num_labels: {count!r}")
        names = {str(index): f"LABEL_{index}" for index in range(count)}
        numbers = {name: index for index, name in enumerate(names.values())}
    elif "num_labels" in raw and count is None:
        raise NotCovered("num_labels: null")
    if not isinstance(names, dict) or not all(str(key).isdecimal() for key in names):
        raise NotCovered("id2label")
    if numbers is not None and not isinstance(numbers, dict):
        raise NotCovered("label2id")
    if any(not isinstance(part, str) for part in names.values()):
        raise NotCovered("id2label")
    if numbers and any(type(part) not in (int, str) for part in numbers.values()):
        raise NotCovered("label2id")
    if problem_type == "single_label_classification" and len(names) == 1:
        raise NotCovered("problem_type")
    return {str(int(key)): name for key, name in names.items()}, numbers


def kept(value: Any) -> Any:
    """A foreign value as `to_dict` gives it back."""
    if isinstance(value, dict):
        return {key: kept(part) for key, part in value.items() if key not in _NOT_SAVED}
    return value


def rope_parameters(known: Mapping[str, Any], raw: Config, config: Config) -> Config | None:
    """`rope_parameters` as `convert_rope_params_to_dict` makes them; None where the table does not keep them.

    Raises NotCovered for a kind or a key that was not tried.
    """
    given = raw.get("rope_scaling") or raw.get("rope_parameters") or known["default"]
    theta = raw.get("rope_theta", known["theta"])
    share = raw.get("partial_rotary_factor", config.get("partial_rotary_factor"))
    if not isinstance(given, dict) or type(theta) not in (int, float) or theta <= 0:
        raise NotCovered("rope_parameters")
    if not (share is None or (type(share) in (int, float) and 0 < share <= 1)):
        raise NotCovered("partial_rotary_factor")
    nested = [key for key in given if key in known["nested"]]
    for part in [given[key] for key in nested] if nested else [given]:
        _check_rope(part, known)
    if nested and set(given) != set(nested):
        raise NotCovered("rope_parameters")
    if "told" not in known:
        return None
    if nested:
        raise NotCovered("rope_parameters")
    result = {**given, "rope_theta": given.get("rope_theta", theta)}
    if share is not None:
        result.setdefault("partial_rotary_factor", share)
    result.setdefault("rope_type", result.get("type", "default"))
    if result["rope_type"] in _SCALED:
        own = config.get("original_max_position_embeddings")
        if "original_max_position_embeddings" in config:
            result["original_max_position_embeddings"] = own
        else:
            result.setdefault("original_max_position_embeddings", config.get("max_position_embeddings"))
    return result


def _check_rope(given: Any, known: Mapping[str, Any]) -> None:
    if not isinstance(given, dict):
        raise NotCovered("rope_parameters")
    kind = given.get("rope_type", given.get("type", "default"))
    if "type" in given and given["type"] != kind:
        raise NotCovered("rope_parameters: type")
    if not isinstance(kind, str) or kind not in known["kinds"]:
        raise NotCovered(f"rope_type: {kind}")
    for key in ROPE_NUMBERS[kind]:
        if key not in given:
            raise NotCovered(f"rope_parameters: {key}")
    for key, value in given.items():
        if key in ("rope_type", "type") or (key == "truncate" and isinstance(value, bool)):
            continue  # transformers 5.23, modeling_rope_utils.py: `truncate` rounds the bounds of yarn's ramp
        number = type(value) in (int, float) and value > 0
        if not number or (key not in _ROPE_OPTIONAL and key not in ROPE_NUMBERS[kind]):
            raise NotCovered(f"rope_parameters: {key}")
