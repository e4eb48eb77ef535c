"""Small adapter folders for tests of the doors: healthy, of a wrong rank, and as git-lfs leaves them."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

from adaptlint.testing import build, read_recipe
from tests.conftest import ROOT

BASES = ROOT / "fixtures" / "bases"
BASE = str(BASES / "tiny-llama" / "config.json")
LOCK = BASES / "tiny-llama.lock.json"
POINTER = (
    "version https://git-lfs.github.com/spec/v1\noid sha256:4cac19622fc3ada9c0fdeadb33f88f367b541f38\nsize 123456\n"
)

_RECIPE = """
base = "tiny-llama"
[config]
r = {rank}
target_modules = ["q_proj"]
base_model_name_or_path = "{named}"
[[tensors]]
modules = "model.layers.{{0-2}}.self_attn.q_proj"
rank = 4
in = 32
out = 32
"""


def write_adapter(folder: Path, rank: int = 4, named: str = "nobody/nothing") -> Path:
    """A LoRA of rank 4 for tiny-llama whose config says `rank`; any other than 4 is AL301."""
    built = build(
        read_recipe(_RECIPE.format(rank=rank, named=named)), str(folder.parent / f".{folder.name}"), str(BASES)
    )
    folder.parent.mkdir(parents=True, exist_ok=True)
    shutil.move(built.adapter, folder)
    shutil.rmtree(folder.parent / f".{folder.name}")
    return folder


def write_pointer(folder: Path) -> Path:
    """An adapter whose weights are a git-lfs pointer."""
    (write_adapter(folder) / "adapter_model.safetensors").write_text(POINTER)
    return folder


def set_rank(folder: Path, rank: int) -> None:
    """Change what the config says."""
    path = folder / "adapter_config.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), "r": rank}, indent=2))
