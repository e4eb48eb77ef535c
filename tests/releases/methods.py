"""What the installed PEFT's methods look like: `python -m tests.releases.methods OUT.json`.

For every method that it has: the fields of its config with their defaults, and the tensors of adapters that it saves.
It runs where there is nothing but PEFT and transformers, so nothing of adaptlint is imported.
"""

from __future__ import annotations

import dataclasses
import enum
import json
import re
import sys
import tempfile
from pathlib import Path
from typing import Any

import peft
import torch
from peft import mapping

from tests.differential.folders import model_of
from tests.methods.settings import QV, SETTINGS

BASE = Path(__file__).resolve().parents[2] / "fixtures" / "bases" / "tiny-llama"
LAYER = re.compile(r"\.layers\.\d+\.")
OLDER: dict[str, list[dict[str, Any]]] = {  # what only older releases take
    "BONE": [{"r": 4, **QV}, {"r": 4, "init_weights": "bat", **QV}],
    "OFT": [{"r": 4, "block_share": share, **QV} for share in (False, True)],
    "VERA": [{"r": 4, "target_modules": ["v_proj"], "task_type": "CAUSAL_LM"}],
}
Fields = dict[str, Any]


def fields_of(config_class: Any) -> Fields:
    """Every field with its default."""
    found = {}
    for field in dataclasses.fields(config_class):
        value = field.default if field.default_factory is dataclasses.MISSING else field.default_factory()
        if field.name != "runtime_config":
            found[field.name] = value.value if isinstance(value, enum.Enum) else value
    return found


def saved(config_class: Any, settings: Fields) -> dict[str, Any]:
    """The config and tensors of an adapter as PEFT saves it, or why it makes none; equal layers are told once."""
    given = {name: value for name, value in settings.items() if name in fields_of(config_class)}
    try:
        model = peft.get_peft_model(model_of(BASE, "AutoModelForCausalLM"), config_class(**given))
    except Exception as problem:
        return {"config": given, "error": [type(problem).__name__, str(problem).splitlines()[0]]}
    with tempfile.TemporaryDirectory() as folder:
        model.save_pretrained(folder, safe_serialization=False)
        (file,) = Path(folder).rglob("adapter_model.bin")
        tensors = torch.load(file, weights_only=True)
    layers: dict[tuple[str, tuple[int, ...]], list[int]] = {}
    for key, tensor in tensors.items():
        row = layers.setdefault((LAYER.sub(".layers.*.", key), tuple(tensor.shape)), [])
        row += [int(number[8:-1]) for number in LAYER.findall(key)]
    return {"config": given, "tensors": [[key, shape, numbers] for (key, shape), numbers in layers.items()]}


def main(out: str) -> None:
    """Write down every method of this release."""
    told = {}
    for name, config_class in mapping.PEFT_TYPE_TO_CONFIG_MAPPING.items():
        peft_type = getattr(name, "value", name)
        row: dict[str, Any] = {"class": config_class.__name__, "fields": fields_of(config_class)}
        if peft_type not in ("LORA", "LORAPLUS", "XLORA"):
            default = [{"r": 4, **QV}]
            tried = [*SETTINGS.get(peft_type, default), *OLDER.get(peft_type, ())]
            row["adapters"] = [saved(config_class, settings) for settings in tried]
        told[peft_type] = row
    Path(out).write_text(json.dumps(told))


if __name__ == "__main__":
    main(*sys.argv[1:])
