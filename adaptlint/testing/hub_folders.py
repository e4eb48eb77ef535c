"""AdapterHub adapter folders from a recipe's `hub` table, without the library and without torch."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence

from adaptlint.hints import Any
from adaptlint.testing.torch_writing import write_torch
from adaptlint.testing.writing import Entry, write_safetensors

WEIGHTS = "pytorch_adapter.bin"
SAFE_WEIGHTS = "adapter.safetensors"
HEAD = ("head_config.json", "pytorch_model_head.bin")
# What `build_full_config` writes beside "config"; a recipe's `hub` table changes or, with "<unset>", removes fields.
USUAL: dict[str, Any] = {
    "hidden_size": 32,
    "model_class": "BertModel",
    "model_name": "",
    "model_type": "bert",
    "name": "style",
    "version": "adapters.1.3.0",
}
UNSET = "<unset>"
OF_FILES = ("weights", "head")


def write_hub_adapter(folder: str, hub: Mapping[str, Any], entries: Sequence[Entry], seed: int) -> None:
    """Write the config, the tensors and a head's files into the folder; `weights` is bin, safetensors, both or none."""
    fields = {**USUAL, **{name: value for name, value in hub.items() if name not in OF_FILES}}
    _write_json(os.path.join(folder, "adapter_config.json"), {k: v for k, v in fields.items() if v != UNSET})
    kinds = hub.get("weights", "bin")
    if kinds in ("bin", "both"):
        write_torch(os.path.join(folder, WEIGHTS), entries, seed)
    if kinds in ("safetensors", "both"):
        write_safetensors(os.path.join(folder, SAFE_WEIGHTS), entries, seed=seed)
    head = hub.get("head")
    if head is not None:
        about = {name: value for name, value in head.items() if name != "tensors"}
        _write_json(os.path.join(folder, HEAD[0]), {**USUAL, "name": None, "config": None, **about})
        rows = [Entry(name, "F32", tuple(shape), "random") for name, shape in head["tensors"].items()]
        write_torch(os.path.join(folder, HEAD[1]), rows, seed)


def _write_json(path: str, value: Mapping[str, Any]) -> None:
    with open(path, "w", encoding="utf-8") as file:
        json.dump(value, file, indent=2, sort_keys=True)
        file.write("\n")
