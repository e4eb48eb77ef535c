"""One plan with PEFT: every step's outcome, held against what the active adapter does alone, then one forward."""

from __future__ import annotations

import contextlib
import os
import tempfile
from typing import Any

from .compositions import text_of
from .models import SEEDS, Unreadable, answer, build, inputs_of, known_of, outputs, runs_alone
from .peft_composed import Composed, NoCall, NoReference
from .peft_loads import held_by, load, observed_load
from .telling import Channel
from .tolerances import close, tolerance_of

Job = dict[str, Any]
Record = dict[str, Any]
SEED = SEEDS["adapter"]
BY_TASK = ("POLY", "MULTITASK_PROMPT_TUNING")
ON_META = ("meta tensor", "Tensor on device meta", "aten::item", "device meta", "on device cpu is not on the expected")


class Stopped(Exception):
    """A step raised; the record has it."""


class PeftRun:
    """One model and the steps that are done to it."""

    def __init__(self, job: Job, channel: Channel) -> None:
        self.job, self.channel = job, channel
        self.folders: dict[str, str] = {}  # of what is loaded under each name
        self.queue: dict[str, list[str]] = {}  # folders that are still to be loaded: several may have one name
        for each in job["adapters"]:
            self.queue.setdefault(each["name"], []).append(each["folder"])
            self.folders.setdefault(each["name"], each["folder"])
        self.meta = job["scale"] == "load"
        self.several = len(job["plan"]) > 1
        self.model: Any = None
        self.base: Any = None
        self.active = ""
        self._alone: dict[str, Any] = {}
        self.exact: dict[str, dict[str, float]] = {}  # adapters that the plan made of weighted others, exactly

    def run(self) -> Any:
        """Everything that the job asks for; the model with its adapters, None where a step raised."""
        try:
            self.base = build(self.job, meta=self.meta)
            runs_alone(self.base, self.job)
        except Unreadable:
            raise
        except Exception as problem:
            made = self.job["scale"] == "tiny"  # what its shrinking broke says nothing of the adapter
            self.channel.say("base", outcome="raises", error=self.channel.error(problem), artefact=made)
            return None
        parameters = sum(each.numel() for each in self.base.parameters())
        self.channel.say("base", outcome="ok", parameters=parameters, **{"class": type(self.base).__name__})
        for number, step in enumerate(self.job["plan"]):
            if not self.step(number, step):
                return None
        if self.job.get("compositions") and not self.meta:
            for written in self.job["compositions"]:
                self.composed(written)
        elif not self.meta:
            self.forward()
        return self.model

    def step(self, number: int, step: Record) -> bool:
        """Do and record one step; False where it raises."""
        told = {"number": number, "op": step["op"], "adapter": step["name"]}
        try:
            seen = self.do(step["op"], step["name"], [tuple(option) for option in step["options"]])
        except Exception as problem:
            artefact = self.meta and any(word in str(problem) for word in ON_META)
            error = self.channel.error(problem)
            if step["op"] == "load":
                told["file"] = held_by(self.folders[step["name"]], self.base)
            self.channel.say("step", outcome="raises", error=error, artefact=artefact, **told)
            return False
        self.channel.say("step", outcome="ok", **told, **seen)
        return True

    def do(self, op: str, name: str, options: list[Any]) -> Record:
        """One step of the plan; raises what the library raises."""
        if op == "load":
            return self.load(name, options)
        if op == "set":
            self.model.set_adapter(name)
            self.active = name
        elif op == "delete":
            self.model.delete_adapter(name)
        elif op == "disable":
            return self.disable()
        elif op == "combine":
            return self.combine(name, options)
        elif op == "hotswap":
            from peft.utils.hotswap import hotswap_adapter

            hotswap_adapter(self.model, self.folders[options[0][0]], adapter_name=name)
            self.folders[name] = self.folders[options[0][0]]
            self._alone.pop(name, None)
        elif op == "merge":
            return self.merge()
        elif op == "save":
            return {"as_meant": self.meta or all(self.saved_alike(each) for each in self.folders)}
        return self.as_meant()

    def load(self, name: str, options: list[Any]) -> Record:
        """One adapter more."""
        import torch

        given = {key: value == "true" for key, value in options}
        if self.queue.get(name):
            self.folders[name] = self.queue[name].pop(0)
            self._alone.pop(name, None)
        torch.manual_seed(SEED)
        first = self.model is None
        target = self.base if first else self.model
        self.model, seen = observed_load(target, first, name, self.folders[name], given)
        self.model.eval()
        self.active = self.active or name
        return {**seen, **self.as_meant()}

    def as_meant(self) -> Record:
        """Whether the model answers as the active adapter alone does; nothing for a single load, or on meta."""
        if self.meta or not self.several:
            return {}
        self.model.eval()
        return {"as_meant": self.near(self.answer(self.model), self.alone(self.active))}

    def alone(self, name: str) -> Any:
        """What the adapter gives, loaded by itself onto a fresh base; "" is the base alone."""
        if name not in self._alone:
            self._alone[name] = self.answer(self.model_of(name) if name else build(self.job))
        return self._alone[name]

    def model_of(self, name: str) -> Any:
        """A fresh base with this adapter alone."""
        import torch

        if name not in self.folders:
            raise NoReference(f"{name} is made by the plan")
        fresh = build(self.job)
        torch.manual_seed(SEED)
        return load(fresh, True, name, self.folders[name], {}).eval()

    def answer(self, model: Any, **extra: Any) -> Any:
        """The first output for the ordinary inputs, and what else the forward is given."""
        return answer(model, {**self.given(model), **extra})

    def given(self, model: Any) -> dict[str, Any]:
        """The inputs, with the numbers of tasks where the adapter is for several."""
        import torch

        inputs = inputs_of(model.get_base_model() if hasattr(model, "get_base_model") else model, self.job)
        config = getattr(model, "active_peft_config", None)
        if getattr(config, "peft_type", "") in BY_TASK and getattr(config, "task_type", None):
            first = next(iter(inputs.values()))
            inputs["task_ids"] = torch.zeros(len(first), dtype=torch.long, device=first.device)
        return inputs

    def near(self, one: Any, other: Any) -> bool:
        """Equal within the bound of the dtype."""
        return close(one, other, tolerance_of(self.job))

    def disable(self) -> Record:
        """Inside `disable_adapter` the model is the base, and after it what it was."""
        with self.model.disable_adapter():
            off = self.near(self.answer(self.model), self.alone(""))
        return {"as_meant": off and self.near(self.answer(self.model), self.alone(self.active)), "off_is_base": off}

    def merge(self) -> Record:
        """Merged and unloaded, the model answers as before."""
        before = self.answer(self.model)
        self.model = self.model.merge_and_unload()
        return {"as_meant": self.near(self.answer(self.model), before)}

    def combine(self, name: str, options: list[Any]) -> Record:
        """`add_weighted_adapter`; "cat" is exact, so that its update can be held against the sum of the parts'."""
        kind = next((option for option, value in options if not value), "svd")
        parts = {option: float(value) for option, value in options if value and option != "density"}
        extra = {option: float(value) for option, value in options if option == "density"}
        taken = name in self.model.peft_config
        self.model.add_weighted_adapter(list(parts), list(parts.values()), name, combination_type=kind, **extra)
        if taken or kind != "cat" or self.meta:
            return {"as_meant": not taken}
        self.exact[name] = parts
        layers = [each for each in self.model.modules() if name in getattr(each, "lora_A", ())]
        return {"as_meant": all(self.near(each.get_delta_weight(name), summed(each, parts)) for each in layers)}

    def saved_alike(self, name: str) -> bool:
        """True if `save_pretrained` writes for the adapter what it writes for it alone."""
        import torch

        fresh = build(self.job)
        torch.manual_seed(SEED)
        return saved(self.model, name) == saved(load(fresh, True, name, self.folders[name], {}), name)

    def composed(self, written: Any) -> None:
        """A composition, held against what its words mean; `undecided` says why there is nothing to hold it against."""
        told: Record = {"composition": text_of(written), "masked": self.job["conditions"].get("mask") == "padded"}
        told.update(outcome="ok", why=[])
        near = tolerance_of(self.job)["atol"]
        asked = Composed(self.model.eval(), self.answer, lambda: build(self.job), self.model_of, self.folders, near)
        asked.averages.update(self.exact)
        try:
            told["why"] = list(asked.faults(written))
        except (NoReference, NoCall) as reason:
            told["undecided"] = str(reason)
        except Exception as problem:
            told.update(outcome="raises", error=self.channel.error(problem))
        with contextlib.suppress(Exception):  # an adapter that does not run alone is not idle
            told["idle"] = [name for name in self.folders if self.alone(name).equal(self.alone(""))]
        self.channel.say("composition", **told)

    def forward(self) -> None:
        """One forward with the adapter on, one with it off, and their difference."""
        import torch

        try:
            given = self.given(self.model)
            with torch.no_grad():
                on = outputs(self.model(**given))
        except Exception as problem:
            self.channel.say("forward", outcome="raises", error=self.channel.error(problem))
            return
        self.channel.say(
            "forward",
            outcome="ok",
            inputs=known_of(given),
            shapes=[list(each.shape) for each in on],
            finite=all(bool(each.isfinite().all()) for each in on),
            **effect(self.model, given, on),
        )


