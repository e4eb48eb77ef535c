"""What methods do to their own tensors before these are copied in (`_remap_adapter_state_dict_for_load`)."""

from __future__ import annotations

from adaptlint.artefacts import TensorFile
from adaptlint.findings import Fact, Where
from adaptlint.runtimes.peft.conversion import Entry
from adaptlint.runtimes.peft.key_text import VECTORS
from adaptlint.runtimes.peft.refusal import NotModelled, Refusal
from adaptlint.runtimes.peft.settings import Settings
from adaptlint.runtimes.peft.wrapped import PREFIX, ROOT, Wrapped

INDICES, WEIGHTS = "_topk_indices", "_topk_weights"
SPARSE = "shira_indices"
OLD_OFT = ".oft_r."


def rewrite(wrapped: Wrapped, adapter: str, settings: Settings, state: dict[str, Entry], file: TensorFile) -> None:
    """Change `state` (and, for AdaLoRA, the model) as the method does; Refusal for what it raises."""
    method = settings.method
    for flag, need in method.needs.items():
        first = f"{ROOT}{need['tensor']}"
        more = (PREFIX + first, f"{first}.{adapter}") if settings.release.maps_keys_from_model else ()
        if settings[flag] and state.keys().isdisjoint((first, *more)):
            facts: dict[str, Fact] = {"field": flag, "key": first}
            raise Refusal("ValueError", need["match"], "shared-tensor-missing", at=Where(file.path), facts=facts)
    if method.peft_type == "SHIRA":
        _check_indices(wrapped, adapter, state, file)
    for ending in method.consumes:
        state.pop(f"{ROOT}{ending}", None)
        for path in wrapped.sites:
            state.pop(f"{PREFIX}{path}.{ending}", None)
    if method.peft_type == "FROD":
        from adaptlint.runtimes.peft.frod import rename_projections

        rename_projections(settings, adapter, state, file)
    if method.peft_type == "VBLORA" and settings["save_only_topk_weights"]:
        _logits(settings, state, file)
    if method.peft_type == "TINYLORA":
        for key in [key for key in state if VECTORS in key]:
            state[key.replace(VECTORS, f"{VECTORS}{adapter}.")] = state.pop(key)
    if method.peft_type == "ADALORA" and settings["rank_pattern"] is not None:
        _resize(wrapped, adapter, settings)
    if method.peft_type == "OFT" and settings.release.refuses_old_oft and any(OLD_OFT in key for key in state):
        match = "Trying to load old OFT checkpoint, which is no longer supported."
        key = next(key for key in state if OLD_OFT in key)
        raise Refusal("ValueError", match, "method-layout-old", at=Where(file.path, (key,)), facts={"key": key})


def _check_indices(wrapped: Wrapped, adapter: str, state: dict[str, Entry], file: TensorFile) -> None:
    """SHiRA writes its values to wherever the indices say: each value has a row and a column."""
    for path, site in wrapped.sites.items():
        indices = state.get(f"{PREFIX}{path}.{SPARSE}")
        if indices is None or adapter not in site.adapters:
            continue
        _, saved, shape = site.adapters[adapter].tensors[0]
        values = state.get(f"{PREFIX}{path}.{saved}")
        fits = values is not None and values.shape == shape  # otherwise the values are refused for their size
        if fits and indices.shape != (2, *shape):
            what: dict[str, Fact] = {"value": f"SHIRA with {SPARSE} of the shape {list(indices.shape)}"}
            raise NotModelled("method-not-modelled", at=Where(file.path), facts=what)


def _logits(settings: Settings, state: dict[str, Entry], file: TensorFile) -> None:
    """VB-LoRA: the logits are made again from the indices and weights of the top k."""
    vectors = settings["num_vectors"]
    for key in [key for key in state if INDICES in key]:
        other = key.replace(INDICES, WEIGHTS)
        if other not in state:
            raise Refusal("KeyError", other, "shared-tensor-missing", at=Where(file.path), facts={"key": other})
        weights = state.pop(other)
        state[key.replace(INDICES, "")] = Entry((*weights.shape[:-1], vectors), (key, other))
        del state[key]


def _resize(wrapped: Wrapped, adapter: str, settings: Settings) -> None:
    """AdaLoRA: each layer shrinks to the ranks that its row of rank_pattern keeps (resize_modules_by_rank_pattern)."""
    pattern = settings["rank_pattern"]
    at = settings.where("rank_pattern")
    if not isinstance(pattern, dict):
        raise NotModelled("method-not-modelled", at=at, facts={"value": "ADALORA with such a rank_pattern"})
    for name, kept in pattern.items():
        rank = sum(map(bool, kept)) if isinstance(kept, list) else kept
        parts = name.split(".")
        path = ".".join(parts[:-2] if adapter in name else parts[:-1])
        site = wrapped.sites.get(path)
        if site is None or type(rank) is not int:
            raise NotModelled("method-not-modelled", at=at, facts={"value": "ADALORA with such a rank_pattern"})
        applied = site.adapters[adapter]
        rows = []
        for key, saved, shape in applied.tensors:
            cut = (shape[0], rank) if saved.startswith("lora_B") else (rank, *shape[1:])
            rows.append((key, saved, cut))
        site.adapters[adapter] = applied._replace(rank=rank, tensors=tuple(rows))
