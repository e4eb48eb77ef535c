"""Where the base's shapes come from: a lock, the cache, a shipped table, a build; its own headers on top, or alone."""

from __future__ import annotations

import os

from adaptlint.bases.base import Base, BaseProblem
from adaptlint.bases.store import base_key, cached_record, keep_record
from adaptlint.bases.wanted import asked_class
from adaptlint.findings import Fact, Where
from adaptlint.hints import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from adaptlint.artefacts import Document, Folder, Malformed, TensorFile

CONFIG = "config.json"
WEIGHTS = ("model.safetensors", "model.safetensors.index.json", "pytorch_model.bin")
"""A base's own weights, in the order in which transformers looks for them."""


def load_base(
    ref: str, *, model_class: str | None = None, task: str | None = None, cache: bool = True, offline: bool = True
) -> Base | BaseProblem:
    """The base that `ref` names: a model folder, a config.json, a shape lock or a hub id.

    `model_class` is a transformers class or Auto class name, `task` a PEFT task type; with neither, the config's
    first architecture is taken. Never raises for what is in the files.
    """
    asked = asked_class(model_class, task)
    place = _locate(ref, offline)
    if isinstance(place, BaseProblem):
        return place
    return _from_folder(ref, place, asked, cache) if os.path.isdir(place) else _from_file(ref, place, asked, cache)


def _locate(ref: str, offline: bool) -> str | BaseProblem:
    if not ref:
        return BaseProblem("base-not-named", {})
    if os.path.exists(ref):
        return ref
    from adaptlint.bases.hub import find_snapshot

    return find_snapshot(ref, offline)


def _from_file(ref: str, path: str, asked: str | None, cache: bool) -> Base | BaseProblem:
    from adaptlint.artefacts import Document, read_json
    from adaptlint.bases.lock import is_lock, read_lock

    document = read_json(path)
    if not isinstance(document, Document):
        return _malformed("base-config-malformed", document)
    value = document.value
    if is_lock(value) and isinstance(value, dict):
        held = read_lock(value, path)
        if isinstance(held, BaseProblem):
            return held
        return Base(ref, "lock", held[0], asked=held[1], config_file=document)
    return _from_config(ref, document, asked, cache)


def _from_folder(ref: str, path: str, asked: str | None, cache: bool) -> Base | BaseProblem:
    from adaptlint.artefacts import Document, Malformed, open_folder

    folder = open_folder(path)
    if isinstance(folder, Malformed):
        return _malformed("base-not-found", folder)
    headers, problem = _own_headers(folder)
    if CONFIG not in folder.names:
        if headers is None:
            return BaseProblem("base-config-missing", {"folder": path}, Where(path))
        return _headers_alone(ref, headers, {}, None, asked)
    document = folder.json(CONFIG)
    if not isinstance(document, Document):
        return _malformed("base-config-malformed", document)
    base = _from_config(ref, document, asked, cache)
    if isinstance(base, BaseProblem):
        if headers is None or not isinstance(document.value, dict) or base.reason not in _HEADERS_HELP:
            return base
        return _headers_alone(ref, headers, document.value, document, asked)
    base.header_problem = problem
    if headers is not None:
        from adaptlint.bases.headers import overlay_headers

        base.lay_over(headers, overlay_headers(base, headers))
    return base


_HEADERS_HELP = ("models-extra-missing", "base-class-unknown", "base-build-failed")


def _from_config(ref: str, document: Document, asked: str | None, cache: bool) -> Base | BaseProblem:
    config = document.value
    if not isinstance(config, dict) or not config:
        facts: dict[str, Fact] = {"fault": "config-not-an-object", "file": os.path.basename(document.path)}
        return BaseProblem("base-config-malformed", facts, Where(document.path))
    key = base_key(config, asked)
    record = cached_record(key) if cache else None
    source = "cache"
    if record is None:
        from adaptlint.bases.families import shipped_record

        record, source = shipped_record(config, asked), "shipped"
    if record is None:
        built = _build(config, asked)
        if isinstance(built, BaseProblem):
            return built._replace(at=Where(document.path))
        record, source = built, "meta"
        if cache:
            keep_record(key, record)
    return Base(ref, source, record, asked=asked, config=config, config_file=document)


def _build(config: dict[str, Any], asked: str | None) -> dict[str, Any] | BaseProblem:
    from importlib.util import find_spec

    missing = [name for name in ("torch", "transformers") if find_spec(name) is None]
    if missing:
        return BaseProblem("models-extra-missing", {"missing": missing})
    from adaptlint.bases.meta_build import build_record

    return build_record(config, asked)


def _own_headers(folder: Folder) -> tuple[TensorFile | None, Malformed | None]:
    from adaptlint.artefacts import Malformed

    for name in WEIGHTS:
        if name in folder.names:
            found = folder.tensors(name)
            return (None, found) if isinstance(found, Malformed) else (found, None)
    return None, None


def _headers_alone(
    ref: str, headers: TensorFile, config: dict[str, Any], document: Document | None, asked: str | None
) -> Base:
    from adaptlint.bases.inferred import infer_record

    record = infer_record(headers, config, asked)
    base = Base(ref, "headers", record, asked=asked, config=config, config_file=document)
    base.headers = headers
    return base


def _malformed(reason: str, malformed: Malformed) -> BaseProblem:
    told = {name: value for name, value in malformed.facts.items() if not name.startswith("library_")}
    facts: dict[str, Fact] = {**told, "fault": malformed.reason, "file": os.path.basename(malformed.path)}
    facts["excerpt"] = malformed.excerpt
    missing = {"missing-file": "base-config-missing"}.get(malformed.reason, reason)
    return BaseProblem(missing, facts, Where(malformed.path))
