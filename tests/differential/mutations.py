"""What happens to adapter folders on their way to a user: each function is one way, and its name is its id.

These change the tensors and the files; mutations_config.py changes the config.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable

import torch

from tests.differential.folder_state import CONFIG, PREFIX, WEIGHTS, Folder, is_own, noise, tail_of

Mutation = Callable[[Folder], None]


def drop_one(f: Folder) -> None:
    del f.tensors[f.some()]


def drop_layer(f: Folder) -> None:
    found = re.search(r"\.(\d+)\.", f.some())
    for name in [n for n in f.tensors if found and found[0] in n]:
        del f.tensors[name]


def drop_side(f: Folder) -> None:
    side = tail_of(f.some())
    for name in [n for n in f.tensors if tail_of(n) == side]:
        del f.tensors[name]


def drop_all(f: Folder) -> None:
    f.tensors.clear()


def prefix_missing(f: Folder) -> None:
    f.rename(lambda name: name.removeprefix(PREFIX))


def prefix_doubled(f: Folder) -> None:
    f.rename(lambda name: PREFIX + name)


def prefix_short(f: Folder) -> None:
    f.rename(lambda name: name.replace("base_model.model.model.", PREFIX, 1))


def prefix_wrapped(f: Folder) -> None:
    word = f.source.choice(["module.", "_orig_mod.", "_fsdp_wrapped_module."])
    f.rename(lambda name: word + name if f.source.random() < 0.5 else name.replace(PREFIX, PREFIX + word, 1))


def name_typo(f: Folder) -> None:
    victim = f.some()
    f.tensors[victim.replace("lora_A", "lora_a").replace("lora_B", "lora_b") + "x"] = f.tensors.pop(victim)


def adapter_name_left(f: Folder) -> None:
    word = f.source.choice(["default", "default", "mine"])
    f.rename(lambda name: re.sub(r"\.(weight|bias)$", rf".{word}.\1", name) if is_own(name) else f"{name}.{word}")


def layers_shifted(f: Folder) -> None:
    f.rename(lambda name: re.sub(r"\.(\d+)\.", lambda m: f".{int(m[1]) + 1}.", name, count=1))


def extra_unknown(f: Folder) -> None:
    f.tensors[f"{PREFIX}extra.layer.weight"] = torch.ones(3, 3)


def extra_surplus_layer(f: Folder) -> None:
    for name in [n for n in f.tensors if ".1." in n]:
        f.tensors[name.replace(".1.", ".7.", 1)] = f.tensors[name].clone()


def extra_statistics(f: Folder) -> None:
    f.tensors[f"{PREFIX}lm_head.weight"] = torch.full((96, 32), 0.01)


def reshape_last(f: Folder) -> None:
    name = f.some()
    old = f.tensors[name]
    f.tensors[name] = noise((*old.shape[:-1], old.shape[-1] + 1), old)


def reshape_first(f: Folder) -> None:
    name = f.some()
    old = f.tensors[name]
    f.tensors[name] = noise((old.shape[0] + 2, *old.shape[1:]), old)


def transposed(f: Folder) -> None:
    for name, value in f.tensors.items():
        f.tensors[name] = value.transpose(0, -1).contiguous()


def flattened(f: Folder) -> None:
    name = f.some()
    f.tensors[name] = f.tensors[name].reshape(-1)


def emptied(f: Folder) -> None:
    name = f.some()
    f.tensors[name] = torch.zeros(0)


def as_half(f: Folder) -> None:
    kind = f.source.choice([torch.float16, torch.bfloat16, torch.float64])
    for name, value in f.tensors.items():
        f.tensors[name] = value.to(kind)


def as_integers(f: Folder) -> None:
    for name, value in f.tensors.items():
        f.tensors[name] = (value * 50).to(torch.int8) if value.is_floating_point() else value


def zero_side(f: Folder) -> None:
    side = tail_of(f.some())
    for name, value in f.tensors.items():
        if tail_of(name) == side:
            f.tensors[name] = torch.zeros_like(value)


def zero_all(f: Folder) -> None:
    for name, value in f.tensors.items():
        if "lora_B" in name or "embedding_B" in name or "lora_A" not in name:
            f.tensors[name] = torch.zeros_like(value)


def not_a_number(f: Folder) -> None:
    name = f.source.choice([name for name in sorted(f.tensors) if f.tensors[name].is_floating_point()])
    f.tensors[name].reshape(-1)[:1] = f.source.choice([float("nan"), float("inf")])


def config_not_json(f: Folder) -> None:
    text = json.dumps(f.config, indent=2)
    broken = [text[:-5], text.replace(",", "", 1), "", "[]", "null", "{'r': 8}", "\ufeff" + text]
    f.apart[CONFIG] = f.source.choice(broken).encode()


def config_repeated(f: Folder) -> None:
    text = json.dumps(f.config, indent=2)
    f.apart[CONFIG] = (text[:-2] + ',\n  "r": 5\n}').encode()


def config_gone(f: Folder) -> None:
    f.apart[CONFIG] = None


def weights_gone(f: Folder) -> None:
    f.apart[WEIGHTS] = None


def weights_cut(f: Folder) -> None:
    f.apart[WEIGHTS] = b"<cut>"


def weights_not_safetensors(f: Folder) -> None:
    pointer = b"version https://git-lfs.github.com/spec/v1\noid sha256:" + b"0" * 64 + b"\nsize 4096\n"
    f.apart[WEIGHTS] = f.source.choice([b"", b"\0" * 4, pointer, b"<!DOCTYPE html>", b"\x08\0\0\0\0\0\0\0not json"])
