"""Why a tensor's shape differs from its parameter's: the rank, the base's width, or a base with heads pruned away."""

from __future__ import annotations

from adaptlint.artefacts import TensorFile
from adaptlint.bases import Base
from adaptlint.findings import Fact, Fault, Mismatch, Where
from adaptlint.methods import load_method
from adaptlint.runtimes.peft.layers import SWITCHES, feature_sizes
from adaptlint.runtimes.peft.loading import Loaded, base_name
from adaptlint.runtimes.peft.settings import Settings
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
    if origin.kind != "lora":
        because = ((base_witness(wrapped.base, base_name(mismatch.key)), f"the model has {list(origin.shape)}"),)
        return Fault(REASONS[origin.kind], "", origin.module, at, facts, because, decides=True)
    facts["tensor"] = _tensor_name(mismatch.key)
    if 0 in mismatch.checkpoint_shape:
        return Fault("tensor-has-no-elements", "", origin.module, at, facts, decides=True)
    return _lora_mismatch(wrapped, settings, origin, at, facts, mismatch)


def _lora_mismatch(
    wrapped: Wrapped, settings: Settings, origin: Origin, at: Where, facts: dict[str, Fact], mismatch: Mismatch
) -> Fault:
    site = wrapped.lora.get(origin.module)
    if site is None:
        return Fault("shape-disagrees", "", origin.module, at, facts, decides=True)
    applied = site.adapters[origin.adapter]
    sizes = feature_sizes(wrapped.by_path[origin.module]) | {"r": applied.rank}
    switched_on = frozenset(field for field in SWITCHES if settings[field])
    for spec in load_method("lora").tensors_for(site.kind, switched_on):
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


def _width_note(wrapped: Wrapped, module: str, axis: str) -> str:
    """What the base says of a layer's width, with the numbers that make it."""
    weight = wrapped.by_path[module].params["weight"]
    config = wrapped.base.resolved_config
    names = ("hidden_size", "intermediate_size", "num_attention_heads", "num_key_value_heads", "head_dim")
    numbers = ", ".join(f"{name} {config[name]}" for name in names if isinstance(config.get(name), int))
    return f"the base's {module}.weight is {list(weight)} ({axis}; {numbers})"


def _rank_field(settings: Settings, module: str) -> tuple[str, ...]:
    from adaptlint.runtimes.peft.patterns import suffix_match

    for pattern in settings["rank_pattern"]:
        if suffix_match(str(pattern), module, settings.where("rank_pattern", pattern)):
            return ("rank_pattern", str(pattern))
    return ("r",)


def _tensor_name(key: str) -> str:
    """ "lora_B" of "...q_proj.lora_B.default.weight"."""
    parts = key.split(".")
    return next((part for part in reversed(parts) if part.startswith("lora_")), parts[-1])


def base_witness(base: Base, parameter: str) -> Where:
    """Who says a base parameter's size: its own header entry, else the config it was built from, else the lock."""
    if base.headers is not None and parameter in base.headers.tensors:
        return Where(base.headers.path, (parameter,))
    if base.config_file is not None:
        return Where(base.config_file.path)
    return Where(base.ref)


def note_pruning(faults: list[Fault], wrapped: Wrapped) -> list[Fault]:
    """Width faults of a base whose heads or neurons were pruned away become "adapter-of-pruned-base".

    That is so when, in every module that disagrees, only one of its two widths does, and the adapter's is smaller:
    the residual stream is the base's own, what lies inside the layers is narrower (LLM-Pruner; peft#1746).
    """
    widths = [fault for fault in faults if fault.reason == "width-disagrees-with-base"]
    sides: dict[str, set[Fact]] = {}
    for fault in widths:
        sides.setdefault(fault.module, set()).add(fault.facts["axis"])
    narrower = all(int(str(f.facts["found"])) < int(str(f.facts["expected"])) for f in widths)
    if not widths or not narrower or any(len(axes) > 1 for axes in sides.values()):
        return faults
    head = head_size(wrapped.base)
    return [
        fault._replace(reason="adapter-of-pruned-base", facts=dict(fault.facts) | _heads(fault, head))
        if fault.reason == "width-disagrees-with-base"
        else fault
        for fault in faults
    ]


def head_size(base: Base) -> int | None:
    """Features per attention head from the config: head_dim, else hidden_size / num_attention_heads."""
    config = base.resolved_config
    size = config.get("head_dim")
    if isinstance(size, int) and size > 0:
        return size
    hidden, heads = config.get("hidden_size"), config.get("num_attention_heads")
    if isinstance(hidden, int) and isinstance(heads, int) and heads > 0 and hidden % heads == 0:
        return hidden // heads
    return None


def _heads(fault: Fault, head: int | None) -> dict[str, Fact]:
    """Widths as numbers of heads, for modules of an attention block whose two widths are multiples of a head."""
    found, expected = int(str(fault.facts["found"])), int(str(fault.facts["expected"]))
    attention = "att" in fault.module.rpartition(".")[0].rpartition(".")[2].lower()
    if not attention or head is None or found % head or expected % head:
        return {"arithmetic": f"{found} of {expected} features kept", "head_dim": None}
    return {
        "arithmetic": f"{found} = {found // head} heads x {head}, where the base has {expected} = {expected // head} "
        f"heads x {head}",
        "head_dim": head,
        "heads_found": found // head,
        "heads_expected": expected // head,
    }
