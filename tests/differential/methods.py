"""Random configs of every method that has a card, and which method and base a case is about."""

from __future__ import annotations

import random
import tomllib
from dataclasses import fields
from pathlib import Path
from typing import Any, NamedTuple

from peft.mapping import PEFT_TYPE_TO_CONFIG_MAPPING

from tests.differential import configs
from tests.differential.architectures import TABLE as BASES
from tests.differential.architectures import Architecture, architectures, pristine

CARDS = Path(__file__).resolve().parents[2] / "adaptlint" / "methods"
TABLE: dict[str, dict[str, Any]] = tomllib.loads(Path(__file__).with_name("methods.toml").read_text())
OWN = "LORA"  # drawn by configs.py
SELDOM = 0.25


class Known(NamedTuple):
    """What a release of PEFT and its transformers have of the methods, with their fields, and of the bases."""

    methods: dict[str, list[str]]
    bases: list[str]


def known() -> Known:
    """That of the installed libraries."""
    found = {name: [field.name for field in fields(PEFT_TYPE_TO_CONFIG_MAPPING[name])] for name in methods()}
    return Known(found, sorted({base.name for base in architectures()}))


def methods() -> list[str]:
    """Every peft_type with a card that the installed PEFT has."""
    known = {getattr(name, "value", name) for name in PEFT_TYPE_TO_CONFIG_MAPPING}
    cards = {path.stem.upper() for path in CARDS.glob("*.toml")}
    return sorted(name for name in cards & known if "skipped" not in TABLE.get(name, {}))


def without_entry() -> list[str]:
    """Methods whose random configs are no more than their defaults."""
    return [name for name in methods() if name != OWN and name not in TABLE]


def bases_of(method: str, names: list[str] | None = None) -> list[Architecture]:
    """The bases that a method is for, among those of these names."""
    entry = TABLE.get(method, {})
    return [
        base
        for base in architectures(names)
        if BASES["models"][base.name].get("inputs", "text") in entry.get("inputs", BASES["inputs"])
        and base.auto.removeprefix("AutoModelFor") in entry.get("kinds", [base.auto.removeprefix("AutoModelFor")])
        and base.name in entry.get("models", [base.name])
        and (base.auto in configs.TASKS or not entry.get("tasks"))
    ]


def turn(seed: int, index: int, among: Known | None = None) -> tuple[str, list[Architecture]]:
    """The method of a case and the bases to try, in order: every method comes once before any comes again, and so do
    the architectures of each method."""
    names = sorted(among.methods) if among else methods()
    cycle, place = divmod(index, len(names))
    method = shuffled(names, f"{seed} methods {cycle}")[place]
    found = bases_of(method, among.bases if among else None)
    order = shuffled(sorted({base.name for base in found}), f"{seed} {method}")
    start = cycle % len(order)
    source = random.Random(f"{seed} {index} kind")
    kinds = {name: [base for base in found if base.name == name] for name in order}
    return method, [source.choice(kinds[name]) for name in order[start:] + order[:start]]


def shuffled(names: list[str], seed: str) -> list[str]:
    """The names in an order of their own for each seed."""
    return random.Random(seed).sample(names, len(names))


def random_config(method: str, base: Architecture, source: random.Random) -> tuple[str, configs.Config]:
    """The name for the case's id, and the arguments of the method's config class."""
    if method == OWN:
        return configs.random_config(base, source)
    entry, names = TABLE.get(method, {}), configs.names_of(base)
    known = {field.name for field in fields(PEFT_TYPE_TO_CONFIG_MAPPING[method])}
    config: configs.Config = {}
    if base.auto in configs.TASKS and (entry.get("tasks") or source.random() < 0.7):
        config["task_type"] = configs.TASKS[base.auto]
    kind = entry.get("targets", "linear")
    if kind == "linear":
        config["target_modules"] = configs.random_targets(names, source)
        configs.layered(config, names, source)
    elif kind != "none":
        found = configs.leaves(names.norm if kind == "norm" else tables_of_words(base, names))
        if found and source.random() < 0.7:
            config["target_modules"] = source.sample(found, min(len(found), source.randint(1, 2)))
    if source.random() < 0.15:
        configs.saved(config, names, source)
        config.pop("bias", None)
    config.update(drawn(entry, config.get("target_modules"), names, source))
    if base.name == "gpt2":
        config["fan_in_fan_out"] = source.random() < 0.7
    if "bias" in known and source.random() < 0.08:
        config["bias"] = source.choice(["all", f"{method.lower()}_only"])
    return method.lower(), {field: value for field, value in config.items() if field in known}


def tables_of_words(base: Architecture, names: configs.Names) -> list[str]:
    """Embeddings with a row for each word: any row of these acts in a forward."""
    model = pristine(base)
    size = model.config.get_text_config().vocab_size
    return [path for path in names.embedding if model.get_submodule(path).num_embeddings == size]


def drawn(entry: dict[str, Any], targets: Any, names: configs.Names, source: random.Random) -> configs.Config:
    """The method's own fields, from its entry."""
    config = {field: source.choice(values) for field, values in entry.get("fields", {}).items()}
    config.update(source.choice(entry.get("together", [{}])))
    for field, values in entry.get("sometimes", {}).items():
        if source.random() < SELDOM:
            config[field] = source.choice(values)
    for field, values in entry.get("patterns", {}).items():
        if source.random() < SELDOM:
            config[field] = {configs.pattern_key(targets, names, source): source.choice(values)}
    if "subset" in entry:
        some = targets if isinstance(targets, list) else []
        config[entry["subset"]] = source.sample(some, source.randint(0, len(some))) if some else targets
    return config
