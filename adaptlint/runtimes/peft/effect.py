"""Whether a loaded adapter can change the output at all."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from adaptlint import tables
from adaptlint.artefacts import TensorFile, ValueRow
from adaptlint.findings import Fault, Where
from adaptlint.runtimes.peft.loading import Loaded
from adaptlint.runtimes.peft.release import PEFT
from adaptlint.runtimes.peft.settings import Settings
from adaptlint.runtimes.peft.wrapped import Wrapped

NUMBERED = ".{i}"  # how the name of a factor ends of which a site has several, each in a part of its own
EVERY = -1  # the part of a factor that acts in all of the numbered ones
ACT_ALONE = (".lora_magnitude_vector", ".lora_B.bias")  # have an effect whatever the factors are


def effect_of(
    wrapped: Wrapped,
    adapter: str,
    settings: Settings,
    file: TensorFile,
    result: Loaded,
    values: Mapping[str, ValueRow],
) -> Fault | None:
    """Why the adapter leaves the output as it is; None when it can change it.

    A site's update is a product (LoRA's is scale * B @ A): it is zero when the scale, or a factor, is.

    A factor that did not arrive keeps its initial value: B (for embeddings A) is zero unless `init_lora_weights` is
    false. Other tensors that arrive (saved modules, tokens, DoRA magnitudes, trained biases) count as an effect; base
    tensors in the file do not, because they are as a rule the base's own.
    """
    saved = any(adapter in copies for copies in wrapped.saved.values())
    if settings.method.is_prompt and settings["task_type"] not in tables.load()[PEFT]["task"] and not saved:
        return Fault("prompt-never-applied", at=settings.where("task_type"), facts={"field": "task_type"})
    if settings["kasa_config"] is not None:
        return None  # KaSA cuts the base's weights down when it is put on, which no zero undoes
    scales = [site.adapters[adapter].scale for site in wrapped.sites.values() if adapter in site.adapters]
    scales += [
        s.adapters[adapter].scale for sites in wrapped.parameters.values() for s in sites if adapter in s.adapters
    ]
    silent = bool(scales) and not any(scales)
    if not values and not silent:
        return None
    sites = _zeros_by_site(adapter, settings, result, values)
    if sites is None:
        return None
    if silent:
        field = settings.method.scale
        return Fault("scale-is-zero", at=settings.where(field), facts={"field": field, "sites": len(scales)})
    if sites and all(any(zero) for zero in sites.values()) and values and result.arrived:
        return Fault("update-is-zero", at=Where(file.path), facts={"sites": len({stem for stem, _ in sites})})
    return None


def _zeros_by_site(
    adapter: str, settings: Settings, result: Loaded, values: Mapping[str, ValueRow]
) -> dict[tuple[str, int], list[bool]] | None:
    """For each part of a site's update whether its factors are zero; None where something else acts by itself."""
    parts = settings.method.neutral
    sites: dict[tuple[str, int], list[bool]] = {}
    everywhere: dict[str, list[bool]] = {}
    for key, origin in result.keys.items():
        if origin.kind == "base" and key in result.arrived and settings["bias"] != "none" and key.endswith(".bias"):
            return None
        if origin.kind == "alias":  # a layer's view of what is counted where it is kept
            continue
        if origin.kind != "site" or origin.adapter != adapter:
            if key in result.arrived and origin.kind != "base" and origin.adapter == adapter:
                return None
            continue
        part = _part_of(origin.saved, parts)
        if part is None:
            if key in result.arrived and origin.saved.endswith(ACT_ALONE):
                return None
            continue
        stem = origin.saved.rpartition(f".{settings.method.prefix}")[0]
        zero = _is_zero(key, settings, result, values)
        if part == EVERY:
            everywhere.setdefault(stem, []).append(zero)
        else:
            sites.setdefault((stem, part), []).append(zero)
    return {(stem, part): [*zeros, *everywhere.get(stem, ())] for (stem, part), zeros in sites.items()}


def _part_of(saved: str, parts: Sequence[Sequence[str]]) -> int | None:
    """The part that a tensor is a factor of: its place among the card's, or the number that its name ends in."""
    for place, factors in enumerate(parts):
        for factor in factors:
            if factor.endswith(NUMBERED):
                head, _, number = saved.rpartition(".")
                if number.isdecimal() and head.endswith("." + factor.removesuffix(NUMBERED)):
                    return int(number)
            elif saved.endswith("." + factor):
                return EVERY if _has_numbered(parts) else place
    return None


def _has_numbered(parts: Sequence[Sequence[str]]) -> bool:
    return any(factor.endswith(NUMBERED) for factors in parts for factor in factors)


def _is_zero(key: str, settings: Settings, result: Loaded, values: Mapping[str, ValueRow]) -> bool:
    sources = result.arrived.get(key)
    if sources is None:
        starts_at_zero = settings.is_lora and ("lora_B" in key or "lora_embedding_A" in key)
        return starts_at_zero and bool(settings["init_lora_weights"])
    return all(source in values and values[source].zero for source in sources)
