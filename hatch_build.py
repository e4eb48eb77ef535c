"""Wheel build hook: compiles the TOML tables and the rule pages' cards into `adaptlint/_rules/bundle.jsonl`."""

from __future__ import annotations

import importlib.util
import os
import tempfile
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface


class CustomBuildHook(BuildHookInterface):  # type: ignore[type-arg]
    """Adds the compiled bundle to the wheel; a broken page or table stops the build."""

    PLUGIN_NAME = "custom"

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Compile and force-include the bundle; an editable install reads the checkout itself."""
        if self.target_name != "wheel" or version == "editable":
            return
        package = os.path.join(self.root, "adaptlint")
        spec = importlib.util.spec_from_file_location("bundle", os.path.join(package, "tables", "bundle.py"))
        if spec is None or spec.loader is None:
            raise FileNotFoundError("adaptlint/tables/bundle.py")
        bundle = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(bundle)
        tables = bundle.compiled(bundle.compile_tables(bundle.find_sources(package)))
        path = os.path.join(tempfile.mkdtemp(prefix="adaptlint-"), bundle.BUNDLE)
        with open(path, "wb") as stream:
            stream.write(tables)
        build_data["force_include"][path] = f"adaptlint/_rules/{bundle.BUNDLE}"
