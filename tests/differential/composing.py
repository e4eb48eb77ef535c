"""`python -m tests.differential.composing --n 200 --seed 7`: compositions in PEFT, verdicts against real runs.

Two adapters of one method, or three for a router, are made on the spot, and an expression over them is played
(tests/releases/composed.py). Exit status 1 on a false alarm: a failure or a fault told of a run whose numbers are
right.
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
    {"rank_pattern": {"layers.0.self_attn.q_proj": 8}},
    {"target_modules": r".*\.(0|1)\..*\.(q_proj|v_proj|c_attn|q|query)"},
    {"init_lora_weights": "pissa"},
    {"bias": "all"},
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
    "MultiTask(a)",
    "MultiTask(a, task_ids=[0, 1])",
    "MultiTask(b, task_ids=[2, 0, 2])",
    "MultiTask(a, task_ids=[0, 3])",
    "MultiTask(b, task_ids=[0, -1])",
    "MultiTask(a, task_ids=[1, -4])",
    "MultiTask(a, task_ids=0)",
    "MultiTask(a, b)",
    "Arrow(a, b)",
    "Arrow(a, b, top_k=2)",
    "Arrow(b, a, top_k=1, router_temperature=0.5)",
    "Arrow(a, b, c)",
    "Arrow(c, a, b, top_k=2)",
    "Arrow(a, b, general=[c], top_k=2)",
    "Arrow(a, general=[b, c], top_k=1)",
    "Arrow(b, general=a, top_k=2)",
    "Stack(Arrow(a, b, top_k=1), b)",
)
ROUTED = ("CausalLM", "Seq2Seq", "SequenceClassification", "TokenClassification")
ATTENTION = ["q_proj", "v_proj", "query", "value", "q", "v", "q_lin", "Wqkv"]
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


def make(seed: int, index: int, folder: Path, only: str = "") -> tuple[str, Any, str]:
    """Adapters `a` and `b`, for a router `c` too, below the folder: the method's name, the base and the expression."""
    source = random.Random(f"composing {seed} {index}")
    expression = source.choice([each for each in EXPRESSIONS if only in each])
    routed, tasked = "Arrow" in expression, "MultiTask" in expression
    if tasked and source.random() < 0.9:
        return (*_tasked(source, folder), expression)
    if source.random() < (0.9 if routed else 0.6):
        return ("LORA", _loras(source, folder, routed), expression)
    from tests.differential.making import save_adapter
    from tests.differential.methods import bases_of, methods

    method = source.choice([name for name in methods() if name != "LORA"])
    bases = [base for base in bases_of(method) if "CausalLM" in base.auto] or list(bases_of(method))
    source.shuffle(bases)
    _, base = save_adapter(method, bases, source, folder / "a")
    for name in ("b", "c") if routed else ("b",):
        _again(folder, name, method, source)
    return method, base, expression


def _loras(source: random.Random, folder: Path, routed: bool) -> Any:
    """LoRA adapters on one base: of settings of their own, or, as a router wants them, mostly of the same ones."""
    import peft
    import torch

    from tests.differential.architectures import architectures, fresh
    from tests.differential.configs import TASKS
    from tests.differential.making import randomise

    kinds = ROUTED if routed else ROUTED[:2]
    bases = [base for base in architectures(list(BASES)) if any(kind in base.auto for kind in kinds)]
    for _ in range(40):
        base = source.choice(bases)
        usual: dict[str, Any] = {"r": 4, "lora_alpha": 8}
        if base.name in ("llama", "opt", "qwen2_moe", "gemma"):
            usual["target_modules"] = ["q_proj", "v_proj"]
        if "Classification" in base.auto and source.random() < 0.5:
            usual["task_type"] = TASKS[base.auto]
        same, odd = source.choice(PAIRS), source.choice("abc----")
        with suppress(Exception):  # a setting that this base has no place for
            for name in "abc" if routed else "ab":
                settings = {**usual, **(same if routed and name != odd else source.choice(PAIRS))}
                model = peft.get_peft_model(fresh(base), peft.LoraConfig(**settings))
                torch.manual_seed(source.randrange(1 << 30))
                randomise(model)
                model.save_pretrained(folder / name)
            return base
    raise RuntimeError("no pair of adapters fits any base")


