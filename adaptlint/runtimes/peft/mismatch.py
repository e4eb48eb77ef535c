"""Why a tensor's shape differs from its parameter's: the rank, the base's width, or a base with heads pruned away."""

from __future__ import annotations

from adaptlint.artefacts import TensorFile
from adaptlint.bases import Base
from adaptlint.findings import Fact, Fault, Mismatch, Where
from adaptlint.methods import load_method
from adaptlint.runtimes.peft.layers import feature_sizes, switched_on
from adaptlint.runtimes.peft.loading import Loaded, base_name
from adaptlint.runtimes.peft.settings import Settings
from adaptlint.runtimes.peft.variants import extra_sizes
from adaptlint.runtimes.peft.wrapped import Origin, Wrapped

REASONS = {
    "saved": "saved-module-size-disagrees",
    "tokens": "token-rows-disagree",
    "base": "base-tensor-size-disagrees",
}
FEATURES = ("in", "out")


def mismatch_fault(wrapped: Wrapped, settings: Settings, file: TensorFile, result: Loaded, mismatch: Mismatch) -> Fault:
    """The fault of one tensor; its facts have both shapes, the axis, its symbol, and both sizes."""
    origin = result.keys[mismatch.key]
    source = result.arrived[mismatch.key][0]
    facts: dict[str, Fact] = {
        "key": mismatch.key,
        "saved": source,
        "projection": origin.module.rpartition(".")[2],
        "checkpoint_shape": list(mismatch.checkpoint_shape),
        "model_shape": list(mismatch.model_shape),
    }
    at = Where(file.path, (source,))
    if 0 in mismatch.checkpoint_shape:
        return Fault("tensor-has-no-elements", "", origin.module, at, facts, decides=True)
    if origin.kind not in ("site", "alias"):
        facts["hint"] = ""  # told where the whole folder is in sight
        because = ((base_witness(wrapped.base, base_name(mismatch.key)), f"the model has {list(origin.shape)}"),)
        return Fault(REASONS[origin.kind], "", origin.module, at, facts, because, decides=True)
    facts["tensor"] = _tensor_name(mismatch.key, settings.method.prefix)
    if not settings.is_lora:
        return Fault("shape-disagrees", "", origin.module, at, facts, decides=True)
    if is_transposed(mismatch):
        return Fault("factor-transposed", "", origin.module, at, facts, decides=True)
    return _lora_mismatch(wrapped, settings, origin, at, facts, mismatch)


def is_transposed(mismatch: Mismatch) -> bool:
    """True for a matrix whose two axes stand the other way round."""
    theirs, ours = mismatch.checkpoint_shape, mismatch.model_shape
    return len(theirs) == 2 and theirs == ours[::-1]


def _lora_mismatch(
    wrapped: Wrapped, settings: Settings, origin: Origin, at: Where, facts: dict[str, Fact], mismatch: Mismatch
) -> Fault:
    site = wrapped.sites.get(origin.module)
    if site is None:
        counts = expert_counts(wrapped, origin, mismatch)
        if counts is not None:
            facts |= {"experts_found": counts[0], "experts_expected": counts[1]}
            because = ((base_witness(wrapped.base, origin.module), f"the base has {counts[1]} experts"),)
            return Fault("expert-count-disagrees", "", origin.module, at, facts, because, decides=True)
        return Fault("shape-disagrees", "", origin.module, at, facts, decides=True)
    applied = site.adapters[origin.adapter]
    sizes = feature_sizes(wrapped.by_path[origin.module]) | {"r": applied.rank}
    sizes |= extra_sizes(settings, sizes)
    for spec in load_method("lora").tensors_for(site.kind, switched_on(settings)):
        if not mismatch.key.endswith(spec.key.replace("{adapter}", origin.adapter)):
            continue
        conflicts = spec.signature.conflicts(mismatch.checkpoint_shape, sizes)
        for conflict in conflicts or ():
            if conflict.symbols in FEATURES:
                facts |= {"axis": conflict.symbols, "found": conflict.found, "expected": conflict.expected}
                because = (
                    (
                        base_witness(wrapped.base, f"{origin.module}.weight"),
                        _width_note(wrapped, origin.module, conflict.symbols),
                    ),
                )
                return Fault("width-disagrees-with-base", "", origin.module, at, facts, because, decides=True)
        for conflict in conflicts or ():
            facts |= {"axis": "r", "found": conflict.found, "expected": conflict.expected}
            field = _rank_field(settings, origin.module)
            because = ((settings.where(*field), f"the config gives rank {applied.rank}"),)
            return Fault("rank-disagrees-with-config", "", origin.module, at, facts, because, decides=True)
    return Fault("shape-disagrees", "", origin.module, at, facts, decides=True)


def expert_counts(wrapped: Wrapped, origin: Origin, mismatch: Mismatch) -> tuple[int, int] | None:
    """The experts that the file's fused factors were trained for, and the base's; None where that is not what differs.

    A fused factor has experts * r on one axis and a width on the other (PEFT 0.21.2, lora/layer.py, ParamWrapper).
    """
    shape = next((s for s in wrapped.by_path[origin.module].params.values() if len(s) == 3), None)
    if shape is None or len(mismatch.checkpoint_shape) != 2 or len(mismatch.model_shape) != 2:
        return None
    axis = 0 if "lora_A" in mismatch.key else 1
    if mismatch.checkpoint_shape[1 - axis] != mismatch.model_shape[1 - axis]:
        return None
    rank = mismatch.model_shape[axis] // shape[0]
    found, rest = divmod(mismatch.checkpoint_shape[axis], rank) if rank else (0, 1)
    return None if rest or not found else (found, shape[0])


def _width_note(wrapped: Wrapped, module: str, axis: str) -> str:
    """What the base says of a layer's width, with the numbers that make it."""
    weight = wrapped.by_path[module].params["weight"]
    config = wrapped.base.resolved_config
    names = ("hidden_size", "intermediate_size", "num_attention_heads", "num_key_value_heads", "head_dim")
    numbers = ", ".join(f"{name} {config[name]}" for name in names if isinstance(config.get(name), int))
    return f"the base's {module}.weight is {list(weight)} ({axis}; {numbers})"


def _rank_field(settings: Settings, module: str) -> tuple[str, ...]:
    patterns = settings.pattern_keys("rank_pattern")
    found = patterns.first(module)
    return ("r",) if found is None else ("rank_pattern", str(patterns.keys[found]))


def _tensor_name(key: str, prefix: str) -> str:
    """ "lora_B" of "...q_proj.lora_B.default.weight"."""
    parts = key.split(".")
    return next((part for part in reversed(parts) if part.startswith(prefix)), parts[-1])


def base_witness(base: Base, parameter: str) -> Where:
    """Who says a base parameter's size: its own header entry, else the config it was built from, else the lock."""
    if base.headers is not None and parameter in base.headers.tensors:
        return Where(base.headers.path, (parameter,))
    if base.config_file is not None:
        return Where(base.config_file.path)
    return Where(base.ref)
