"""A model in memory with PEFT's adapters on it: what its layers hold is looked at, nothing is predicted.

PEFT 0.4 to 0.21 (tuners/tuners_utils.py, BaseTunerLayer): a layer that adapters act on keeps their parameters in
attributes that `adapter_layer_names` lists, each a container with one entry per adapter.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from adaptlint.findings import Fact, Fault, RaisedError, Verdict
from adaptlint.hints import Any
from adaptlint.named_tuple import NamedTuple
from adaptlint.runtimes.peft.live_training import out_of_reach

PAIRS = (("lora_A", "lora_B"), ("lora_embedding_A", "lora_embedding_B"))
SIZES = {"lora_A": ("in_features", "out_features"), "lora_embedding_A": ("num_embeddings", "embedding_dim")}
"""What a base layer calls the sizes that a pair of factors has to have."""
PROMPTS = "prompt_encoder"


class Held(NamedTuple):
    """What one layer holds of one adapter: tensors by parameter path, both factors of a LoRA pair if it has one."""

    path: str
    layer: Any
    tensors: Mapping[str, Any]
    pair: tuple[str, Any, Any] | None


class Live(NamedTuple):
    """What was found in a model: the verdict, faults, and how many layers and tensors were looked at by adapter."""

    verdict: Verdict
    faults: tuple[Fault, ...]
    layers: Mapping[str, int]
    tensors: Mapping[str, int]


def look_at(model: Any, version: str, transformers: str) -> Live:
    """Everything that can be told of the adapters in a model without running it. No value is changed or moved."""
    held = {name: list(_held(model, name)) for name in model.peft_config}
    faults: list[Fault] = []
    left: list[str] = []
    unread = False
    for name, layers in held.items():
        readable = [one for one in layers if not any(tensor.is_meta for tensor in one.tensors.values())]
        unread = unread or len(readable) < len(layers)
        faults += [*_not_active(name, layers), *_shapes(name, layers), *_not_finite(name, readable)]
        faults += out_of_reach(model, name, [one.path for one in layers])
        zero = {one.path: keys for one in readable if (keys := _zero_factors(one))}
        pairs = [one for one in layers if one.pair is not None]
        left += [key for keys in zero.values() for key in keys]
        faults += [*_without_effect(name, layers, pairs, zero)]
    sized = {name: sum(len(one.tensors) for one in layers) for name, layers in held.items()}
    verdict = _verdict(faults, left, unread)._replace(version=version, transformers=transformers)
    return Live(verdict, tuple(faults), {name: len(layers) for name, layers in held.items()}, sized)


def _held(model: Any, adapter: str) -> Iterator[Held]:
    for path, layer in model.named_modules():
        names = tuple(getattr(layer, "adapter_layer_names", ()))
        if PROMPTS in getattr(layer, "_modules", ()):
            names += (PROMPTS,)
        tensors: dict[str, Any] = {}
        for name in names:
            store: Any = getattr(layer, name, None)
            entry: Any = store[adapter] if hasattr(store, "keys") and adapter in store else None
            prefix = ".".join(part for part in (path, name, adapter) if part)
            if hasattr(entry, "named_parameters"):
                tensors.update((f"{prefix}.{key}", tensor) for key, tensor in entry.named_parameters())
            elif entry is not None and hasattr(entry, "is_meta"):
                tensors[prefix] = entry
        if tensors:
            yield Held(path, layer, tensors, _pair(path, tensors, adapter))


def _pair(path: str, tensors: Mapping[str, Any], adapter: str) -> tuple[str, Any, Any] | None:
    for first, second in PAIRS:
        found = [
            next((t for key, t in tensors.items() if key.startswith(f"{path}.{name}.{adapter}") and t.dim() == 2), None)
            for name in (first, second)
        ]
        if found[0] is not None and found[1] is not None:
            return first, found[0], found[1]
    return None


def _zero_factors(one: Held) -> list[str]:
    """The factors of a pair that are zero throughout."""
    if one.pair is None:
        return []
    factors = {id(tensor) for tensor in one.pair[1:]}
    return [key for key, tensor in one.tensors.items() if id(tensor) in factors and not bool((tensor != 0).any())]


def _not_finite(adapter: str, layers: list[Held]) -> Iterator[Fault]:
    for one in layers:
        for key, tensor in one.tensors.items():
            if tensor.is_floating_point() and not bool(tensor.isfinite().all()):
                yield Fault("value-not-finite", adapter, one.path, facts={"key": key}, target="peft", decides=True)


def _without_effect(
    adapter: str, layers: list[Held], pairs: list[Held], zero: Mapping[str, list[str]]
) -> Iterator[Fault]:
    """No layer at all, no scale, or factors that are zero as before training."""
    if not layers:
        yield Fault("live-adapter-without-layers", adapter, target="peft", decides=True)
        return
    scales = [getattr(one.layer, "scaling", {}).get(adapter) for one in pairs]
    only = len(pairs) == len(layers)
    facts: dict[str, Fact] = {"sites": len(pairs), "field": "the scaling of its layers"}
    if only and scales and all(scale == 0 for scale in scales):
        yield Fault("scale-is-zero", adapter, facts=facts, target="peft", decides=True)
    if zero and only and len(zero) == len(pairs):
        yield Fault("update-is-zero", adapter, facts=facts, target="peft", decides=True)
    elif zero:
        for path in zero:
            part: dict[str, Fact] = {"dead": len(zero), "all": len(pairs), "projection": path.rpartition(".")[2]}
            yield Fault("update-is-zero-in-part", adapter, path, facts=part, target="peft")


def _not_active(adapter: str, layers: list[Held]) -> Iterator[Fault]:
    """Layers that pass the adapter by: it is not set there, or they are switched off."""
    switched = [one for one in layers if active_in(one.layer) is not None]
    off = [one for one in switched if _is_off(one.layer)]
    idle = [one for one in switched if adapter not in (active_in(one.layer) or ())]
    merged = [one for one in switched if adapter in getattr(one.layer, "merged_adapters", ())]
    for why, found in (("live-adapter-switched-off", off), ("live-adapter-not-set", idle)):
        if found and len(merged) < len(found):
            facts: dict[str, Fact] = {"idle": len(found), "all": len(switched)}
            yield Fault(why, adapter, facts=facts, target="peft")
            return


def active_in(layer: Any) -> list[str] | None:
    """The adapters that a forward of this layer uses; None where it does not say.

    A model with prompts says it in `active_adapter`: its `active_adapters` is a method of the base model's.
    """
    if PROMPTS in getattr(layer, "_modules", ()):
        return [layer.active_adapter]
    active = getattr(layer, "active_adapters", None)
    return list(active) if isinstance(active, list | tuple) else None


def _is_off(layer: Any) -> bool:
    return getattr(layer, "disable_adapters", getattr(layer, "_disable_adapters", False)) is True


def _shapes(adapter: str, layers: list[Held]) -> Iterator[Fault]:
    """Factors that do not fit each other or the base layer; told where the forward would go through them."""
    for one in layers:
        base = getattr(one.layer, "base_layer", None)
        if one.pair is None or base is None:
            continue
        name, first, second = one.pair
        given, taken = (getattr(base, size, None) for size in SIZES[name])
        wrong = (
            first.shape[0] != second.shape[1],
            given not in (None, first.shape[1]),
            taken not in (None, second.shape[0]),
        )
        if any(wrong):
            facts: dict[str, Fact] = {
                "first": list(first.shape),
                "second": list(second.shape),
                "given": given,
                "taken": taken,
                "projection": one.path.rpartition(".")[2],
            }
            active = adapter in (active_in(one.layer) or ()) and not _is_off(one.layer)
            yield Fault("live-shapes-disagree", adapter, one.path, facts=facts, target="peft", decides=active)


def _verdict(faults: list[Fault], left: list[str], unread: bool) -> Verdict:
    deciding = [fault for fault in faults if fault.decides]
    raising = any(fault.reason == "live-shapes-disagree" for fault in deciding)
    outcome = "fails" if raising else "wrong" if deciding else "unknown" if unread else "works"
    error = RaisedError("RuntimeError", "") if raising else None
    return Verdict("peft", "", "", outcome, "forward" if raising else None, error, left_at_init=tuple(left))
