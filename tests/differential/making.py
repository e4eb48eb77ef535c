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
from peft.mapping import PEFT_TYPE_TO_CONFIG_MAPPING
from safetensors.torch import load_file

from tests.differential.architectures import Architecture, architectures, fresh, inputs_of, siblings, write_config
from tests.differential.folder_state import CONFIG, WEIGHTS
from tests.differential.methods import Known, random_config, turn
from tests.differential.mutating import mutate
from tests.differential.truth import is_adapter, measure, write_record

SETS = ("target_modules", "exclude_modules", "modules_to_save", "feedforward_modules")
ATTEMPTS, BASES = 8, 8  # configs tried on one base, and bases tried


class Made(NamedTuple):
    """A case on disk below ROOT/cases."""

    name: str
    base: Architecture
    folder: Path


class Unmade(RuntimeError):
    """PEFT takes no config that was drawn for the method on any base."""


def save_adapter(
    method: str, bases: list[Architecture], source: random.Random, folder: Path
) -> tuple[str, Architecture]:
    """Let PEFT save an adapter with random values; the method's name and the base, which is the first that works out.

    Configs that PEFT refuses are drawn again.
    """
    problem: Exception | None = None
    for base in bases[:BASES]:
        for _ in range(ATTEMPTS):
            torch.manual_seed(source.randrange(1 << 30))
            try:
                name, settings = random_config(method, base, source)
                model = peft.get_peft_model(fresh(base), PEFT_TYPE_TO_CONFIG_MAPPING[method](**settings))
                randomise(model)
                model.save_pretrained(folder, safe_serialization=True)  # what releases before 0.7 do not by themselves
                if not load_file(folder / WEIGHTS):
                    raise ValueError("the config adapts nothing")
            except Exception as refused:
                problem = refused
                continue
            name_base(folder / CONFIG, base)
            return name, base
    raise Unmade(f"{method}: {problem}"[:200])


def randomise(model: Any) -> None:
    """Give everything that the adapter trains values as after training: none zero, none as initialised."""
    for name, parameter in model.named_parameters():
        if is_adapter(name) or parameter.requires_grad:
            noise = torch.randn(parameter.shape) * 0.2
            parameter.data = noise.abs() + 0.5 if "magnitude" in name else noise


def name_base(path: Path, base: Architecture) -> None:
    """The config names its base, as that of a published adapter does; PEFT's sets get an order that repeats."""
    config = json.loads(path.read_text())
    for field in SETS:
        if isinstance(config.get(field), list):
            config[field] = sorted(config[field])
    config["base_model_name_or_path"] = f"example/{base.folder}"
    path.write_text(json.dumps(config, indent=2))


def make(seed: int, index: int, root: Path, known: Known | None = None) -> Made:
    """Write the case; the same seed and index give the same case. `known` limits it to what another release knows."""
    source = random.Random(f"adaptlint {seed} {index}")
    peft_type, bases = turn(seed, index, known)
    folder = root / "cases" / f"{seed}-{index}"
    shutil.rmtree(folder, ignore_errors=True)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        method, saved_on = save_adapter(peft_type, bases, source, folder / "adapter")
        (folder / "adapter" / "README.md").unlink(missing_ok=True)
        mutation, base = mutate(folder / "adapter", source), saved_on
        if mutation == "other_base":
            base = source.choice([*siblings(saved_on), source.choice(architectures(known.bases if known else None))])
        write_config(base, root / "bases")
    name = f"{saved_on.name}.{method}.{seed}-{index}.{mutation}"
    final = folder.rename(folder.with_name(name)) if not (root / "cases" / name).exists() else replaced(folder, name)
    case = {"id": name, "base": base.folder, "auto": base.auto, "method": method, "family": mutation}
    (final / "case.json").write_text(json.dumps(case, indent=1) + "\n")
    return Made(name, base, final)


def record(made: Made, file: str = "truth.json") -> None:
    """Let the installed PEFT load the case and write down what it does."""
    seen = measure(fresh(made.base), inputs_of(made.base), (made.folder / "adapter").resolve())
    write_record(seen, made.folder / file)


def replaced(folder: Path, name: str) -> Path:
    """Put the new case where an earlier run left one of the same name."""
    shutil.rmtree(folder.with_name(name))
    return folder.rename(folder.with_name(name))