def effect(model: Any, given: dict[str, Any], on: list[Any]) -> Record:
    """How far the outputs are from those with the adapter off; `effect` is null where that cannot be asked."""
    import torch

    try:
        with torch.no_grad(), model.disable_adapter():
            off = outputs(model(**given))
    except Exception:
        return {"effect": None}
    if not all(bool(each.isfinite().all()) for each in off):
        return {"effect": None, "base_finite": False}
    if len(on) != len(off) or any(one.shape != other.shape for one, other in zip(on, off)):
        return {"effect": True}  # virtual tokens have outputs of their own
    differences = [float((one - other).abs().float().nan_to_num(1.0).max()) for one, other in zip(on, off)]
    neutral = 1e-6 if any("lora_magnitude_vector" in name for name, _ in model.named_parameters()) else 0.0
    return {"effect": max(differences) > neutral, "max_abs_diff": max(differences)}


def summed(layer: Any, parts: dict[str, float]) -> Any:
    """The update that the weighted parts make together."""
    return sum(weight * layer.get_delta_weight(part) for part, weight in parts.items())


def saved(model: Any, name: str) -> set[str]:
    """The tensors that `save_pretrained` writes for one adapter."""
    import safetensors.torch

    with tempfile.TemporaryDirectory() as folder:
        model.save_pretrained(folder, selected_adapters=[name])
        for place, _, files in os.walk(folder):
            for file in files:
                if file.endswith(".safetensors"):
                    return set(safetensors.torch.load_file(os.path.join(place, file)))
                if file.endswith(".bin"):
                    import torch

                    return set(torch.load(os.path.join(place, file), weights_only=True))
    return set()
