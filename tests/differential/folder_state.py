"""An adapter folder in memory, for the mutations to change."""

from __future__ import annotations

import json
import random
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import torch
from safetensors.torch import load_file, save_file

CONFIG = "adapter_config.json"
WEIGHTS = "adapter_model.safetensors"
PREFIX = "base_model.model."
LEAVES = ("weight", "bias")


class Folder(NamedTuple):
    """A healthy adapter folder in memory; `apart` holds files to be written as bytes, None for those to be removed."""

    config: dict[str, Any]
    tensors: dict[str, torch.Tensor]
    apart: dict[str, bytes | None]
    source: random.Random

    def some(self) -> str:
        """The name of one tensor."""
        return self.source.choice(sorted(self.tensors))

    def module(self) -> str:
        """The last name of one adapted module."""
        return module_of(self.some()).rsplit(".", 1)[-1]

    def rename(self, change: Callable[[str], str]) -> None:
        """Give every tensor a new name."""
        renamed = {change(name): value for name, value in self.tensors.items()}
        self.tensors.clear()
        self.tensors.update(renamed)


def tail_of(name: str) -> str:
    """What of a tensor's name comes after the adapted module: one word, and a parameter's name if it has one."""
    parts = name.split(".")
    return ".".join(parts[-2:] if parts[-1] in LEAVES else parts[-1:])


def module_of(name: str) -> str:
    """What of a tensor's name comes before that."""
    return name.removesuffix(tail_of(name)).removesuffix(".")


def is_own(name: str) -> bool:
    """True if a parameter of the tensor's own module holds the values: `x.lora_A.weight`, not `x.ia3_l`."""
    return name.rsplit(".", 1)[-1] in LEAVES


def noise(shape: tuple[int, ...], like: torch.Tensor) -> torch.Tensor:
    """Random values; zeros where whole numbers are kept, because SHiRA writes to memory wherever its indices say."""
    return torch.randn(shape) if like.is_floating_point() else torch.zeros(shape, dtype=like.dtype)


def read(folder: Path, source: random.Random) -> Folder:
    """The folder as it is on disk."""
    return Folder(json.loads((folder / CONFIG).read_text()), load_file(folder / WEIGHTS), {}, source)


def write(state: Folder, folder: Path) -> None:
    """Write it back; a file that is to be cut is cut anywhere."""
    (folder / CONFIG).write_text(json.dumps(state.config, indent=2))
    save_file({key: value.contiguous() for key, value in state.tensors.items()}, folder / WEIGHTS, {"format": "pt"})
    for file, data in state.apart.items():
        if data is None:
            (folder / file).unlink()
        elif data == b"<cut>":
            whole = (folder / file).read_bytes()
            (folder / file).write_bytes(whole[: state.source.randint(0, len(whole) - 1)])
        else:
            (folder / file).write_bytes(data)
