"""What real PEFT does with an adapter folder, measured: exceptions, warnings, key lists, bytes before and after."""

from __future__ import annotations

import json
import warnings
from pathlib import Path
from typing import Any
from unittest import mock

import peft
import torch
import transformers
from peft import peft_model

Record = dict[str, Any]
Inputs = dict[str, torch.Tensor]
VERSIONS = {
    "peft": peft.__version__,
    "transformers": transformers.__version__,
    "torch": torch.__version__.split("+")[0],
}
MARK = 0.8125  # a value no initialisation leaves in a whole tensor; exact in every float type
FOLDED = "delta_embedding"  # CPT saves the sum of its two embeddings: this one stays zero when it is loaded
# Buffers made from a seed of the config, or of zeros: PEFT itself can be told not to save the first.
MADE_AGAIN = ("vera_A", "vera_B", "randlora_A", "randlora_B", "tinylora_P", "unilora_", "zeros")
NOISE = 1e-6  # what switching a neutral DoRA on and off may change in float32


def is_adapter(name: str) -> bool:
    """True for parameters that belong to the adapter called `default`."""
    return "default" in name.split(".")


class Watch:
    """Stands where PEFT copies the checkpoint into the model and measures what the copying changed."""

    def __init__(self) -> None:
        self.step: Record = {}
        self.copy = peft_model.set_peft_model_state_dict
        self.result: Any = None

    def __call__(self, model: Any, *args: Any, **options: Any) -> Any:
        """Mark every adapter parameter, let PEFT load, and restore the initial value of what is still marked."""
        before = {name: value.detach().clone() for name, value in (*model.named_parameters(), *model.named_buffers())}
        adapter = {name: p for name, p in model.named_parameters() if is_adapter(name) and FOLDED not in name}
        adapter |= {name: b for name, b in model.named_buffers() if is_frozen_factor(name, b, model)}
        for parameter in adapter.values():
            parameter.data.fill_(MARK)
        result = self.copy(model, *args, **options)
        now = dict((*model.named_parameters(), *model.named_buffers()))  # a loader may have put in others
        left = [name for name in adapter if name in now and now[name].numel() and bool((now[name].data == MARK).all())]
        for name in left:
            adapter[name].data.copy_(before[name])
        self.result = result  # PEFT takes the base's own keys out of its lists after this call
        self.step["left_at_init"] = left
        self.step["base_tensors_overwritten"] = [
            name
            for name, parameter in model.named_parameters()
            if not is_adapter(name) and not same(parameter.data, before[name])
        ]
        return result


def is_frozen_factor(name: str, value: torch.Tensor, model: Any) -> bool:
    """True for a buffer that a checkpoint has and that does not come out the same when it is made again."""
    kept = is_adapter(name) and value.is_floating_point() and not any(word in name for word in MADE_AGAIN)
    return kept and name in model.state_dict()


def numbers(name: str, value: torch.Tensor) -> bool:
    """True if all values are numbers; VB-LoRA itself puts minus infinity where a logit is not among the top k."""
    return bool((torch.isfinite(value) | (("vblora_logits" in name) & torch.isneginf(value))).all())


def same(one: torch.Tensor, other: torch.Tensor) -> bool:
    """Equal in shape and in every byte, NaN included."""
    return one.shape == other.shape and bool(torch.equal(one.nan_to_num(7.5), other.nan_to_num(7.5)))


def error_of(problem: BaseException, adapter: Path) -> Record:
    """An exception as a record; the folder's own path is written as <CASE>/adapter."""
    message = str(problem).replace(str(adapter), f"<CASE>/{adapter.name}")
    return {"type": type(problem).__name__, "mro": [c.__name__ for c in type(problem).__mro__[:-2]], "message": message}


def measure(model: Any, inputs: Inputs, adapter: Path) -> Record:
    """Load the folder onto the model (and spoil it) with `PeftModel.from_pretrained`, run one forward, and record."""
    watch = Watch()
    step: Record = watch.step
    torch.manual_seed(3)
    with (
        warnings.catch_warnings(record=True) as caught,
        mock.patch.object(peft_model, "set_peft_model_state_dict", watch),
    ):
        warnings.simplefilter("always")
        try:
            loaded = peft.PeftModel.from_pretrained(model, str(adapter))
        except Exception as problem:
            error = error_of(problem, adapter)
            return {
                "versions": VERSIONS,
                "outcome": "raises",
                "error": error,
                "steps": [{"op": "from_pretrained", "outcome": "raises", "error": error}],
            }
    own = (*loaded.named_parameters(), *loaded.named_buffers())  # frozen factors are buffers
    tensors = {name: value.data for name, value in own if is_adapter(name)}
    step.update(
        op="from_pretrained",
        outcome="ok",
        load_result={
            "missing_keys": list(watch.result.missing_keys),
            "unexpected_keys": list(watch.result.unexpected_keys),
        },
        warnings=[{"category": w.category.__name__, "message": str(w.message)} for w in caught],
        nonfinite=[name for name, value in tensors.items() if not numbers(name, value)],
        all_zero=[name for name, value in tensors.items() if not bool(value.any())],
    )
    seen = forward(loaded.eval(), with_task(loaded, inputs))
    if seen.get("effect") is False and step["base_tensors_overwritten"]:
        seen["effect"] = None  # on and off both have the overwritten base, so they cannot tell
    return {"versions": VERSIONS, "outcome": "ok", "forward": seen, "steps": [step]}


def with_task(model: Any, inputs: Inputs) -> Inputs:
    """The inputs with the numbers of tasks, where the adapter is for several."""
    config: Any = getattr(model, "active_peft_config", None)
    method = getattr(config, "peft_type", "")
    if method != "POLY" and not (method == "MULTITASK_PROMPT_TUNING" and config.task_type):
        return inputs
    return {**inputs, "task_ids": torch.zeros(len(next(iter(inputs.values()))), dtype=torch.long)}


def forward(model: Any, inputs: Inputs) -> Record:
    """One ordinary forward with the adapter on, and again with it off."""
    call = model.base_model if type(model) is peft.PeftModel and "task_ids" in inputs else model  # AL133
    try:
        with torch.no_grad():
            on = outputs(call(**inputs))
    except Exception as problem:
        return {"ok": False, "error": f"{type(problem).__name__}: {problem}"}
    try:
        with torch.no_grad(), model.disable_adapter():
            off = outputs(call(**inputs))
    except Exception:
        return {"ok": True, "effect": None}
    dora = any("lora_magnitude_vector" in name for name, _ in model.named_parameters())
    pairs = list(zip(on, off, strict=True))
    if any(a.shape != b.shape for a, b in pairs):  # virtual tokens have outputs of their own
        return {"ok": True, "finite": all(bool(a.isfinite().all()) for a in on), "effect": True}
    difference = max(float((a - b).abs().nan_to_num(1.0).max()) for a, b in pairs)
    return {
        "ok": True,
        "finite": all(bool(a.isfinite().all()) for a in on),
        "max_abs_diff": difference,
        "effect": difference > (NOISE if dora else 0.0),
    }


def outputs(result: Any) -> list[torch.Tensor]:
    """The floating-point tensors of a model's output."""
    return [value for value in result.to_tuple() if isinstance(value, torch.Tensor) and value.is_floating_point()]


def write_record(record: Record, path: Path) -> None:
    """Write a record as one JSON line."""
    path.write_text(json.dumps(record, separators=(",", ":")) + "\n")
