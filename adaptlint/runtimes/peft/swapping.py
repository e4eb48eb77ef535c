"""`hotswap_adapter`: another adapter's weights in the place of a loaded one's (PEFT 0.21.2, utils/hotswap.py)."""

from __future__ import annotations

from adaptlint.artefacts import TensorFile
from adaptlint.findings import Fact, Where
from adaptlint.runtimes.peft.conversion import Entry
from adaptlint.runtimes.peft.key_text import with_adapter
from adaptlint.runtimes.peft.plan import Step
from adaptlint.runtimes.peft.refusal import NotModelled, Refusal
from adaptlint.runtimes.peft.settings import Settings
from adaptlint.runtimes.peft.wrapped import Wrapped

CHECKED = ("use_rslora", "lora_dropout", "alpha_pattern", "use_dora")
FACTORS = (".lora_A.", ".lora_B.")


def check_configs(old: Settings, new: Settings, step: Step) -> None:
    """`check_hotswap_configs_compatible`."""
    if old.method.peft_type != new.method.peft_type:
        match = f"Incompatible PEFT types found: {old.method.peft_type} and {new.method.peft_type}"
        raise _refuse("ValueError", match, step, new.where("peft_type"), "peft_type")
    if not old.is_lora:
        match = f"Hotswapping only supports LORA but {old.method.peft_type} was passed."
        raise _refuse("ValueError", match, step, new.where("peft_type"), "peft_type")
    for field in CHECKED:
        if old[field] != new[field]:
            match = f"Configs are incompatible: for {field}, {old[field]} != {new[field]}"
            raise _refuse("ValueError", match, step, new.where(field), field)


def swap(wrapped: Wrapped, settings: Settings, file: TensorFile, step: Step) -> None:
    """Every tensor of the file must have its place; tensors that the file lacks are set to zero."""
    keys = wrapped.keys()
    state = {
        with_adapter(key, step.name, settings.release, settings.method.prefix): Entry(t.shape, (key,))
        for key, t in file.tensors.items()
    }
    inside = {origin.saved for origin in keys.values() if origin.kind == "saved"}  # wrappers pass attributes on
    unknown = [key for key in state if key not in keys and key not in inside]
    if unknown:
        match, at = "Hot swapping the adapter did not succeed, unexpected keys found: ", Where(file.path)
        raise _refuse("RuntimeError", match, step, at, unknown[0])
    for key, entry in state.items():
        origin = keys.get(key)
        if origin is None or origin.kind != "site" or origin.adapter != step.name:
            raise _refuse("KeyError", key, step, Where(file.path, (entry.sources[0],)), key)
        axis = 1 if FACTORS[0] in key else 0
        wide = entry.shape[axis : axis + 1] != origin.shape[axis : axis + 1]
        if entry.shape != origin.shape and (wide or len(entry.shape) != 2 or not any(f in key for f in FACTORS)):
            raise NotModelled("step-not-modelled", facts={"step": f"{step.op} of tensors of another width"})


def _refuse(type_name: str, match: str, step: Step, at: Where, field: str) -> Refusal:
    facts: dict[str, Fact] = {"step": f"{step.op} {step.name}", "name": field}
    return Refusal(type_name, match, "swap-impossible", at=at, facts=facts, stage=step.op)
