"""A key that stands twice in adapter_config.json: JSON readers keep the last one."""

from __future__ import annotations

from collections.abc import Iterator

from adaptlint.artefacts import Document
from adaptlint.findings import Fault, Where
from adaptlint.graph import Scene


def check(scene: Scene) -> Iterator[Fault]:
    """One fault per repeated key."""
    for adapter in scene.adapters:
        config = adapter.config
        if isinstance(config, Document):
            for route in config.duplicates:
                key = ".".join(str(part) for part in route)
                yield Fault("", adapter.name, at=Where(config.path, route), facts={"key": key}, repair="safe")
