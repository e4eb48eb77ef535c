"""A base whose own weights have other shapes than its config says, as after pruning."""

from __future__ import annotations

from collections.abc import Iterator

from adaptlint.findings import Fact, Fault, Where
from adaptlint.graph import Scene


def check(scene: Scene) -> Iterator[Fault]:
    """One fault per parameter whose header entry and config disagree."""
    base = scene.known_base
    if base is None or base.headers is None:
        return
    config = base.config_file.path if base.config_file else base.ref
    for parameter, header, built in base.disagreements:
        facts: dict[str, Fact] = {
            "parameter": parameter,
            "header_shape": list(header),
            "config_shape": list(built),
            "leaf": parameter.rpartition(".")[0].rpartition(".")[2],
        }
        because = ((Where(config), f"the config builds {list(built)}"),)
        module = parameter.rpartition(".")[0]
        yield Fault("", module=module, at=Where(base.headers.path, (parameter,)), facts=facts, because=because)
