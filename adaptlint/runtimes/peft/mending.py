"""Configs that can only have meant one thing: a byte-order mark, targets that reach nothing.

`adaptlint fix` writes what is worked out here, and a fault promises a repair only where PEFT, run on shapes with the
mended config, makes of the adapter what was saved.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Mapping

from adaptlint.artefacts import Document, Malformed, TensorFile, parse_json
from adaptlint.artefacts.opening import read_whole
from adaptlint.artefacts.words import LIMITS
from adaptlint.bases import Base
from adaptlint.findings import Fault
from adaptlint.graph import Adapter, Scene
from adaptlint.graph.scene import CONFIG, weights_of
from adaptlint.hints import Any
from adaptlint.methods import has_method, load_method
from adaptlint.runtimes.peft.wrapped import PREFIX

BYTE_ORDER_MARK = b"\xef\xbb\xbf"
MARKED = "byte-order-mark"
TARGETS = (
    "targets-match-nothing",
    "targets-unspecified",
    "targets-are-letters",
    "list-holds-pattern",
    "string-holds-names",
)


def safety_of(fault: Fault, scene: Scene, base: Base, works: Callable[[Scene], bool]) -> str:
    """ "safe" where a config mended as here is all that the adapter lacks; `works` runs the load of a scene."""
    if fault.reason not in (*TARGETS, MARKED) or len(scene.adapters) != 1:
        return ""
    adapter = scene.adapters[0]
    config = without_mark(adapter) if fault.reason == MARKED else _retargeted(adapter, base)
    if config is None or isinstance(adapter.folder, Malformed):
        return ""
    document = parse_json(os.path.join(adapter.path, CONFIG), json.dumps(config).encode())
    if not isinstance(document, Document):
        return ""
    mended = Adapter(adapter.name, adapter.path, adapter.named)
    mended.folder = adapter.folder.drafted([document], [], ())
    return "safe" if works(Scene(scene.model_ref, scene.base, (mended,), scene.values, scene.task)) else ""


def without_mark(adapter: Adapter) -> dict[str, Any] | None:
    """The config's fields behind its byte-order mark; None where there are none."""
    path = os.path.join(adapter.path, CONFIG)
    data = read_whole(path, LIMITS.json_bytes)
    if not isinstance(data, bytes) or not data.startswith(BYTE_ORDER_MARK):
        return None
    read = parse_json(path, data.removeprefix(BYTE_ORDER_MARK))
    return read.value if isinstance(read, Document) and isinstance(read.value, dict) else None


def _retargeted(adapter: Adapter, base: Base) -> dict[str, Any] | None:
    weights = weights_of(adapter)
    names = named_targets(adapter.given, weights, base) if isinstance(weights, TensorFile) else None
    return None if names is None else {**adapter.given, "target_modules": names}


def named_targets(settings: Mapping[str, Any], weights: TensorFile, base: Base) -> list[str] | None:
    """target_modules for the modules that a file has tensors for; None where the base lacks one of them."""
    method = settings.get("peft_type")
    prefix = load_method(method).prefix if isinstance(method, str) and has_method(method) else ""
    paths = adapted_modules(weights.tensors, prefix) if prefix else []
    return short_names(paths, base) if paths and all(path in base.by_path for path in paths) else None


def adapted_modules(tensors: Mapping[str, object], prefix: str) -> list[str]:
    """Paths of the modules that a file has tensors of the method for, by PEFT's spelling of names."""
    found: dict[str, None] = {}
    for name in tensors:
        stem, _, _ = name.partition(f".{prefix}")
        if stem != name and stem.startswith(PREFIX):
            found[stem.removeprefix(PREFIX)] = None
    return list(found)


def short_names(paths: list[str], base: Base) -> list[str]:
    """The last names of the paths if these mean no other modules of the base, else the whole paths."""
    leaves = sorted({path.rpartition(".")[2] for path in paths})
    meant = {path for path in base.by_path if path.rpartition(".")[2] in leaves}
    return leaves if meant == {*paths} else sorted(paths)
