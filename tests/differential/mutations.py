"""What happens to adapter folders on their way to a user: each function is one way, and its name is its id."""

from __future__ import annotations

import json
import random
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import torch
from safetensors.torch import load_file, save_file

CONFIG = "adapter_config.json"
WEIGHTS = "adapter_model.safetensors"
PREFIX = "base_model.model."


class Folder(NamedTuple):
    """A healthy adapter folder in memory; `apart` holds files to be written as bytes, None for those to be removed."""

    config: dict[str, Any]
    tensors: dict[str, torch.Tensor]
    apart: dict[str, bytes | None]
    source: random.Random

    def some(self) -> str:
        """The name of one tensor."""
        return self.source.choice(sorted(self.tensors))

    def rename(self, change: Callable[[str], str]) -> None:
        """Give every tensor a new name."""
        renamed = {change(name): value for name, value in self.tensors.items()}
        self.tensors.clear()
        self.tensors.update(renamed)


Mutation = Callable[[Folder], None]


def drop_one(f: Folder) -> None:
    del f.tensors[f.some()]


def drop_layer(f: Folder) -> None:
    found = re.search(r"\.(\d+)\.", f.some())
    for name in [n for n in f.tensors if found and found[0] in n]:
        del f.tensors[name]


def drop_side(f: Folder) -> None:
    side = f.source.choice(["lora_A", "lora_B", "lora_magnitude_vector"])
    for name in [n for n in f.tensors if side in n]:
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
    f.rename(lambda name: re.sub(r"\.(weight|bias)$", rf".{word}.\1", name) if "lora_" in name else name)


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
    f.tensors[name] = torch.randn(*old.shape[:-1], old.shape[-1] + 1)


def reshape_first(f: Folder) -> None:
    name = f.some()
    old = f.tensors[name]
    f.tensors[name] = torch.randn(old.shape[0] + 2, *old.shape[1:])


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
        f.tensors[name] = (value * 50).to(torch.int8)


def zero_all(f: Folder) -> None:
    for name, value in f.tensors.items():
        if "lora_B" in name or "embedding_B" in name:
            f.tensors[name] = torch.zeros_like(value)


def not_a_number(f: Folder) -> None:
    f.tensors[f.some()].reshape(-1)[0] = f.source.choice([float("nan"), float("inf")])


def rank_changed(f: Folder) -> None:
    f.config["r"] = f.config["r"] + 1


def rank_odd(f: Folder) -> None:
    f.config["r"] = f.source.choice([0, -1, None, "8", 4.0, [4]])


def rank_missing(f: Folder) -> None:
    f.config.pop("r")


def rank_pattern_lost(f: Folder) -> None:
    f.config["rank_pattern"] = {}


def rank_pattern_added(f: Folder) -> None:
    f.config["rank_pattern"] = {f.some().split(".lora_")[0].rsplit(".", 1)[-1]: 7}


def alpha_pattern_idle(f: Folder) -> None:
    f.config["alpha_pattern"] = {"no_such_module": 3}


def alpha_odd(f: Folder) -> None:
    f.config["lora_alpha"] = f.source.choice([0, None, "16", 1.5, -4])


def target_dropped(f: Folder) -> None:
    targets = f.config["target_modules"]
    if isinstance(targets, list):
        targets.remove(f.source.choice(targets))


def target_added(f: Folder) -> None:
    targets = f.config["target_modules"]
    if isinstance(targets, list):
        targets.append(f.source.choice(["no_such_proj", "down_proj", "dense", "fc1", "lm_head", "c_proj"]))


def target_nothing(f: Folder) -> None:
    f.config["target_modules"] = f.source.choice([["no_such_proj"], "no_such_proj", [], "q_proj", ".*no_such"])


def target_odd(f: Folder) -> None:
    f.config["target_modules"] = f.source.choice([None, "(", "all-linear", ["all-linear"], {"q_proj": 1}, 5])


def exclude_added(f: Folder) -> None:
    leaf = f.some().split(".lora_")[0].rsplit(".", 1)[-1]
    f.config["exclude_modules"] = f.source.choice([[leaf], rf".*\.0\..*{leaf}", ["no_such_module"], ".*"])


def save_added(f: Folder) -> None:
    f.config["modules_to_save"] = f.source.choice(
        [["lm_head"], ["classifier"], ["no_such"], ["embed_tokens"], ["norm"]]
    )


def save_lost(f: Folder) -> None:
    f.config["modules_to_save"] = None


def task_changed(f: Folder) -> None:
    f.config["task_type"] = f.source.choice(
        [None, "CAUSAL_LM", "SEQ_CLS", "TOKEN_CLS", "QUESTION_ANS", "SEQ_2_SEQ_LM", "FEATURE_EXTRACTION", "TEXT_GEN"]
    )


def dora_toggled(f: Folder) -> None:
    f.config["use_dora"] = not f.config["use_dora"]


def rslora_toggled(f: Folder) -> None:
    f.config["use_rslora"] = not f.config["use_rslora"]


def bias_changed(f: Folder) -> None:
    f.config["bias"] = f.source.choice(["none", "all", "lora_only", "some", None])


def init_changed(f: Folder) -> None:
    f.config["init_lora_weights"] = f.source.choice(["gaussian", False, "corda", "eva", "no_such", "pissa", None])


def layers_outside(f: Folder) -> None:
    f.config["layers_to_transform"] = f.source.choice([[9], [0], 0, [], [0, 9], 9])


def layers_pattern_added(f: Folder) -> None:
    f.config["layers_pattern"] = f.source.choice(["layers", "h", ["layer"], []])
    if f.source.random() < 0.6:
        f.config["layers_to_transform"] = [0, 1]


def replication_added(f: Folder) -> None:
    f.config["layer_replication"] = [[0, 1], [0, 2]]


def tokens_added(f: Folder) -> None:
    f.config["trainable_token_indices"] = f.source.choice([[1, 2], [500], {"no_such": [1]}])


def type_changed(f: Folder) -> None:
    f.config["peft_type"] = f.source.choice(["lora", "BONE", None, "NO_SUCH"])


def type_missing(f: Folder) -> None:
    f.config.pop("peft_type")


def keys_unknown(f: Folder) -> None:
    f.config.update({"from_the_future": True, "enable_lora": None})


def config_old(f: Folder) -> None:
    for key in list(f.config):
        if f.config[key] in (None, {}, False) and key not in ("task_type", "target_modules"):
            del f.config[key]


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


def harmless(f: Folder) -> None:
    f.config.update(inference_mode=False, base_model_name_or_path=None, lora_dropout=0.1, revision="main")


MUTATIONS: dict[str, Mutation] = {
    name: value
    for name, value in list(globals().items())
    if callable(value) and getattr(value, "__module__", "") == __name__ and not isinstance(value, type)
}


def apply(name: str, folder: Path, source: random.Random) -> None:
    """Read the folder, do that to it, write it back."""
    config = json.loads((folder / CONFIG).read_text())
    state = Folder(config, load_file(folder / WEIGHTS), {}, source)
    MUTATIONS[name](state)
    (folder / CONFIG).write_text(json.dumps(state.config, indent=2))
    save_file({key: value.contiguous() for key, value in state.tensors.items()}, folder / WEIGHTS, {"format": "pt"})
    for file, data in state.apart.items():
        if data is None:
            (folder / file).unlink()
        elif data == b"<cut>":
            whole = (folder / file).read_bytes()
            (folder / file).write_bytes(whole[: source.randint(0, len(whole) - 1)])
        else:
            (folder / file).write_bytes(data)
