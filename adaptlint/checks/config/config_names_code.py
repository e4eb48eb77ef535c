"""Config values that a loader would import or trust: told without importing anything."""

from __future__ import annotations

from collections.abc import Iterator

from adaptlint.findings import Fact, Fault, Where
from adaptlint.graph import Adapter, Scene

# PEFT 0.21.2: the default import_allowlist of AutoPeftModel (auto.py), and of megatron_core
# (tuners/lora/tp_layer.py). PEFT itself is imported already.
LIBRARIES = ("transformers", "diffusers", "lerobot", "megatron-core", "peft")
MEGATRON = ("megatron",)


def check(scene: Scene) -> Iterator[Fault]:
    """One fault per value that names code outside the libraries that PEFT allows, or asks to trust code."""
    for adapter in scene.adapters:
        for route, value, effect in _values(adapter):
            where = Where(f"{adapter.path}/adapter_config.json", route)
            facts: dict[str, Fact] = {
                "field": ".".join(route),
                "value": str(value)[:200],
                "effect": effect,
            }
            yield Fault("", adapter.name, at=where, facts=facts)


def _values(adapter: Adapter) -> Iterator[tuple[tuple[str, ...], object, str]]:
    given = adapter.given
    mapping = given.get("auto_mapping")
    library = mapping.get("parent_library") if isinstance(mapping, dict) else None
    if isinstance(library, str) and not _of(library, LIBRARIES):
        effect = "AutoPeftModel of PEFT before 0.20 imports that module, later releases refuse"
        yield ("auto_mapping", "parent_library"), library, effect
    core = given.get("megatron_core")
    if given.get("megatron_config") and isinstance(core, str) and not _of(core, MEGATRON):
        yield ("megatron_core",), core, "PEFT before 0.20 imports that module, later releases refuse"
    keywords = given.get("tokenizer_kwargs")
    nested = keywords.get("trust_remote_code") if isinstance(keywords, dict) else None
    for route, value in (
        (("tokenizer_kwargs", "trust_remote_code"), nested),
        (("trust_remote_code",), given.get("trust_remote_code")),
    ):
        if value:
            yield route, value, "PEFT before 0.18 hands it to the tokenizer, which then runs code of its repository"


def _of(name: str, libraries: tuple[str, ...]) -> bool:
    return name.split(".")[0] in libraries
