"""`python -m tests.differential.composing --n 200 --seed 7`: compositions in PEFT, verdicts against real runs.

Two adapters of one method are made on the spot, and an expression over them is played (tests/releases/composed.py).
Exit status 1 on a false alarm: a failure or a fault told of a run whose numbers are right.
"""

from __future__ import annotations

import argparse
import os
import random
import sys
import tempfile
import warnings
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import adaptlint
from adaptlint.methods.method import load_method
from adaptlint.replay.conduct import as_data
from adaptlint.replay.worker.peft_composed import NoReference
from adaptlint.runtimes.adapters.composition import read_composition
from tests.differential.run import prepare

TEXTS = ("text", "seq2seq")
PAIRS: tuple[dict[str, Any], ...] = (
    {},
    {"r": 8},
    {"use_dora": True},
    {"use_rslora": True},
    {"lora_bias": True},
    {"modules_to_save": ["lm_head"]},
    {"modules_to_save": ["norm"]},
    {"trainable_token_indices": [3, 4, 5, 6, 7, 8]},
    {"layers_to_transform": [0]},
    {"rank_pattern": {"q_proj": 8, "v_proj": 2}},
    {"target_modules": ["v_proj"]},
    {"target_modules": ["embed_tokens", "q_proj"]},
    {"target_modules": ["fc1", "q_proj"]},
    {"target_modules": "all-linear"},
    {"lora_alpha": -4},
)
EXPRESSIONS = (
    "BatchSplit(a, b, batch_sizes=[1, 1])",
    "BatchSplit(b, a, batch_sizes=[2, 1])",
    "BatchSplit(a, __base__, batch_sizes=[1, 2])",
    "BatchSplit(a, nobody, batch_sizes=[1, 1])",
    "BatchSplit(a, Average(a, b), batch_sizes=[1, 1])",
    "Stack(a, b)",
    "Stack(b, a)",
    "Stack(a, nobody)",
    "b",
    "Average(a, b)",
    "Average(a, b, weights=[0.75, 0.25])",
    "Average(b, a, weights=[1.0, -0.5], normalize_weights=False)",
    "Average(a)",
    "Parallel(a, b)",
    "Stack(a, Fuse(a, b))",
)
BASES = ("llama", "opt", "gpt2", "t5", "qwen2_moe", "bert", "gemma")


class Row(NamedTuple):
    """One case: what it is, what PEFT did, and what the check said."""

    id: str
    wanted: str
    got: str
    detail: str

    @property
    def agrees(self) -> bool:
        """The same outcome, and for errors their class and text."""
        return self.wanted == self.got and not self.detail.startswith("!")


def make(seed: int, index: int, folder: Path) -> tuple[str, Any, str]:
    """Two adapters, `a` and `b`, below the folder: the method's name, the base and the expression."""
    source = random.Random(f"composing {seed} {index}")
    expression = source.choice(EXPRESSIONS)
    if source.random() < 0.6:
        return ("LORA", _loras(source, folder), expression)
    from tests.differential.making import save_adapter
    from tests.differential.methods import bases_of, methods

    method = source.choice([name for name in methods() if name != "LORA"])
    bases = [base for base in bases_of(method) if "CausalLM" in base.auto] or list(bases_of(method))
    source.shuffle(bases)
    _, base = save_adapter(method, bases, source, folder / "a")
    _again(folder, method, source)
    return method, base, expression


def _loras(source: random.Random, folder: Path) -> Any:
    """Two LoRA adapters of settings of their own on one base."""
    import peft
    import torch

    from tests.differential.architectures import architectures, fresh
    from tests.differential.making import randomise

    bases = [base for base in architectures(list(BASES)) if any(k in base.auto for k in ("CausalLM", "Seq2Seq"))]
    for _ in range(40):
        base = source.choice(bases)
        usual: dict[str, Any] = {"r": 4, "lora_alpha": 8}
        if base.name in ("llama", "opt", "qwen2_moe", "gemma"):
            usual["target_modules"] = ["q_proj", "v_proj"]
        with suppress(Exception):  # a setting that this base has no place for
            for name in ("a", "b"):
                settings = {**usual, **source.choice(PAIRS)}
                model = peft.get_peft_model(fresh(base), peft.LoraConfig(**settings))
                torch.manual_seed(source.randrange(1 << 30))
                randomise(model)
                model.save_pretrained(folder / name)
            return base
    raise RuntimeError("no pair of adapters fits any base")