def _tasked(source: random.Random, folder: Path) -> tuple[str, Any]:
    """Two adapters of a method that has tasks: its name and the base."""
    import peft
    import torch

    from tests.differential.architectures import architectures, fresh
    from tests.differential.configs import TASKS
    from tests.differential.making import randomise

    method = source.choice(("POLY", "MULTITASK_PROMPT_TUNING"))
    for _ in range(40):
        base = source.choice(architectures([*BASES, "roberta", "mpt", "distilbert"]))
        with suppress(Exception):  # a task that this base is not for, or no layer
            settings: dict[str, Any] = {"task_type": TASKS.get(base.auto) if source.random() < 0.8 else None}
            if method == "POLY":
                settings |= {"r": 4, "n_tasks": source.choice([1, 3]), "n_skills": 2, "n_splits": source.choice([1, 2])}
                settings["target_modules"] = source.choice(
                    [ATTENTION, ATTENTION, r".*(fc1|dense|classifier|shared_expert_gate)"]
                )
                config: Any = peft.PolyConfig(**settings)
            else:
                settings |= {"num_tasks": source.choice([1, 3]), "num_virtual_tokens": 4, "num_ranks": 2}
                config = peft.MultitaskPromptTuningConfig(**settings)
            for name in "ab":
                model = peft.get_peft_model(fresh(base), config)
                torch.manual_seed(source.randrange(1 << 30))
                randomise(model)
                model.save_pretrained(folder / name)
            return method, base
    raise RuntimeError("no pair of adapters fits any base")


def _again(folder: Path, name: str, method: str, source: random.Random) -> None:
    """The adapter `a` under another name with other values, but for tensors that all adapters of a model share."""
    import shutil

    import torch
    from safetensors.torch import load_file, save_file

    shutil.copytree(folder / "a", folder / name)
    torch.manual_seed(source.randrange(1 << 30))
    file = folder / name / "adapter_model.safetensors"
    values = load_file(file)
    shared = tuple(spec.saved for spec in load_method(method).shared)
    for key, value in values.items():
        if value.is_floating_point() and not key.endswith(shared or ("\0",)):
            values[key] = value + torch.randn(value.shape).to(value.dtype) * 0.1
    save_file(values, file, metadata={"format": "pt"})


def given(folder: Path) -> list[tuple[str, str]]:
    """The adapters of a case by their names, in the order of the loads."""
    return [(place.name, str(place)) for place in sorted(folder.iterdir())]


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
        folders = dict(given(folder))
        model = alone("a")
        for name in [*folders][1:]:
            model.load_adapter(folders[name], name)
        model.eval()
        written = as_data(read_composition(expression, in_peft=True))
        wrong = list(composed(model, written, {}, partial(fresh, base), alone, folders).faults(written))
    except NoReference:
        return "", "", ""
    except Exception as problem:
        return "fails", type(problem).__name__, str(problem)
    return ("wrong" if wrong else "works"), "", ""


def one(root: Path, seed: int, index: int, only: str = "") -> Row:
    """Make one case, play it, check it."""
    from tests.differential.architectures import write_config

    folder = root / f"{seed}-{index}"
    folder.mkdir(parents=True)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        method, base, expression = make(seed, index, folder, only)
        write_config(base, root / "bases")
        wanted, kind, text = play(base, folder, expression)
    name = f"{index}.{base.name}.{method}.{expression}"
    model = root / "bases" / base.folder
    report = adaptlint.check(model, given(folder), model_class=base.auto, compose=expression)
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


def run(count: int, seed: int, root: Path, only: str = "") -> list[Row]:
    """Cases 0 to count - 1 of the seed, of expressions that have `only` in them."""
    return [one(root, seed, index, only) for index in range(count)]


def main() -> int:
    """Read the arguments, run, print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--n", type=int, default=200)
    parser.add_argument("--only", default="", help="a part of the expressions, such as Arrow")
    parser.add_argument("--seed", type=int, default=random.SystemRandom().randrange(1_000_000))
    options = parser.parse_args()
    os.environ["HF_HUB_OFFLINE"] = "1"
    prepare()
    with tempfile.TemporaryDirectory(prefix="adaptlint-") as place:
        rows = run(options.n, options.seed, Path(place), options.only)
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
