"""Random LoRA configs that fit a base: what people write into `LoraConfig`, feature by feature."""

from __future__ import annotations

import random
from typing import Any, NamedTuple

import torch
from transformers.pytorch_utils import Conv1D

from tests.differential.architectures import Architecture, pristine

Config = dict[str, Any]

TASKS = {
    "AutoModelForCausalLM": "CAUSAL_LM",
    "AutoModelForSequenceClassification": "SEQ_CLS",
    "AutoModelForTokenClassification": "TOKEN_CLS",
    "AutoModelForQuestionAnswering": "QUESTION_ANS",
    "AutoModelForSeq2SeqLM": "SEQ_2_SEQ_LM",
    "AutoModel": "FEATURE_EXTRACTION",
}
HEADS = ("classifier", "score", "qa_outputs", "lm_head", "embed_out", "cls", "vocab_projector", "proj_out")
REPLICABLE = ("llama", "llama_tied", "mistral", "bert", "falcon", "gemma", "qwen2")


class Names(NamedTuple):
    """The modules of a base by what LoRA can do with them; full dotted paths."""

    linear: list[str]
    embedding: list[str]
    conv: list[str]
    norm: list[str]
    head: list[str]


def names_of(base: Architecture) -> Names:
    """Sort the modules of a base."""
    found = Names([], [], [], [], [])
    for path, module in pristine(base).named_modules():
        if path.split(".")[0] in HEADS:
            found.head.append(path)
        elif isinstance(module, (torch.nn.Linear, Conv1D)):
            found.linear.append(path)
        elif isinstance(module, torch.nn.Embedding):
            found.embedding.append(path)
        elif isinstance(module, (torch.nn.Conv1d, torch.nn.Conv2d)):
            found.conv.append(path)
        elif "norm" in type(module).__name__.lower():
            found.norm.append(path)
    return found


def leaves(paths: list[str]) -> list[str]:
    """Distinct last names, those that are words."""
    return sorted({path.rsplit(".", 1)[-1] for path in paths if not path.rsplit(".", 1)[-1].isdigit()})


def random_targets(names: Names, source: random.Random) -> Any:
    """Target modules as a list of names, of full paths, a regex, all-linear, or PEFT's own default."""
    words = leaves(names.linear) or leaves(names.conv)
    some = source.sample(words, min(len(words), source.randint(1, 4)))
    style = source.random()
    if style < 0.1:
        return None
    if style < 0.22 and names.linear:
        return "all-linear"
    if style < 0.37:
        return rf".*\.({'|'.join(sorted(some))})"
    if style < 0.47:
        paths = names.linear or names.conv
        return source.sample(paths, min(len(paths), source.randint(1, 5)))
    if style < 0.57:
        some += leaves(names.embedding)[:1]
    elif style < 0.62:
        some += leaves(names.conv)[:1]
    return some


def pattern_key(targets: Any, names: Names, source: random.Random) -> str:
    """A key for rank_pattern or alpha_pattern: a leaf, a path, the tail of a path, or a regex."""
    path = source.choice(names.linear or names.conv)
    parts = path.split(".")
    leaf = source.choice(targets) if isinstance(targets, list) and targets else parts[-1]
    tail = ".".join(parts[-source.randint(1, len(parts)) :])
    return source.choice([leaf, path, tail, rf".*\.0\..*{parts[-1]}", f"^{path}"])


def layered(config: Config, names: Names, source: random.Random) -> None:
    """Restrict the config to layers, exclude modules, or repeat layers."""
    if isinstance(config["target_modules"], list) and source.random() < 0.12:
        config["layers_to_transform"] = source.choice([0, 1, [0], [1], [0, 1]])
        if source.random() < 0.3:
            config["layers_pattern"] = source.choice(["layers", "layer", ["h", "layers"]])
    if source.random() < 0.12:
        word = source.choice(leaves(names.linear) or leaves(names.conv))
        config["exclude_modules"] = source.choice(
            [[word], rf".*\.0\..*{word}", [source.choice(names.linear or [word])]]
        )


def saved(config: Config, names: Names, source: random.Random) -> None:
    """Modules trained whole, biases, and single rows of an embedding."""
    if source.random() < 0.15:
        pool = [path for path in names.head if "." not in path] + leaves(names.norm) + leaves(names.embedding)
        config["modules_to_save"] = source.sample(pool, 1) if pool else None
    if source.random() < 0.1:
        config["bias"] = source.choice(["all", "lora_only"])
    if names.embedding and source.random() < 0.08:
        rows = sorted(source.sample(range(3, 60), 3))
        config["trainable_token_indices"] = source.choice([rows, {names.embedding[0].rsplit(".", 1)[-1]: rows}])


def flavoured(config: Config, source: random.Random) -> str:
    """Give the config a variant and return the method's name in the id."""
    if source.random() < 0.12:
        config["init_lora_weights"] = source.choice(["gaussian", False, "olora", "pissa", "orthogonal"])
    if source.random() < 0.06:
        config["lora_bias"] = True
        config["init_lora_weights"] = True
    if source.random() < 0.18 and not config.get("lora_bias"):
        config["use_dora"] = True
        return "dora"
    if source.random() < 0.12:
        config["use_rslora"] = True
        return "rslora"
    return "lora"


def random_config(base: Architecture, source: random.Random) -> tuple[str, Config]:
    """The method's name and the arguments of LoraConfig; PEFT itself may still refuse the combination."""
    names = names_of(base)
    targets = random_targets(names, source)
    config: Config = {
        "r": source.choice([1, 2, 3, 4, 4, 8]),
        "lora_alpha": source.choice([1, 8, 16, 32, 12.5]),
        "lora_dropout": source.choice([0.0, 0.0, 0.05]),
        "target_modules": targets,
        "task_type": TASKS.get(base.auto) if source.random() < 0.7 else None,
    }
    if source.random() < 0.2:
        config["rank_pattern"] = {pattern_key(targets, names, source): source.choice([2, 5, 6])}
    if source.random() < 0.15:
        config["alpha_pattern"] = {pattern_key(targets, names, source): 24}
    layered(config, names, source)
    saved(config, names, source)
    if base.name in REPLICABLE and source.random() < 0.04:
        config["layer_replication"] = [[0, 1], [0, 2]]
    if base.name == "gpt2":
        config["fan_in_fan_out"] = source.random() < 0.7
    if base.name == "mixtral" and source.random() < 0.3:
        config.update(target_parameters=["mlp.experts.down_proj"], lora_dropout=0.0)
    return flavoured(config, source), config
