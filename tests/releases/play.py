"""Play cases with whichever PEFT is installed: `python -m tests.releases.play cases.json records.json`.

A case is {key, base, auto, weights, adapters: [[name, folder]], plan: [[verb, name, options]] or null, compose: an
expression as nested lists or null, asked: sizes of the forward}. It runs where there is nothing but PEFT and
transformers, so of adaptlint replay's worker alone is imported.
"""

from __future__ import annotations

import json
import sys
import tempfile
from functools import partial
from pathlib import Path
from typing import Any

import peft
import torch

from tests.differential.folders import model_of, ordinary_inputs
from tests.differential.truth import measure, outputs, with_task
from tests.releases.composed import composed, error_of

Record = dict[str, Any]
NEAR = 1e-4  # two releases of transformers compute the same model; the effects of these adapters are above 1e-2


def fresh(case: Record) -> Any:
    """The case's base with the weights that every release is given."""
    model = model_of(Path(case["base"]), case["auto"])
    model.load_state_dict(torch.load(case["weights"], weights_only=True), strict=False)
    return model.eval()


def answer(model: Any) -> torch.Tensor:
    """What the model gives for the ordinary inputs."""
    with torch.no_grad():
        return outputs(model(**with_task(model, ordinary_inputs(model))))[0]


def load(model: Any, name: str, folder: str) -> Any:
    """The first adapter of a model."""
    return peft.PeftModel.from_pretrained(model, folder, adapter_name=name).eval()


class Play:
    """One model and the steps that are done to it, each compared with what the active adapter does alone."""

    def __init__(self, case: Record) -> None:
        self.case = case
        self.folders = dict(case["adapters"])
        self.model: Any = None
        self.active = ""
        self.combined: dict[str, dict[str, float]] = {}  # adapters made by the plan, of which parts

    def alone(self, name: str) -> Any:
        """The adapter loaded by itself onto a fresh base."""
        return load(fresh(self.case), name, self.folders[name])

    def as_alone(self) -> bool:
        """True if the model answers as the active adapter alone does."""
        return bool(torch.allclose(answer(self.model), answer(self.alone(self.active)), atol=NEAR))

    def combine(self, name: str, options: list[list[str]]) -> bool:
        """`add_weighted_adapter`; "cat" is exact, so that its update can be held against the sum of the parts'."""
        kind = next((option for option, value in options if not value), "svd")
        parts = {option: float(value) for option, value in options if value and option != "density"}
        taken = name in self.model.peft_config
        extra = {option: float(value) for option, value in options if option == "density"}
        self.model.add_weighted_adapter(list(parts), list(parts.values()), name, combination_type=kind, **extra)
        if not taken:
            self.combined[name] = parts
        if taken or kind != "cat":
            return not taken
        layers = [
            m for m in self.model.modules() if hasattr(m, "get_delta_weight") and name in getattr(m, "lora_A", ())
        ]
        return all(
            torch.allclose(
                layer.get_delta_weight(name),
                sum(weight * layer.get_delta_weight(part) for part, weight in parts.items()),
                atol=NEAR,
            )
            for layer in layers
        )

    def step(self, verb: str, name: str, options: list[list[str]]) -> bool:
        """Do one step; True if what is then seen is right."""
        if verb == "load" and self.model is None:
            self.model, self.active = load(fresh(self.case), name, self.folders[name]), name
        elif verb == "load":
            self.model.load_adapter(self.folders[name], name)
        elif verb == "set":
            self.model.set_adapter(name)
            self.active = name
        elif verb == "disable":
            with self.model.disable_adapter():
                off = answer(self.model)
            return bool(torch.allclose(off, answer(fresh(self.case)), atol=NEAR)) and self.as_alone()
        elif verb == "combine":
            return self.combine(name, options)
        elif verb == "hotswap":
            from peft.utils.hotswap import hotswap_adapter

            hotswap_adapter(self.model, self.folders[options[0][0]], adapter_name=name)
            self.folders[name] = self.folders[options[0][0]]
        elif verb == "merge":
            adapted = answer(self.model)
            return bool(torch.allclose(answer(self.model.merge_and_unload()), adapted, atol=NEAR))
        elif verb == "save":
            return all(saved(self.model, name) == saved(self.alone(name), name) for name in self.folders)
        else:
            raise ValueError(f"no step {verb}")
        self.model.eval()
        return self.as_alone()

    def record(self) -> Record:
        """Every step's outcome, up to the first that raises."""
        steps: list[Record] = []
        for verb, name, options in self.case["plan"]:
            try:
                right = self.step(verb, name, options)
            except Exception as problem:
                error = {"type": type(problem).__name__, "message": str(problem)}
                steps.append({"op": verb, "adapter": name, "outcome": "fails", "error": error})
                break
            steps.append({"op": verb, "adapter": name, "outcome": "works" if right else "wrong"})
        if self.case.get("compose") and not any(step["outcome"] == "fails" for step in steps):
            steps.append(self.compose(self.case["compose"]))
        seen = {step["outcome"] for step in steps}
        return {"outcome": next((o for o in ("fails", "wrong") if o in seen), "works"), "steps": steps}

    def compose(self, written: Any) -> Record:
        """The expression, as a last step."""
        word = {"op": "compose", "adapter": written[0]}
        try:
            make = partial(fresh, self.case)
            asked = composed(self.model, written, self.case["asked"], make, self.alone, self.folders)
            asked.averages.update(self.combined)
            wrong = list(asked.faults(written))
        except Exception as problem:
            return {**word, "outcome": "fails", "error": error_of(problem)}
        return {**word, "outcome": "wrong" if wrong else "works"}


def saved(model: Any, name: str) -> set[str]:
    """The keys that `save_pretrained` writes for one adapter."""
    with tempfile.TemporaryDirectory() as folder:
        model.save_pretrained(folder, safe_serialization=False, selected_adapters=[name])
        (file,) = Path(folder).rglob("adapter_model.bin")
        return set(torch.load(file, weights_only=True))


def single(case: Record) -> Record:
    """One adapter: what loading it records, and its output where it runs."""
    model = fresh(case)
    ((_, folder),) = case["adapters"]
    record = measure(model, ordinary_inputs(model), Path(folder))
    if record.get("forward", {}).get("ok"):
        record["output"] = [
            round(value, 5) for value in answer(load(fresh(case), "default", folder)).flatten().tolist()
        ]
    return record


def main(cases: str, records: str) -> None:
    """Play every case of one file into another."""
    told = {}
    for case in json.loads(Path(cases).read_text()):
        told[case["key"]] = Play(case).record() if case["plan"] else single(case)
    Path(records).write_text(json.dumps(told))


if __name__ == "__main__":
    main(*sys.argv[1:])
