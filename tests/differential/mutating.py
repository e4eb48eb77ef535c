"""What is done to a saved adapter: one mutation of the two files of them, or none."""

from __future__ import annotations

import random
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

from tests.differential import mutations, mutations_config
from tests.differential.folder_state import Folder, read, write

HEALTHY = 0.35  # share of cases left as saved
OTHER_BASE = 0.12  # share of the rest that are loaded onto another base

Mutation = Callable[[Folder], None]


def listed(module: ModuleType) -> dict[str, Mutation]:
    """The mutations of a module: its functions of a folder and nothing else."""
    return {
        name: value
        for name, value in vars(module).items()
        if getattr(value, "__module__", "") == module.__name__
        and list(getattr(value, "__annotations__", ())) == ["f", "return"]
    }


OF_FILES, OF_CONFIG = listed(mutations), listed(mutations_config)


def mutate(folder: Path, source: random.Random) -> str:
    """Do something to the folder; its name, "other_base" where that is left to the caller, or "valid"."""
    if source.random() < HEALTHY:
        return "valid"
    if source.random() < OTHER_BASE:
        return "other_base"
    state = read(folder, source)
    fitting = [name for name in OF_CONFIG if mutations_config.NEEDS.get(name, "peft_type") in state.config]
    name = source.choice([*OF_FILES, *fitting])
    (OF_FILES | OF_CONFIG)[name](state)
    write(state, folder)
    return name