def _again(folder: Path, method: str, source: random.Random) -> None:
    """`b`: the adapter `a` with other values, but for tensors that all adapters of a model share."""
    import shutil

    import torch
    from safetensors.torch import load_file, save_file

    shutil.copytree(folder / "a", folder / "b")
    torch.manual_seed(source.randrange(1 << 30))
    file = folder / "b" / "adapter_model.safetensors"
    values = load_file(file)
    shared = tuple(spec.saved for spec in load_method(method).shared)
    for name, value in values.items():
        if value.is_floating_point() and not name.endswith(shared or ("\0",)):
            values[name] = value + torch.randn(value.shape).to(value.dtype) * 0.1
    save_file(values, file, metadata={"format": "pt"})


def play(base: Any, folder: Path, expression: str) -> tuple[str, str, str]:
    """What real PEFT does: the outcome, and the exception's class and text."""
    import peft
    import torch

    from tests.differential.architectures import fresh
    from tests.releases.composed import composed

    def alone(name: str) -> Any:
        torch.manual_seed(3)
        return peft.PeftModel.from_pretrained(fresh(base), folder / name, adapter_name=name).eval()

    try:
        model = alone("a")
        model.load_adapter(folder / "b", "b")
        model.eval()
        written = as_data(read_composition(expression))
        wrong = list(composed(model, written, {}, partial(fresh, base), alone).faults(written))
    except NoReference:
        return "", "", ""
    except Exception as problem:
        return "fails", type(problem).__name__, str(problem)
    return ("wrong" if wrong else "works"), "", ""


def one(root: Path, seed: int, index: int) -> Row:
    """Make one case, play it, check it."""
    from tests.differential.architectures import write_config

    folder = root / f"{seed}-{index}"
    folder.mkdir(parents=True)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        method, base, expression = make(seed, index, folder)
        write_config(base, root / "bases")
        wanted, kind, text = play(base, folder, expression)
    name = f"{index}.{base.name}.{method}.{expression}"
    model = root / "bases" / base.folder
    adapters = [("a", str(folder / "a")), ("b", str(folder / "b"))]
    report = adaptlint.check(model, adapters, model_class=base.auto, compose=expression)
    (verdict,) = report.verdicts
    detail = " ".join(f"{finding.code} {finding.message[:90]}" for finding in report.findings[:2])
    if wanted == verdict.outcome == "fails" and verdict.error is not None:
        same = verdict.error.type == kind and verdict.error.match in text
        detail = "" if same else f"! wanted {kind}: {text[:150]} | said {verdict.error.type}: {verdict.error.match}"
    elif wanted == "fails":
        detail = f"{kind}: {text[:150]} | {detail}"
    return Row(name, wanted, verdict.outcome, detail)


def false_alarms(rows: list[Row]) -> list[Row]:
    """Runs whose numbers are right, and that the check says go wrong."""
    return [row for row in rows if row.wanted == "works" and row.got in ("fails", "wrong")]


def run(count: int, seed: int, root: Path) -> list[Row]:
    """Cases 0 to count - 1 of the seed."""
    return [one(root, seed, index) for index in range(count)]


def main() -> int:
    """Read the arguments, run, print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--n", type=int, default=200)
    parser.add_argument("--seed", type=int, default=random.SystemRandom().randrange(1_000_000))
    options = parser.parse_args()
    os.environ["HF_HUB_OFFLINE"] = "1"
    prepare()
    with tempfile.TemporaryDirectory(prefix="adaptlint-") as place:
        rows = run(options.n, options.seed, Path(place))
    decided = [row for row in rows if row.wanted and row.got != "unknown"]
    for row in rows:
        if row.wanted and not row.agrees:
            print(f"  {row.id}: wanted {row.wanted}, got {row.got} {row.detail}")
    print(f"seed {options.seed}, {len(rows)} cases, {len(rows) - len(decided)} without a verdict or a truth")
    print(f"agreement {sum(row.agrees for row in decided)} of {len(decided)} that were decided")
    print(f"false alarms {len(false_alarms(rows))}")
    return 1 if false_alarms(rows) else 0


if __name__ == "__main__":
    sys.exit(main())
