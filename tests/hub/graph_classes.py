"""What the installed transformers says of a config class: defaults, other names, and its own settings."""

from __future__ import annotations

import re
from collections.abc import Collection
from inspect import signature
from pathlib import Path
from typing import Any

from adaptlint.runtimes.adapters.recorded import flat
from tests.hub.graph_forward import plain
from tests.hub.graph_settings import UNREAD
from tests.hub.graph_specs import Spec

ASKED = re.compile(r"""(?:getattr|hasattr)\((?:self\.)?config, *["'](\w+)["']""")
TAKEN = re.compile(r"""kwargs\.(?:get|pop)\(["'](\w+)["']""")


class Known:
    """The config class of a spec; names are dotted where it has inner configs.

    `defaults` are what a missing key means; a value that the class makes from other keys has none.
    """

    def __init__(self, spec: Spec) -> None:
        from transformers import PretrainedConfig

        self.spec = spec
        self.config_class = _config_class(spec.model_type)
        everyones = PretrainedConfig().to_dict()
        self.defaults: dict[str, Any] = {}
        self.aliases: dict[str, dict[str, str]] = {}
        for head, model_type in {"": spec.model_type, **spec.inner}.items():
            own = _config_class(model_type)
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
        self.names = {*self.defaults, "num_labels"} | {name for name, _ in flat(self.told(nested(spec, {})))}

    def unnamed(self) -> set[str]:
        """Names that the code asks a config for, or takes out of what it is given, but that are none of the class's."""
        found: set[str] = set()
        for head, model_type in {"": self.spec.model_type, **self.spec.inner}.items():
            code, config_class = _sources(model_type)
            names = {*ASKED.findall(code + config_class), *TAKEN.findall(config_class)}
            found |= {f"{head}.{name}" if head else name for name in names}
        return {name for name in found if name not in self.names and name.rpartition(".")[2] not in UNREAD}

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


def _config_class(model_type: str) -> Any:
    """The config class of a type; a part of a model may have one that no auto class knows (CLIP before 4.48)."""
    from transformers import CONFIG_MAPPING, CLIPTextConfig

    return CLIPTextConfig if model_type == CLIPTextConfig.model_type else CONFIG_MAPPING[model_type]


def _sources(model_type: str) -> tuple[str, str]:
    """The code that reads a config of this type, the model's own of both libraries and everybody's; and the class."""
    import adapters  # type: ignore[import-not-found, unused-ignore]
    import transformers
    from transformers.models.auto.configuration_auto import model_type_to_module_name

    folder = "clip" if model_type == "clip_text_model" else model_type_to_module_name(model_type)
    hub, theirs = Path(adapters.__file__).parent, Path(transformers.__file__).parent
    own = [*(theirs / "models" / folder).glob("modeling_*.py"), *(hub / "models" / folder).glob("*.py")]
    shared = [theirs / f"{name}.py" for name in ("modeling_rope_utils", "modeling_attn_mask_utils", "masking_utils")]
    files = [*own, *shared, hub / "model_mixin.py", *(hub / "methods").glob("*.py")]
    code = "".join(file.read_text(encoding="utf-8") for file in files if file.exists())
    config_class = (theirs / "models" / folder).glob("configuration_*.py")
    return code, "".join(file.read_text(encoding="utf-8") for file in config_class)


def nested(spec: Spec, names: dict[str, Any]) -> dict[str, Any]:
    """A config.json of these dotted names."""
    config: dict[str, Any] = {"model_type": spec.model_type}
    for part, model_type in spec.inner.items():
        config[part] = {"model_type": model_type}
    for name, value in names.items():
        part, _, last = name.rpartition(".")
        (config[part] if part else config)[last] = value
    return config
