"""AdapterFusion layers from their folders, as `load_adapter_fusion` loads them, on shapes.

Source: adapters 0.2.2 to 1.3.0, loading.py (`AdapterFusionLoader`), model_mixin.py (`add_adapter_fusion`),
methods/bottleneck.py (`add_fusion_layer`), methods/modeling.py (`BertFusion`), configuration/model_adapters_config.py
(`common_config_value`).
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence

from adaptlint.artefacts import Folder, Malformed, TensorFile, open_folder
from adaptlint.findings import Fact, Where
from adaptlint.hints import Any
from adaptlint.runtimes.adapters.hub_adapter import FUSION_CONFIG, UNREADABLE, fusion_in
from adaptlint.runtimes.adapters.hub_faults import faults_of_load
from adaptlint.runtimes.adapters.loading import Around, load_tensors
from adaptlint.runtimes.adapters.loads import HubLoads, clash
from adaptlint.runtimes.adapters.placing import Held
from adaptlint.runtimes.adapters.sites import Site
from adaptlint.runtimes.peft.refusal import NotModelled, Refusal

WEIGHTS = "pytorch_model_adapter_fusion.bin"
SAFE_WEIGHTS = "model_adapter_fusion.safetensors"
WITH_BIAS = {"query": True, "key": True, "value": False}
SIZES = ("hidden_size", "d_model", "n_embd", "dim")


def load_fusion(path: str, loads: HubLoads) -> tuple[str, bool]:
    """Load a fusion layer into the wrapped model; its name, and whether every tensor takes effect as saved.

    Raises Refusal where the library raises, NotModelled where it cannot be told.
    """
    folder = open_folder(path)
    if isinstance(folder, Malformed):
        raise NotModelled(folder.reason, at=Where(path))
    if WEIGHTS not in folder.names and SAFE_WEIGHTS not in folder.names:
        text = "Loading path should be a directory where AdapterFusion is saved."
        raise Refusal(
            "ValueError", text, "hub-files-missing", at=Where(path), facts={"found": sorted(folder.names)[:20]}
        )
    name, members, config = _config_of(folder, loads)
    held = dict(_parameters(name, members, config, loads))
    file = _tensors(folder)
    around = Around(loads.prefix, bool(loads.place.body), loads.base.parameters(), _others(loads))
    shapes = {key: row.shape for key, row in file.tensors.items()}
    result = load_tensors(held, shapes, (name, name), around, loads.release)
    about = loads.saved_for({"model_class": "a model", "model_type": None, **(_document(folder))})
    if result.mismatched:
        loads.mismatched.extend(result.mismatched)
        raise clash(result.mismatched, file, about)
    loads.left.extend(result.left)
    loads.ignored.extend(result.ignored)
    faults = [fault._replace(target="adapters") for fault in faults_of_load(held, file, result, (name, name), about)]
    loads.faults.extend(faults)
    loads.held[f"fusion {name}"] = held
    return name, not any(fault.decides for fault in faults)


def _document(folder: Folder) -> Mapping[str, Any]:
    document = folder.json(FUSION_CONFIG)
    value = None if isinstance(document, Malformed) else document.value
    return value if isinstance(value, dict) else {}


def _config_of(folder: Folder, loads: HubLoads) -> tuple[str, list[str], Mapping[str, Any]]:
    """Name, members and config; members are asked for before any tensor is read."""
    found, at = fusion_in(folder), Where(os.path.join(folder.path, FUSION_CONFIG))
    config = _document(folder).get("config")
    if found is None or not isinstance(config, dict) or not all(isinstance(config.get(k), bool) for k in WITH_BIAS):
        raise NotModelled("method-not-modelled", at=at, facts={"value": "a fusion's config of another form"})
    name, members = found
    if not loads.release.reached("1.1.0"):
        members = name.split(",")
    for member in members:
        if member not in loads.parts:
            text = f"No adapter with name '{member}' found. Make sure that an adapter with this name is loaded."
            facts: dict[str, Fact] = {"field": "adapter_names", "value": member}
            raise Refusal("ValueError", text, "hub-config-refused", at=at, facts=facts)
    return name, members, config


def _tensors(folder: Folder) -> TensorFile:
    """The file that is opened unless safetensors are asked for."""
    if WEIGHTS not in folder.names:
        raise Refusal("OSError", UNREADABLE, "hub-safetensors-not-asked-for", at=Where(folder.path))
    file = folder.tensors(WEIGHTS)
    if isinstance(file, Malformed):
        raise NotModelled(file.reason, at=Where(file.path))
    return file


def _others(loads: HubLoads) -> dict[str, Held]:
    return {key: row for rows in loads.held.values() for key, row in rows.items()}


def _parameters(
    name: str, members: Sequence[str], config: Mapping[str, Any], loads: HubLoads
) -> Iterator[tuple[str, Held]]:
    """A layer at every place where all members stand. Raises Refusal where they disagree about one."""
    size = next((loads.base.resolved_config[key] for key in SIZES if loads.base.resolved_config.get(key)), None)
    if not isinstance(size, int):
        raise NotModelled("method-not-modelled", facts={"value": "a fusion on a base without one hidden size"})
    for site in loads.place.sites:
        if site.kind == "bottleneck" and _is_common(site, members, loads):
            for key, shape in _layer(config, size):
                path = f"{site.module}.adapter_fusion_layer.{name}.{key}"
                yield path, Held(shape, path)


def _is_common(site: Site, members: Sequence[str], loads: HubLoads) -> bool:
    said = [_value(loads, member, str(site.location)) for member in members]
    if any(value != said[0] for value in said):
        text = f"All given adapters must define the same value for config attribute {site.location}."
        raise Refusal("ValueError", text, "hub-config-refused", facts={"field": str(site.location), "value": "several"})
    return bool(said[0])


def _value(loads: HubLoads, member: str, field: str) -> Any:
    """The field of a config; that of a union is the first part's that has it (`ConfigUnion.__getitem__`)."""
    found = (part.config[field] for part in loads.parts[member] if field in part.config)
    return next(found, None)


def _layer(config: Mapping[str, Any], size: int) -> Iterator[tuple[str, tuple[int, ...]]]:
    if not any(config[each] for each in WITH_BIAS):
        yield from (("dense.weight", (1, size)), ("dense.bias", (1,)))
    for each, has_bias in WITH_BIAS.items():
        if config[each]:
            yield f"{each}.weight", (size, size)
            if has_bias:
                yield f"{each}.bias", (size,)
