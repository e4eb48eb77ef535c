"""The configuration as arguments of `adaptlint.check`, for callers without a command line."""

from __future__ import annotations

import os

from adaptlint.hints import Any
from adaptlint.settings.ignores import read_ignores
from adaptlint.settings.loading import Settings

SAME = ("transformers", "task", "attn", "mask", "values", "severities", "offline", "cache")
"""Keys that are called the same there."""


def check_arguments(settings: Settings) -> dict[str, Any]:
    """Arguments of `adaptlint.check`. A baseline that does not exist is left out."""
    baseline = settings.get("baseline")
    path = settings.local(baseline) if baseline else None
    selected = settings.get("select")
    return {
        **{key: settings.get(key) for key in SAME},
        "targets": tuple(settings.get("targets")),
        "model_class": settings.get("model-class"),
        "select": [*selected, *settings.get("extend-select")] if selected else [],
        "ignore": [*settings.get("ignore"), *settings.get("extend-ignore")],
        "ignores": read_ignores(settings.get("ignores"), settings.root, settings.path),
        "baseline": path if path and os.path.exists(path) else None,
    }
