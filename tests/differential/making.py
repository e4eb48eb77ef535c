"""Case number `index` of a seed: a base, a random config, an adapter saved by real PEFT, and what became of it."""

from __future__ import annotations

import json
import random
import shutil
import warnings
from pathlib import Path
from typing import Any, NamedTuple

import peft
import torch

from tests.differential import configs, mutations
from tests.differential.architectures import Architecture, architectures, fresh, inputs_of, siblings, write_config
from tests.differential.truth import is_adapter, measure, write_record

HEALTHY = 0.35  # share of cases left as saved
OTHER_BASE = 0.12  # share of the rest that are loaded onto another base
ATTEMPTS = 20


class Made(NamedTuple):
    """A case on disk below ROOT/cases."""

    name: str
    base: Architecture
    folder: Path


def save_adapter(base: Architecture, source: random.Random, folder: Path) -> str:
    """Let PEFT save an adapter with random values; the method's name. Configs that PEFT refuses are drawn again."""
    problem: Exception | None = None
    for _ in range(ATTEMPTS):
        method, settings = configs.random_config(base, source)
        torch.manual_seed(source.randrange(1 << 30))
        try:
            model = peft.get_peft_model(fresh(base), peft.LoraConfig(**settings))
            randomise(model)
            model.save_pretrained(folder)
        except Exception as refused:
            problem = refused
            continue
        name_base(folder / mutations.CONFIG, base)
        return method
    raise RuntimeError(f"no config for {base} in {ATTEMPTS} attempts") from problem


def randomise(model: Any) -> None:
    """Give everything that the adapter trains values as after training: none zero, none as initialised."""
    for name, parameter in model.named_parameters():
        if is_adapter(name) or parameter.requires_grad:
            noise = torch.randn(parameter.shape) * 0.2
            parameter.data = noise.abs() + 0.5 if "magnitude" in name else noise


def name_base(path: Path, base: Architecture) -> None:
    """The config names its base, as that of a published adapter does; PEFT's sets get an order that repeats."""
    config = json.loads(path.read_text())
    for field in ("target_modules", "exclude_modules", "modules_to_save"):
        config[field] = sorted(config[field]) if isinstance(config[field], list) else config[field]
    config["base_model_name_or_path"] = f"example/{base.folder}"
    path.write_text(json.dumps(config, indent=2))


def choose_mutation(source: random.Random) -> str:
    """What is done to the adapter: a mutation's name, "other_base", or "valid"."""
    if source.random() < HEALTHY:
        return "valid"
    return "other_base" if source.random() < OTHER_BASE else source.choice(list(mutations.MUTATIONS))


def make(seed: int, index: int, root: Path) -> Made:
    """Write the case with its record; the same seed and index give the same case."""
    source = random.Random(f"adaptlint {seed} {index}")
    saved_on = source.choice(architectures())
    folder = root / "cases" / f"{seed}-{index}"
    shutil.rmtree(folder, ignore_errors=True)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        method = save_adapter(saved_on, source, folder / "adapter")
        (folder / "adapter" / "README.md").unlink(missing_ok=True)
        mutation, base = choose_mutation(source), saved_on
        if mutation == "other_base":
            base = source.choice([*siblings(saved_on), source.choice(architectures())])
        elif mutation != "valid":
            mutations.apply(mutation, folder / "adapter", source)
        write_config(base, root / "bases")
    name = f"{saved_on.name}.{method}.{seed}-{index}.{mutation}"
    final = folder.rename(folder.with_name(name)) if not (root / "cases" / name).exists() else replaced(folder, name)
    case = {"id": name, "base": base.folder, "auto": base.auto, "method": method, "family": mutation}
    (final / "case.json").write_text(json.dumps(case, indent=1) + "\n")
    record = measure(fresh(base), inputs_of(base), (final / "adapter").resolve())
    write_record(record, final / "truth.json")
    return Made(name, base, final)


def replaced(folder: Path, name: str) -> Path:
    """Put the new case where an earlier run left one of the same name."""
    shutil.rmtree(folder.with_name(name))
    return folder.rename(folder.with_name(name))
