"""What a folder of AdapterHub's library holds, told without a base: an adapter, its head, a fusion layer."""

from __future__ import annotations

from math import prod

from adaptlint.artefacts import BITS, Document, Folder, Malformed, TensorFile
from adaptlint.findings import fold_paths
from adaptlint.graph.portrait import CONFIG_NAME, Portrait
from adaptlint.hints import Any
from adaptlint.runtimes.adapters.hub_adapter import (
    FUSION_CONFIG,
    HEAD_CONFIG,
    HEADS,
    WEIGHT_NAMES,
    fusion_in,
    is_hub_config,
    method_of,
)

FUSION_WEIGHTS = ("pytorch_model_adapter_fusion.bin", "model_adapter_fusion.safetensors")
TOLD = ("name", "model_type", "model_class", "model_name", "hidden_size", "version")
SAVED = (
    ".pool.",
    ".prefix_tunings.",
    ".loras.",
    ".adapters.",
    ".refts.",
    ".prompt_tunings.",
    ".prefix_gates.",
    "invertible_adapters.",
)


def hub_portrait(folder: Folder) -> Portrait | None:
    """The adapter or the fusion layer in this folder; None where AdapterHub's library wrote neither."""
    for config_name, weight_names in ((CONFIG_NAME, WEIGHT_NAMES), (FUSION_CONFIG, FUSION_WEIGHTS)):
        if config_name not in folder.names:
            continue
        document = folder.json(config_name)
        if not isinstance(document, Document) or not isinstance(document.value, dict):
            continue
        if config_name == FUSION_CONFIG or is_hub_config(document.value):
            return _portrait(folder, config_name, document.value, weight_names)
    return None


def _portrait(folder: Folder, config_name: str, given: dict[str, Any], weight_names: tuple[str, ...]) -> Portrait:
    name = next((name for name in weight_names if name in folder.names), None)
    found = folder.tensors(name) if name else None
    file = found if isinstance(found, TensorFile) else None
    rows = list(file.tensors.values()) if file else []
    method, rank = ("fusion", None) if config_name == FUSION_CONFIG else method_of(given["config"])
    told = {key: given[key] for key in TOLD if given.get(key) not in (None, "")}
    if isinstance(rank, int):
        told["r"] = rank
    fusion = fusion_in(folder) if config_name == FUSION_CONFIG else None
    if fusion is not None:
        told["adapter_names"] = fusion[1]
    files = (config_name, name, HEAD_CONFIG, *HEADS)
    return Portrait(
        path=folder.path,
        format=f"adapterhub, {file.container}" if file else "adapterhub",
        method=method,
        config=told,
        scale=None,
        ranks={},
        tensors=len(rows),
        dtypes={dtype: sum(row.dtype == dtype for row in rows) for dtype in dict.fromkeys(row.dtype for row in rows)},
        bytes=sum(prod(row.shape) * BITS.get(row.dtype, 0) for row in rows) // 8,
        files={each: folder.names[each] for each in files if each in folder.names},
        others=fold_paths(modules_in(file)) if file else [],
        problems=[found] if isinstance(found, Malformed) else [],
    )


def modules_in(file: TensorFile) -> list[str]:
    """The modules that the tensors belong to, once each: paths up to the adapter's own part."""
    cut = (next((key.partition(part)[0] for part in SAVED if part in key), key) for key in file.tensors)
    return list(dict.fromkeys(path or "(embeddings)" for path in cut))
