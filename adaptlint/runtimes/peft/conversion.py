"""Checkpoint keys through transformers 5's weight transforms, as PEFT applies them to LoRA adapters.

Source: PEFT 0.21.2, utils/transformers_weight_conversion.py (build_peft_weight_mapping,
convert_peft_adapter_state_dict_for_transformers); transformers 5.23.0, core_model_loading.py (WeightTransform,
rename_source_key). The transforms themselves come with the base, as data.
"""

from __future__ import annotations

import re

from adaptlint.bases import Base, Transform, rename_key
from adaptlint.findings import Where
from adaptlint.hints import Any
from adaptlint.named_tuple import NamedTuple
from adaptlint.runtimes.peft.fused import fuse
from adaptlint.runtimes.peft.refusal import NotModelled
from adaptlint.runtimes.peft.wrapped import PREFIX

Shape = tuple[int, ...]


class Entry(NamedTuple):
    """One tensor on its way in: its shape, and the checkpoint's keys it is made of."""

    shape: Shape
    sources: tuple[str, ...]


def renaming(source: str, target: str) -> Transform:
    """A rename of PEFT's own, beside those of the base."""
    return Transform({"op": "rename", "class": "WeightRenaming", "sources": [source], "targets": [target]})


def transforms_of(
    transforms: list[dict[str, Any]], adapter: str, prefix: str = "lora_"
) -> tuple[list[Transform], list[Transform]]:
    """The renames and the fusions that PEFT makes of the base's transforms for one adapter; `prefix` is its method's.

    A fusion's data has the key "fuses": "up-A", "up-B", "down-A" or "down-B" (see fused.py).
    """
    renames = [
        renaming("base_model.model.model.", "model."),
        renaming("base_model.model.", ""),
        renaming(rf"({re.escape(prefix)}[^\.]*)", rf"\1.{adapter}"),
    ]
    fusions: list[Transform] = []
    for item in transforms:
        if item["op"] == "rename":
            renames.append(Transform(item))
        elif len(item["targets"]) == 1:
            fusions.extend(_fusions(item, adapter))
    return renames, fusions


def _fusions(item: dict[str, Any], adapter: str) -> list[Transform]:
    target, operations = item["targets"][0], {operation["name"] for operation in item["operations"]}
    made = []
    for side in ("A", "B"):
        sources = [f"{source.rsplit('.', 1)[0]}.lora_{side}.*" for source in item["sources"]]
        if target.endswith("gate_up_proj") and operations & {"Concatenate", "MergeModulelist"}:
            stem, kind = target.replace("gate_up_proj", "base_layer"), "up"
        elif target.endswith("down_proj") and "MergeModulelist" in operations:
            stem, kind = target.replace(".down_proj", ""), "down"
        else:
            continue
        if operations - {"Concatenate", "MergeModulelist"}:
            raise NotModelled("conversion-not-modelled", facts={"transform": ", ".join(sorted(operations))})
        fused = {"sources": sources, "targets": [f"{stem}.lora_{side}.{adapter}.weight"], "fuses": f"{kind}-{side}"}
        made.append(Transform({"op": "convert", "class": "WeightConverter"} | fused))
    return made


def convert_keys(checkpoint: dict[str, Shape], base: Base, adapter: str, converts: bool) -> dict[str, Entry]:
    """What PEFT's conversion makes of a checkpoint's keys; every key unchanged where the base registers none.

    converts: whether the release of PEFT converts at all.
    """
    plain = {key: Entry(shape, (key,)) for key, shape in checkpoint.items()}
    loras = [key for key in checkpoint if ".lora_" in key]
    if base.conversion is None or not loras or not converts:
        return plain
    renames, fusions = transforms_of(base.conversion, adapter)
    prefix = str(base.features.get("base_model_prefix") or "")
    groups: dict[str, tuple[Transform | None, dict[str, list[str]]]] = {}
    for key in sorted(loras, key=natural_order):
        renamed, fusion, pattern = rename_key(key, renames, fusions)
        bare = "".join(renamed.rsplit(f".{adapter}", 1))
        if renamed not in checkpoint and key.endswith(bare):
            renamed, fusion, pattern = _with_prefix(key, prefix, checkpoint), None, None
        _, members = groups.setdefault(renamed, (fusion, {}))
        members.setdefault(pattern or key, []).append(key)
    converted: dict[str, Entry] = {}
    for name, (fusion, members) in groups.items():
        if fusion is None:
            first = next(iter(members.values()))[0]
            converted[name] = plain[first]
        else:
            shapes = {pattern: [checkpoint[key] for key in keys] for pattern, keys in members.items()}
            sources = tuple(key for keys in members.values() for key in keys)
            converted[name] = Entry(_fused(fusion, shapes, base), sources)
    kept = {key: entry for key, entry in plain.items() if ".lora_" not in key}
    return kept | {_serialised(name, adapter): entry for name, entry in converted.items()}


def _fused(fusion: Transform, shapes: dict[str, list[Shape]], base: Base) -> Shape:
    return fuse(fusion.data["fuses"], fusion.data["sources"], shapes, at=Where(base.ref))


def _with_prefix(key: str, prefix: str, checkpoint: dict[str, Shape]) -> str:
    """The end of transformers' rename_source_key: the base model prefix is added or dropped if that key exists."""
    shorter = key[len(prefix) + 1 :] if key.startswith(prefix) else ""
    if shorter and shorter in checkpoint:
        return shorter
    return f"{prefix}.{key}" if f"{prefix}.{key}" in checkpoint else key


def _serialised(key: str, adapter: str) -> str:
    """`_convert_to_peft_serialized_keys`: PEFT's prefix in front, the adapter's name taken out."""
    if not key.startswith("base_model."):
        key = PREFIX + key
    if key.endswith(f".{adapter}"):
        return key.removesuffix(f".{adapter}")
    stem, dot, leaf = key.rpartition(".")
    return f"{stem.removesuffix(f'.{adapter}')}.{leaf}" if dot and stem.endswith(f".{adapter}") else key


def natural_order(key: str) -> list[tuple[int, int] | tuple[int, str] | tuple[int, str, int]]:
    """transformers' dot_natural_key: segments in order, numbers as numbers and before names."""
    parts: list[tuple[int, int] | tuple[int, str] | tuple[int, str, int]] = []
    for part in key.split("."):
        if part.isdigit():
            parts.append((0, int(part)))
            continue
        text = part.rstrip("0123456789")
        digits = part[len(text) :]
        parts.append((1, text, int(digits)) if digits else (1, text))
    return parts
