"""Small models of default configs: the first of several ways to make one that its class builds and that runs.

A tiny model as replay makes it; wider ones (grouped kernels want rows of 16 bytes); deeper ones (a hybrid needs a layer
of each kind); ones with their parts made tiny; two layers of their own width. What a default config leaves open, or
couples to a width, stands in small_bases.toml.
"""

from __future__ import annotations

import copy
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from adaptlint.replay.shrink import HEADS, LAYERS, WIDTHS, tiny
from adaptlint.replay.worker.models import answer, inputs_of

Config = dict[str, Any]
RECIPES: dict[str, dict[str, Any]] = tomllib.loads(Path(__file__).with_suffix(".toml").read_text(encoding="utf-8"))
WORDS = 128
NOTHING = 1e-4  # a model that answers with less shows no difference
LARGEST = 300_000_000  # parameters of a model that is examined; some twenty-five are made of it
EXPERTS = {"n_routed_experts": 8, "num_experts": 8, "num_local_experts": 8, "num_experts_per_tok": 2, "moe_topk": 2}
TOKENS = ("_token_id", "_token_index")
UNNAMED = ("dtype", "torch_dtype", "transformers_version", "out_features", "out_indices", "stage_names")


def candidates(whole: Config) -> Iterator[Config]:
    """Small configs, the smallest first."""
    usual = tiny(whole)
    if usual is not None:
        yield usual
    for layers, wider in ((2, 1), (2, 4), (8, 4)):
        small = tiny(whole, whole=True, wider=wider)
        if small is not None:
            yield few_words(shallow(small, layers))
    for layers in (2, 8):
        yield few_words(shallow(whole, layers))


def shallow(config: Config, layers: int) -> Config:
    """The config, and those in it, with so many layers; lists that name every layer are cut with them."""
    deep = {name for name in (*LAYERS, "depth", "num_encoder_layers", "num_blocks") if name in config}
    depths = {value for name in deep if isinstance(value := config[name], int) and value > layers}
    made: Config = {}
    for name, value in config.items():
        if name in deep and isinstance(value, int) and value in depths:
            made[name] = layers
        elif isinstance(value, dict) and value and all(str(key).isdecimal() for key in value):  # a layer each
            made[name] = (
                {key: each for key, each in value.items() if int(key) < layers} if name != "id2label" else value
            )
        elif isinstance(value, dict):
            made[name] = shallow(value, layers)
        elif name in EXPERTS and isinstance(value, int):
            made[name] = min(value, EXPERTS[name])
        elif isinstance(value, list) and len(value) in depths:
            made[name] = value[:layers]
        else:
            made[name] = value
    return made


def few_words(config: Config) -> Config:
    """The config, and those in it, with a small vocabulary; special tokens that it lacks become its last ones."""
    made = {name: few_words(value) if isinstance(value, dict) else value for name, value in config.items()}
    last = WORDS
    for name, value in made.items():
        if name == "vocab_size" and isinstance(value, int):
            made[name] = min(value, WORDS)
        elif str(name).endswith(TOKENS) and isinstance(value, int) and value >= WORDS:
            last -= 1
            made[name] = last
    return made


def filled(config: Config) -> Config:
    """The config with what follows from its other sizes."""
    made = {name: filled(value) if isinstance(value, dict) else value for name, value in config.items()}
    width, heads = (first_whole(made, names) for names in (WIDTHS, HEADS))
    if "head_dim" in made and made["head_dim"] is None and heads:
        made["head_dim"] = width // heads
    if "pad_token_id" in made and made["pad_token_id"] is None:  # several texts are not classified without one
        made["pad_token_id"] = 0
    if width and "pooler_hidden_size" in made:
        made["pooler_hidden_size"] = width
    if isinstance(made.get("qk_rope_head_dim"), int) and "head_dim" in made:  # the part of a head that is rotated
        made["head_dim"] = made["qk_rope_head_dim"]
    return made


def first_whole(config: Config, names: tuple[str, ...]) -> int:
    """The first of these fields that is a number; 0 for none."""
    return next((value for name in names if isinstance(value := config.get(name), int)), 0)


def small_base(model_type: str, name: str, job: Any) -> tuple[Config, Any]:
    """The config of a small model of the class, and the model; raises what the first way to make one raised.

    `job` makes a job of a config, for the inputs.
    """
    import torch
    import transformers
    from transformers.models.auto.configuration_auto import CONFIG_MAPPING

    if getattr(transformers, name).config_class is not CONFIG_MAPPING[model_type]:
        raise ValueError(f"{name} takes the config of another model type, under which it is examined")
    default = CONFIG_MAPPING[model_type]().to_dict()
    recipe = RECIPES.get(name, RECIPES.get(model_type, {}))
    whole = over({key: value for key, value in default.items() if key not in UNNAMED}, recipe.get("before", {}))
    first: Exception | None = None
    for small in candidates(whole):
        config = over(filled(small), recipe.get("after", {}))
        config.update(model_type=model_type, architectures=[name])
        try:
            made = CONFIG_MAPPING[model_type].from_dict(copy.deepcopy(config))
            with torch.device("meta"):
                count = sum(each.numel() for each in getattr(transformers, name)._from_config(made).parameters())
            if count > LARGEST:
                raise ValueError(f"its smallest model that runs has {count / 1e6:.0f} million parameters")
            torch.manual_seed(0)
            made = CONFIG_MAPPING[model_type].from_dict(copy.deepcopy(config))
            model = getattr(transformers, name)._from_config(made).eval()
            if float(answer(model, inputs_of(model, job(config))).abs().max()) < NOTHING:
                raise ValueError("its answer with random weights is as good as zero")
            return config, model
        except Exception as problem:
            first = first or problem
    raise first or ValueError("there is no way to make it small")


def over(config: Config, fields: Config) -> Config:
    """The config with these fields, those of inner configs in inner tables."""
    made = dict(config)
    for name, value in fields.items():
        inner = made.get(name)
        made[name] = over(inner, value) if isinstance(value, dict) and isinstance(inner, dict) else value
    return made
