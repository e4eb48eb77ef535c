"""`python -m tests.differential.conditions --n 300 --seed 7`: forwards under a backend, sizes and a mask, held against
real PEFT on tiny models.

A false alarm is a verdict "fails" or "wrong" where real PEFT works; exit status 1 on any. Flex attention runs as
torch's own uncompiled reference. Flash attention, which no CPU has, is held against the load alone: where transformers
raises for the class before it looks for the kernels.
"""

from __future__ import annotations

import argparse
import copy
import json
import os
import random
import sys
import tempfile
import tomllib
import warnings
from pathlib import Path
from typing import Any, NamedTuple

import peft
import torch
import transformers
from peft.mapping import PEFT_TYPE_TO_CONFIG_MAPPING

import adaptlint
from tests.differential import configs
from tests.differential.architectures import TABLE
from tests.differential.folders import model_of, recorded
from tests.differential.making import randomise
from tests.oracle.wanted import Wanted, wanted

OWN = tomllib.loads(Path(__file__).with_name("conditions.toml").read_text())
KINDS = ("text", "seq2seq")
PROMPTS = ("PROMPT_TUNING", "P_TUNING", "PREFIX_TUNING", "CARTRIDGE")
METHODS = ("LORA", "IA3", *PROMPTS, *PROMPTS)  # prompts twice as often: most of the conditions are theirs
BACKENDS = (None, "eager", "sdpa", "sdpa", "flex_attention", "flash_attention_2")


class Case(NamedTuple):
    """A base's config and class, a method, and the arguments of the check."""

    name: str
    auto: str
    config: dict[str, Any]
    method: str
    asked: dict[str, Any]


class Row(NamedTuple):
    """What was told of a case and what real PEFT did; `agrees` is None where nothing can be held against it."""

    case: Case
    told: str
    want: Wanted
    agrees: bool | None
    exact: bool  # the exception's type and text too

    @property
    def false_alarm(self) -> bool:
        """Told to fail or to be wrong, and real PEFT works."""
        return self.agrees is False and self.told in ("fails", "wrong") and self.want.outcome == "works"


def bases() -> list[tuple[str, str, dict[str, Any]]]:
    """Name, Auto class and settings of every base of text."""
    found = []
    for models in (TABLE["models"], OWN["models"]):
        for name, entry in models.items():
            if entry.get("inputs", "text") in KINDS and entry.get("type", name) in transformers.CONFIG_MAPPING:
                settings = {**TABLE["defaults"], **TABLE.get(entry.get("like", ""), {}), **entry.get("settings", {})}
                settings = {key: None if value == "<null>" else value for key, value in settings.items()}
                settings["model_type"] = entry.get("type", name)
                found += [
                    (name, "AutoModelFor" + kind if kind != "Model" else "AutoModel", settings) for kind in entry["as"]
                ]
    return found


def draw(seed: int, index: int) -> Case:
    """The same seed and index give the same case."""
    source = random.Random(f"conditions {seed} {index}")
    name, auto, settings = source.choice(bases())
    asked: dict[str, Any] = {}
    attn = source.choice(BACKENDS)
    if attn:
        asked["attn"] = attn
    if source.random() < 0.8:
        asked["seq"] = source.choice([2, 5, 10, 20, *range(55, 70)])
    if source.random() < 0.5:
        asked["decoder_seq"] = source.choice([3, 8, *range(55, 70)])
    asked["batch"] = source.choice([1, 2, 2, 3])
    if source.random() < 0.6:
        asked["mask"] = source.choice(["none", "padded"])
    return Case(name, auto, settings, source.choice(METHODS), asked)


def save(case: Case, folder: Path, seed: int) -> tuple[Path, Path] | None:
    """The base's config.json and an adapter that real PEFT saved for it; None where PEFT makes none."""
    base, adapter = folder / "base", folder / "adapter"
    base.mkdir()
    settings = copy.deepcopy(case.config)
    config = transformers.AutoConfig.for_model(settings.pop("model_type"), **settings)
    config.save_pretrained(base)
    task = configs.TASKS.get(case.auto)
    chosen: dict[str, Any] = {"task_type": task}
    if case.method in PROMPTS:
        chosen["num_virtual_tokens"] = random.Random(seed).choice([1, 4, 7])
    elif case.method == "LORA":
        chosen.update(r=2, target_modules="all-linear", init_lora_weights=False)
    try:
        torch.manual_seed(seed)
        model = peft.get_peft_model(
            model_of(base, case.auto, "eager"), PEFT_TYPE_TO_CONFIG_MAPPING[case.method](**chosen)
        )
        randomise(model)
        model.save_pretrained(adapter)
    except Exception:
        return None
    data = json.loads((adapter / "adapter_config.json").read_text())
    data["base_model_name_or_path"] = ""
    (adapter / "adapter_config.json").write_text(json.dumps(data))
    return base, adapter


def held(case: Case, seed: int) -> Row | None:
    """Check one case and let real PEFT do it; None where there is no adapter to be had."""
    with tempfile.TemporaryDirectory() as place, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        made = save(case, Path(place), seed)
        if made is None:
            return None
        report = adaptlint.check(made[0], made[1], model_class=case.auto, targets=("peft==0.21.2",), **case.asked)
        want = wanted(recorded(made[0], case.auto, made[1], case.asked), fresh=True)
    (verdict,) = report.verdicts
    if want.type == "ImportError":  # no kernels here: only what is raised before them can be held
        return Row(case, verdict.outcome, want, None, False)
    agrees = None if verdict.outcome == "unknown" else verdict.outcome in want.accepted
    error = verdict.error
    exact = error is None or (error.type == want.type and error.match in want.message)
    return Row(case, verdict.outcome, want, agrees, exact)


def run(count: int, seed: int) -> list[Row]:
    """Cases 0 to count - 1 of the seed for which there is an adapter."""
    return [row for index in range(count) if (row := held(draw(seed, index), seed)) is not None]


def summary(rows: list[Row], seed: int) -> list[str]:
    """The figures, and every row that disagrees."""
    judged = [row for row in rows if row.agrees is not None]
    unknown = sum(row.told == "unknown" for row in rows)
    lines = [
        f"seed {seed}: {sum(bool(row.agrees) for row in judged)} of {len(judged)} verdicts agree, {unknown} unknown, "
        f"{sum(row.want.outcome == 'fails' for row in judged)} fail for real, "
        f"{sum(row.agrees is True and not row.exact for row in judged)} with another exception, "
        f"{len(rows) - len(judged) - unknown} without kernels"
    ]
    for row in rows:
        if row.agrees is False or row.told == "unknown" or not (row.exact or row.agrees is None):
            case, want = row.case, row.want
            real = f"{want.outcome} {want.type}: {want.message[:90]}"
            lines.append(f"  {case.name} {case.auto} {case.method} {case.asked}: told {row.told}, {real}")
    return lines


def main() -> int:
    """Read the arguments, run, print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--n", type=int, default=300)
    parser.add_argument("--seed", type=int, default=None)
    options = parser.parse_args()
    os.environ["HF_HUB_OFFLINE"] = "1"
    torch.set_num_threads(1)
    transformers.logging.set_verbosity_error()
    seed = random.SystemRandom().randrange(1_000_000) if options.seed is None else options.seed
    rows = run(options.n, seed)
    print(*summary(rows, seed), sep="\n")
    return 1 if any(row.false_alarm for row in rows) else 0


if __name__ == "__main__":
    sys.exit(main())
