"""Adapters made by the installed AdapterHub library, broken in many ways and loaded again.

    python -m tests.hub.breaking BASES OUT [--every N]

BASES holds folders <base>/config.json with <base>/case_base.json ({"declared": class}). What is written is a table of
adapters (config and shapes) and of cases: an adapter's key, the edits that break it, what the library then did.
Of adaptlint only the worker of replay is imported.
"""

from __future__ import annotations

import argparse
import copy
import json
import random
import tempfile
import zlib
from pathlib import Path
from typing import Any

import adapters
import torch

from adaptlint.replay.worker.hub_loads import load
from tests.hub.edits import edited
from tests.hub.method_configs import METHODS
from tests.hub.play import Record, wrapped

WHOLE: list[list[list[Any]]] = [
    [],
    [["load_as", "other"]],
    [["safe"]],
    [["safe", "both"]],
    [["top", "model_type", "opt"], ["top", "hidden_size", 64]],
    [["top", "version", "adapters.1.0.0"]],
    [["top", "name", "another"]],
    [["untop", "config"]],
    [["untop", "name"]],
    [["top", "config", None]],
    [["top", "config", "pfeiffer"]],
    [["top", "config", "nonsense"]],
    [["put", "architecture", "nonsense"]],
    [["put", "some_new_field", 3]],
    [["put", "leave_out", [0]]],
    [["put", "r", 3]],
    [["put", "composition_mode", "scale"]],
    [["put", "init_weights", "nonsense"]],
    [["put", "reduction_factor", 2]],
    [["put", "attn_matrices", ["q"]]],
    [["put", "attn_matrices", ["q", "k", "v", "o"]]],
    [["put", "mh_adapter", True]],
    [["put", "scaling", 2]],
    [["put", "flat", True]],
    [["put", "prefix_length", 5]],
    [["put", "use_gating", True]],
    [["put", "ln_after", True]],
    [["put", "original_ln_after", False]],
    [["unput", "non_linearity"]],
    [["unput", "r"]],
    [["prefixed", "model."]],
    [["prefixed", "bert."]],
    [["unprefixed"]],
    [["add", "classifier.weight", [3, 3]]],
    [["add", "encoder.layer.9.output.dense.loras.ada.lora_A", [4, 32]]],
    [["clear"]],
]


def spread(keys: list[str], source: random.Random) -> list[list[list[Any]]]:
    """Edits of single tensors, chosen by chance."""
    one, two, three, four = (source.choice(keys) for _ in range(4))
    layer = [key for key in keys if ".1." in key]
    return [
        [["drop", one]],
        [["drop", key] for key in layer],
        [["rename", two, two + "_old"]],
        [["resize", three, 1]],
        [["resize", four, 0]],
        [["drop", one], ["add", "some.thing.weight", [2]]],
    ]


class Values:
    """Tensors of random numbers."""

    def __call__(self, shape: list[int]) -> torch.Tensor:
        """One of that shape."""
        return torch.randn(shape)

    def shape_of(self, tensor: torch.Tensor) -> tuple[int, ...]:
        """Its shape."""
        return tuple(tensor.shape)


def write(folder: Path, config: Record, tensors: Record, edits: list[list[Any]]) -> None:
    """An adapter folder; `safe` edits say which weight files there are."""
    from safetensors.torch import save_file

    folder.mkdir(parents=True)
    (folder / "adapter_config.json").write_text(json.dumps(config))
    kinds = [edit[1:] for edit in edits if edit[0] == "safe"]
    if not kinds or kinds[0]:
        torch.save(tensors, folder / "pytorch_adapter.bin")
    if kinds:
        save_file({key: each.clone().contiguous() for key, each in tensors.items()}, folder / "adapter.safetensors")


def made(base: Path, name: str, config: Record) -> tuple[Record, Record] | str:
    """An adapter of that method as the library saves it; what it raises instead as text."""
    model = wrapped(base / "config.json", name)
    try:
        model.add_adapter("ada", config=copy.deepcopy(config))
        with tempfile.TemporaryDirectory() as place:
            model.save_adapter(place, "ada", **({} if model.base_model is model else {"with_head": False}))
            told = json.loads((Path(place) / "adapter_config.json").read_text())
            tensors = torch.load(Path(place) / "pytorch_adapter.bin", weights_only=True)
    except Exception as problem:
        return f"{type(problem).__name__}: {problem}"[:200]
    fresh: dict[tuple[Any, ...], torch.Tensor] = {}
    for value in tensors.values():  # names of one storage stay names of one storage
        fresh.setdefault((value.data_ptr(), value.shape), torch.randn(value.shape))
    return {**told, "config": config}, {k: fresh[v.data_ptr(), v.shape] for k, v in tensors.items()}


def tried(base: Path, name: str, config: Record, tensors: Record, edits: list[list[Any]]) -> Record:
    """What the library does with the broken adapter."""
    config, tensors = edited(config, tensors, edits, Values())
    load_as = next((edit[1] for edit in edits if edit[0] == "load_as"), "ada")
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place) / "adapter"
        write(folder, config, tensors, edits)
        model = wrapped(base / "config.json", name)
        record = load(model, str(folder), load_as, tensors)
    if "error" in record:
        record["error"]["message"] = record["error"]["message"].replace(str(folder), "FOLDER")
    return record


def main() -> None:
    """Make, break, load, write."""
    options = argparse.ArgumentParser()
    options.add_argument("bases", type=Path)
    options.add_argument("out", type=Path)
    options.add_argument("--every", type=int, default=1)
    asked = options.parse_args()
    found: Record = {"version": adapters.__version__, "adapters": {}, "cases": [], "refused": {}}
    for base in sorted(asked.bases.iterdir()):
        name = json.loads((base / "case_base.json").read_text())["declared"]
        for method, config in METHODS.items():
            key = f"{base.name}|{method}"
            adapter = made(base, name, config)
            if isinstance(adapter, str):
                found["refused"][key] = adapter
                config, tensors = {"config": config, "name": "ada", "version": "adapters.9"}, Record()
            else:
                config, tensors = adapter
            found["adapters"][key] = [config, {each: list(value.shape) for each, value in tensors.items()}]
            source = random.Random(zlib.crc32(key.encode()))
            edits = WHOLE if tensors else WHOLE[:1]
            edits = [*edits, *(spread(list(tensors), source) if tensors else [])]
            chosen = [each for each in edits if each == [] or source.random() < 1 / asked.every]
            for each in chosen:
                found["cases"].append([key, each, tried(base, name, config, tensors, each)])
        print(base.name, len(found["cases"]), flush=True)
        asked.out.write_text(json.dumps(found))


if __name__ == "__main__":
    main()
