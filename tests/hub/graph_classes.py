"""What the installed transformers says of a config class: defaults, other names, and its own settings."""

from __future__ import annotations

from collections.abc import Collection
from inspect import signature
from typing import Any

from adaptlint.runtimes.adapters.recorded import flat
from tests.hub.graph_forward import plain
from tests.hub.graph_settings import UNREAD
from tests.hub.graph_specs import Spec


class Known:
    """The config class of a spec; names are dotted where it has inner configs.

    `defaults` are what a missing key means; a value that the class makes from other keys has none.
    """

    def __init__(self, spec: Spec) -> None:
        from transformers import CONFIG_MAPPING, PretrainedConfig

        self.spec = spec
        self.config_class = CONFIG_MAPPING[spec.model_type]
        everyones = PretrainedConfig().to_dict()
        self.defaults: dict[str, Any] = {}
        self.aliases: dict[str, dict[str, str]] = {}
        for head, model_type in {"": spec.model_type, **spec.inner}.items():
            own = CONFIG_MAPPING[model_type]
            self.aliases[head] = dict(own.attribute_map)
            parameters = signature(own.__init__).parameters.values()
            given = {one.name: one.default for one in parameters if one.default is not one.empty}
            told = own().to_dict() if head else self.told(nested(spec, {}))
            kept = {name: told.get(name) for name in everyones} | given
            own_parts = {f"{part}_dict" for part in spec.inner} | {*spec.inner} if not head else set()
            for name, value in kept.items():
                if name not in UNREAD and name not in own_parts:
                    self.defaults[f"{head}.{name}" if head else name] = value
        self.defaults = plain(self.defaults | {**spec.extra})
        self.names = {*self.defaults} | {name for name, _ in flat(self.told(nested(spec, {})))}

    def told(self, config: dict[str, Any]) -> dict[str, Any]:
        """The config as the class has it, every attribute of it."""
        given = {name: value for name, value in config.items() if name != "model_type"}
        told: dict[str, Any] = plain(self.config_class(**given).to_dict())
        return told

    def settings(self, config: dict[str, Any], sizes: Collection[str]) -> dict[str, Any]:
        """Everything of a config that is no size, with the class's values."""
        told = {name: value for name, value in flat(self.told(config)) if name in self.names}
        extra = {name: value for name, value in self.spec.extra.items() if name not in told}
        return {name: value for name, value in {**told, **extra}.items() if name not in sizes}


def nested(spec: Spec, names: dict[str, Any]) -> dict[str, Any]:
    """A config.json of these dotted names."""
    config: dict[str, Any] = {"model_type": spec.model_type}
    for part, model_type in spec.inner.items():
        config[part] = {"model_type": model_type}
    for name, value in names.items():
        part, _, last = name.rpartition(".")
        (config[part] if part else config)[last] = value
    return config
