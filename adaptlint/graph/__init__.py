"""The scene: what was given, joined. The exports of the module graph live in `graph.export`."""

from adaptlint.graph.scene import Adapter, Scene

__all__ = ["Adapter", "Scene"]
