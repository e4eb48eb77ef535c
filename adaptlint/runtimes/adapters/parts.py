"""An AdapterHub config taken apart: which methods it puts into a model, each with every field filled in.

Source: adapters 0.2.2 to 1.3.0, configuration/adapter_config.py (`AdapterConfig.load`, `_get_config_class`,
`from_dict`, `ADAPTER_CONFIG_MAP`), utils.py (`resolve_adapter_config`). The classes themselves are configs.toml.
"""

from __future__ import annotations

from collections.abc import Mapping

from adaptlint import tables
from adaptlint.hints import Any
from adaptlint.named_tuple import NamedTuple

CONFIGS = "runtimes/adapters/configs.toml"
NEWEST = "1.3.0"
DEFAULT = "seq_bn"  # what a config that is null or empty stands for (model_adapters_config.py, `add`)


class Part(NamedTuple):
    """One method of a config; `config` has every field that the release's class has, and no other.

    The kinds are those of the layers: "lora" (LoRA, (IA)^3, VeRA, DoRA, MTL-LoRA), "bottleneck", "invertible" (a
    bottleneck's `inv_adapter`, with the bottleneck's config), "prefix", "reft" and "prompt".
    """

    kind: str
    config: dict[str, Any]


class ConfigRefused(Exception):
    """The library raises when it resolves a config: the exception's class, its text, and the field it is about."""

    def __init__(self, error: str, text: str, field: str = "architecture") -> None:
        super().__init__(text)
        self.error = error
        self.text = text
        self.field = field


def parts(config: Mapping[str, Any] | str | None, version: str = NEWEST) -> list[Part]:
    """The methods of `config`, the value under "config" in adapter_config.json, as a release resolves it.

    Raises ConfigRefused where the library raises.
    """
    card = tables.load()[CONFIGS]
    found: list[Part] = []
    for each in _flat(config or DEFAULT, card, _numbers(version)):
        name, filled = fill_defaults(each, version)
        found.append(Part(card[name].get("kind", name), filled))
        if name == "bottleneck" and filled["inv_adapter"]:
            found.append(Part("invertible", filled))
    if isinstance(config, Mapping) and config.get("architecture") == "union":
        _validate(config["configs"])
    return found


def fill_defaults(config: Mapping[str, Any], version: str = NEWEST) -> tuple[str, dict[str, Any]]:
    """The class's name in configs.toml and the config with its defaults (`from_dict`), for a config of one method."""
    card, release = tables.load()[CONFIGS], _numbers(version)
    name = _class_of(config.get("architecture"), card, release)
    entry = card[name]
    parents = [card[entry["like"]], entry] if "like" in entry else [entry]
    filled: dict[str, Any] = {"architecture": entry.get("architecture")}
    for parent in parents:
        since = {**parent["since"], **entry["since"]}
        defaults = {**dict.fromkeys(parent["none"]), **parent["defaults"]}
        filled |= {field: value for field, value in defaults.items() if _numbers(since.get(field, "0")) <= release}
    given = dict(config)
    old = given.pop("invertible_adapter", None) if name == "bottleneck" else None
    if old:  # what adapter-transformers 1 wrote
        filled |= {"inv_adapter": old["block_type"], "inv_adapter_reduction_factor": old["reduction_factor"]}
    lacking = [field for field in entry["required"] if field not in given]
    if lacking:
        raise ConfigRefused("TypeError", _lacks(entry["class"], lacking), lacking[0])
    known = {*filled, *entry["required"]}
    return name, filled | {field: value for field, value in given.items() if field in known}


def _flat(config: Mapping[str, Any] | str, card: Mapping[str, Any], release: tuple[int, ...]) -> list[dict[str, Any]]:
    if isinstance(config, str):
        return _named(config, card, release)
    if config.get("architecture") != "union":
        return [{field: value for field, value in config.items() if field not in card["attributes"]["unsaved"]}]
    for inner in config["configs"]:
        if not isinstance(inner, Mapping):
            raise ConfigRefused("AttributeError", f"'{type(inner).__name__}' object has no attribute 'get'", "configs")
    return [each for inner in config["configs"] for each in _flat(inner, card, release)]


def _validate(configs: list[Any]) -> None:
    """What a union takes (`ConfigUnion.validate`): no unions, and each method once for a place."""
    for each in configs:
        if each.get("architecture") == "union":
            raise ConfigRefused("TypeError", "is not supported in a config union.", "configs")
    for number, first in enumerate(configs):
        for second in configs[:number]:
            same = first.get("architecture") == second.get("architecture")
            if not same or first.get("leave_out") or second.get("leave_out"):
                continue
            bottlenecks = first.get("architecture") is None
            if bottlenecks and all(first.get(place) != second.get(place) for place in ("mh_adapter", "output_adapter")):
                continue
            text = (
                "cannot be combined." if bottlenecks else "have the same adapter architecture and cannot be combined."
            )
            raise ConfigRefused("ValueError", text, "configs")


def _named(name: str, card: Mapping[str, Any], release: tuple[int, ...]) -> list[dict[str, Any]]:
    """The configs that a name stands for, as a file would have them."""
    if "[" in name or "|" in name:  # a formula of names, which only this parser of the library's would need
        raise ValueError(name)
    entry = card["names"].get(name)
    if entry is None or _numbers(entry.get("release", "0")) > release:
        raise ConfigRefused("ValueError", f"Could not identify '{name}' as a valid adapter configuration.", "config")
    inner = _named(entry["like"], card, release) if "like" in entry else entry["parts"]
    changes = entry.get("with", [{}] * len(inner))
    return [{**each, **change} for each, change in zip(inner, changes, strict=True)]


def _class_of(architecture: Any, card: Mapping[str, Any], release: tuple[int, ...]) -> str:
    """The class that an architecture names; before 1.2.0 an unknown one is taken for a bottleneck's."""
    for name, entry in card.items():
        known = "class" in entry and _numbers(entry.get("release", "0")) <= release
        if known and entry.get("architecture") == architecture:
            return str(name)
    if release < (1, 2):
        return "bottleneck"
    raise ConfigRefused("KeyError", repr(architecture))


def _lacks(name: str, fields: list[str]) -> str:
    """Python's own text for a call that lacks arguments."""
    quoted = [f"'{field}'" for field in fields]
    listed = (
        quoted[0] if len(quoted) == 1 else ", ".join(quoted[:-1]) + ("," * (len(quoted) > 2)) + f" and {quoted[-1]}"
    )
    plural = "s" if len(quoted) > 1 else ""
    return f"{name}.__init__() missing {len(quoted)} required positional argument{plural}: {listed}"


def _numbers(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in version.split(".") if part.isdigit())
