"""FRoD's shared projections: one set for each category of targets (PEFT 0.21.2, frod/model.py)."""

from __future__ import annotations

from adaptlint.artefacts import TensorFile
from adaptlint.bases import Module
from adaptlint.findings import Where
from adaptlint.runtimes.peft.conversion import Entry
from adaptlint.runtimes.peft.layers import feature_sizes
from adaptlint.runtimes.peft.refusal import NotModelled, Refusal
from adaptlint.runtimes.peft.settings import Settings
from adaptlint.runtimes.peft.wrapped import ROOT

PROJECTIONS = tuple(f"{ROOT}{name}." for name in ("frod_V", "frod_s_indices", "frod_s_size"))


def category(path: str) -> str:
    """`_category_from_key`: the last two names of a module's path, or the last alone behind a number."""
    parts = path.split(".")
    if len(parts) == 1 or parts[-2].isdigit():
        return parts[-1]
    found = f"{parts[-2]}_{parts[-1]}"
    return "attention_output" if found == "output_dense" and parts[-3:-2] == ["attention"] else found


def widths(targets: list[Module], settings: Settings) -> dict[str, int]:
    """The categories in PEFT's order, each with the input width that its modules have in common."""
    found: dict[str, int] = {}
    for module in targets:
        name = category(module.path)
        if module.kind not in settings.method.layers:
            if name not in found:
                at = settings.where("target_modules")
                raise Refusal("KeyError", name, "layer-not-supported", at=at, module=module.path, facts={"class": name})
            continue
        width = feature_sizes(module)["in"]
        if found.setdefault(name, width) != width:
            at = settings.where("target_modules")
            facts = {"value": f"FROD on {name} modules of different widths"}
            raise NotModelled("method-not-modelled", at=at, module=module.path, facts=facts)
    return dict(sorted(found.items()))


def rename_projections(settings: Settings, adapter: str, state: dict[str, Entry], file: TensorFile) -> None:
    """The projections get the adapter's name, and have to be there where the config says that they were saved."""
    keys = [key for key in state if key.startswith(PROJECTIONS)]
    for key in keys:
        state[f"{key}.{adapter}"] = state.pop(key)
    if settings["save_projection"] and not keys:
        match = "Specified to load FRoD projection tensors from state dictionary however they were not present."
        facts = {"field": "save_projection", "key": f"{PROJECTIONS[0]}*"}
        raise Refusal("ValueError", match, "shared-tensor-missing", at=Where(file.path), facts=facts)
