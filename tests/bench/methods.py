"""`python -m tests.bench.methods FOLDER`: an adapter of every method on a tiny base, saved by PEFT.

A process of its own, because what a child is said to have used at most begins with what its parent had.
"""

from __future__ import annotations

import json
import sys
import warnings
from pathlib import Path
from typing import Any

from adaptlint import tables
from adaptlint.methods import load_method
from tests.methods.settings import QV, SETTINGS

BASE = Path(__file__).resolve().parents[2] / "fixtures" / "bases" / "tiny-llama"
PLAIN = ("BEFT",)  # has no rank


def write_adapters(folder: Path) -> dict[str, str]:
    """peft_type -> the adapter's folder, for every card that the installed PEFT has and that stands alone."""
    from peft import get_peft_model
    from peft.mapping import PEFT_TYPE_TO_CONFIG_MAPPING

    from tests.differential.folders import model_of

    written = {}
    names = [key[8:-5].upper() for key in tables.load() if key.startswith("methods/")]
    for name in names:
        if name not in PEFT_TYPE_TO_CONFIG_MAPPING or load_method(name).mixes_experts:
            continue
        usual: list[dict[str, Any]] = [QV if name in PLAIN else {"r": 4, **QV}]
        settings = SETTINGS.get(name, usual)[0]
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            model = get_peft_model(
                model_of(BASE, "AutoModelForCausalLM"), PEFT_TYPE_TO_CONFIG_MAPPING[name](**settings)
            )
            model.save_pretrained(folder / name)
        written[name] = str(folder / name)
    return written


if __name__ == "__main__":
    print(json.dumps(write_adapters(Path(sys.argv[1]))))
