"""Modules trained whole or by token: modules_to_save, modules_to_tie, trainable_token_indices (utils/other.py)."""

from __future__ import annotations

from collections.abc import Iterable
from functools import partial

from adaptlint.bases import Base
from adaptlint.findings import Fact, Where
from adaptlint.hints import Any
from adaptlint.runtimes.peft.layers import check_name
from adaptlint.runtimes.peft.refusal import NotModelled, Refusal, as_python_does
from adaptlint.runtimes.peft.settings import Settings
from adaptlint.runtimes.peft.tied import tied_modules
from adaptlint.runtimes.peft.wrapped import PREFIX, Wrapped, subtree

CONTAINERS = {
    "ModuleList": "torch.nn.modules.container.ModuleList",
    "ModuleDict": "torch.nn.modules.container.ModuleDict",
    "ParameterList": "torch.nn.modules.container.ParameterList",
    "ParameterDict": "torch.nn.modules.container.ParameterDict",
}

LORA_PARTS = ("lora_dropout", "lora_A", "lora_B")  # the first submodules of every LoRA layer


def wrap_extra_modules(wrapped: Wrapped, adapter: str, settings: Settings) -> None:
    """`set_additional_trainable_modules`, in its order."""
    if settings["modules_to_save"] is not None:
        save_modules(wrapped, adapter, settings, settings["modules_to_save"])
        if wrapped.release.saves_for_all:
            save_for_all(wrapped, adapter, settings)
    for path in settings.get("modules_to_tie") or ():
        _tie_saved(wrapped, adapter, settings, path)
    if settings["trainable_token_indices"] is not None:
        _train_tokens(wrapped, adapter, settings)


def extend_saved(settings: Settings, names: list[str]) -> None:
    """`modules_to_save` of the config, extended as the PeftModelFor... classes do."""
    saved = settings["modules_to_save"]
    if saved is None:
        settings["modules_to_save"] = list(names)
        return
    if not isinstance(saved, list):
        match = f"'{type(saved).__name__}' object has no attribute 'extend'"
        at = settings.where("modules_to_save")
        facts = {"field": "modules_to_save"}
        raise Refusal("AttributeError", match, "config-value-impossible", at=at, facts=facts)
    settings["modules_to_save"] = [*saved, *names]


def save_for_all(wrapped: Wrapped, adapter: str, settings: Settings) -> None:
    """`_set_trainable` over model.modules_to_save: a copy of every module that some adapter saves."""
    own = settings["modules_to_save"] or ()
    others = [name for name in wrapped.copies.names if name not in own]
    if others:
        save_modules(wrapped, adapter, settings, others, own=False)


def save_modules(wrapped: Wrapped, adapter: str, settings: Settings, names: Any, own: bool = True) -> None:
    """`_set_trainable` with ModulesToSaveWrapper: every module whose path ends with a name, dot or no dot."""
    if not names:
        return
    at = settings.where("modules_to_save")
    _check_names_beside_adapter(wrapped, adapter, settings, names)

    def ends(path: str) -> bool:
        return any(path.endswith(name) for name in names)

    aliases = wrapped.base.aliases if wrapped.release.wraps_each_path else ()
    for path in (*(module.path for module in wrapped.modules), *aliases):
        if not as_python_does(partial(ends, path), "config-value-impossible", at, "modules_to_save"):
            continue
        _check_wrappable(wrapped, settings, path, "modules_to_save", at)
        if any(path.startswith(outer + ".") for outer in wrapped.saved):
            raise NotModelled("saved-module-inside-saved-module", at=at, module=path)
        if any(site.startswith(path + ".") for site in (*wrapped.sites, *wrapped.parameters, *wrapped.tokens)):
            raise NotModelled("target-inside-saved-module", at=at, module=path)
        check_name(adapter)
        wrapped.saved.setdefault(path, {})[adapter] = subtree(wrapped.modules, path)
        wrapped.copies.add(path, adapter, wrapped.active, own)
    if own:
        wrapped.copies.names.update(dict.fromkeys(names))


def _check_names_beside_adapter(wrapped: Wrapped, adapter: str, settings: Settings, names: Any) -> None:
    """A name that ends the path of a LoRA part ("...lora_A.default") would wrap that part: PEFT refuses."""
    if not wrapped.sites:
        return
    site, at = next(iter(wrapped.sites)), settings.where("modules_to_save")
    wanted = tuple(name for name in names if isinstance(name, str) and name)
    for part in LORA_PARTS:
        inside = f"{site}.{part}.{adapter}".endswith(wanted)
        if not wrapped.release.refuses_saved_inside_lora and (inside or f"{site}.{part}".endswith(wanted)):
            if not adapter.endswith(wanted) or any(module.path.endswith(wanted) for module in wrapped.modules):
                raise NotModelled("target-inside-saved-module", at=at)
            _bury(wrapped, adapter, site, at)
            return
        if f"{site}.{part}".endswith(wanted):
            match = f"modules_to_save cannot be applied to modules of type <class '{CONTAINERS['ModuleDict']}'>"
            facts: dict[str, Fact] = {"class": CONTAINERS["ModuleDict"]}
            raise Refusal("TypeError", match, "module-cannot-be-saved", at=at, module=f"{site}.{part}", facts=facts)
        if inside:
            match = "You are trying to target a module with <class 'peft.utils.other.ModulesToSaveWrapper'>"
            raise Refusal("ValueError", match, "saved-name-is-adapter-name", at=at, facts={"name": adapter})


def _bury(wrapped: Wrapped, adapter: str, site: str, at: Where) -> None:
    """A name in modules_to_save that is the adapter's: each factor is wrapped, and no key of a file reaches it."""
    if any(known.kind not in ("Linear", "Conv1D") for known in wrapped.sites.values()):
        raise NotModelled("target-inside-saved-module", at=at)
    if not wrapped.release.saved_keys_by_text:
        key = f"{PREFIX}{site}.lora_A.{adapter}.weight"
        facts: dict[str, Fact] = {"name": adapter}
        raise Refusal("KeyError", key, "saved-name-is-adapter-name", at=at, module=site, facts=facts)
    wrapped.buried = adapter


def _check_wrappable(wrapped: Wrapped, settings: Settings, path: str, field: str, at: Where) -> None:
    """`AuxiliaryTrainingWrapper.check_module`."""
    module, release = wrapped.by_path[path], wrapped.release
    cls = CONTAINERS.get(module.kind)
    on_lora = path in wrapped.sites or path in wrapped.parameters
    if (cls and not release.refuses_containers) or (on_lora and not release.refuses_lora_as_saved):
        raise NotModelled("target-inside-saved-module", at=at, module=path)
    if path in wrapped.sites:
        kind = wrapped.sites[path].kind
        cls = f"peft.tuners.lora.layer.{'Linear' if kind == 'Conv1D' else kind}"
        if not settings.is_lora:  # each method has names of its own for its layers
            cls = "peft.tuners"
    elif path in wrapped.parameters:
        cls = "peft.tuners.lora.layer.ParamWrapper"
    if cls is not None:
        whole = f"<class '{cls}." if cls == "peft.tuners" else f"<class '{cls}'>"
        shown = whole if release.refuses_lora_as_saved else cls.rpartition(".")[2]
        match = f"{field} cannot be applied to modules of type {shown}"
        raise Refusal("TypeError", match, "module-cannot-be-saved", at=at, module=path, facts={"class": cls})


def _tie_saved(wrapped: Wrapped, adapter: str, settings: Settings, path: str) -> None:
    source = wrapped.saved.get(wrapped.base.input_embedding or "", {}).get(adapter)
    if source is None:
        raise NotModelled("tying-not-modelled", at=settings.where("ensure_weight_tying"), module=path)
    for module in wrapped.modules:
        if module.path.endswith(path):
            at = settings.where("modules_to_save")
            _check_wrappable(wrapped, settings, module.path, "modules_to_save", at)
            wrapped.saved.setdefault(module.path, {})[adapter] = {"weight": source["weight"]}


def _train_tokens(wrapped: Wrapped, adapter: str, settings: Settings) -> None:
    base, at = wrapped.base, settings.where("trainable_token_indices")
    indices: Any = settings["trainable_token_indices"]
    _check_embedding_known(base, settings, indices)
    layers = indices if isinstance(indices, dict) else {base.input_embedding or "embed_tokens": indices}
    for name in layers:
        if name in (settings["modules_to_save"] or ()):
            match = "The embedding layer is already marked to be trained fully"
            facts = {"field": "trainable_token_indices"}
            raise Refusal("ValueError", match, "config-value-impossible", at=at, facts=facts)
    tied = tied_modules(base)
    weights_tied = bool(base.resolved_config.get("tie_word_embeddings"))
    skipped, mismatch = _tied_layers(wrapped, settings, layers) if len(layers) > 1 and weights_tied else (set(), False)
    for name, rows in layers.items():
        if name not in skipped:
            _wrap_tokens(wrapped, adapter, settings, name, rows)
    source = wrapped.tokens.get(base.input_embedding or "", {})
    if weights_tied and adapter in source and (settings["ensure_weight_tying"] or not mismatch):
        for path in (m.path for m in wrapped.modules if any(m.path.endswith(name) for name in tied)):
            wrapped.tokens.setdefault(path, {}).setdefault(adapter, None)


def _check_embedding_known(base: Base, settings: Settings, indices: Any) -> None:
    """A list of tokens is for the input embedding, which some classes cannot name."""
    error = base.features.get("input_embedding_error")
    if error and not isinstance(indices, dict):
        at = settings.where("trainable_token_indices")
        facts: dict[str, Fact] = {"field": "trainable_token_indices"}
        raise Refusal(error[0], error[1].splitlines()[0], "config-value-impossible", at=at, facts=facts)


def _tied_layers(wrapped: Wrapped, settings: Settings, layers: dict[str, Any]) -> tuple[set[str], bool]:
    """Token layers that follow the embedding, and whether tied layers were given different indices."""
    tied = tied_modules(wrapped.base)
    embedding = wrapped.base.input_embedding or ""
    keys = [
        name
        for name in layers
        if embedding.endswith(name) or any(t.endswith(name) or name in t.split(".") for t in tied)
    ]
    if len(keys) < 2:
        return set(), False
    mismatch = any(layers[key] != layers[keys[0]] for key in keys[1:])
    if mismatch and settings["ensure_weight_tying"]:
        match = "Cannot ensure weight tying when different token indices are specified for tied layers."
        at = settings.where("trainable_token_indices")
        facts = {"field": "trainable_token_indices"}
        raise Refusal("ValueError", match, "config-value-impossible", at=at, facts=facts)
    return (set() if mismatch else set(keys) & set(tied)), mismatch


def _wrap_tokens(wrapped: Wrapped, adapter: str, settings: Settings, name: str, rows: Iterable[int]) -> None:
    at = settings.where("trainable_token_indices")
    found = [m for m in wrapped.modules if m.path.endswith(name)]
    if not found:
        match = f"Target modules {{{name!r}}} not found in the base model."
        facts = {"field": "trainable_token_indices", "value": name}
        raise Refusal("ValueError", match, "token-layer-missing", at=at, facts=facts)
    for module in found:
        _check_wrappable(wrapped, settings, module.path, "trainable_token_indices", at)
        weight = module.params.get("weight")
        indices = list(rows) if isinstance(rows, (list, tuple)) else None
        if weight is None or indices is None or not all(type(i) is int for i in indices):
            raise NotModelled("token-indices-not-modelled", at=at, module=module.path)
        for index in indices:
            if not -weight[0] <= index < weight[0]:
                match = f"index {index} is out of bounds for dimension 0 with size {weight[0]}"
                size: dict[str, Fact] = {"index": index, "size": weight[0]}
                raise Refusal("IndexError", match, "token-index-out-of-range", at=at, module=module.path, facts=size)
        check_name(adapter)
        wrapped.tokens.setdefault(module.path, {})[adapter] = (len(indices), weight[1])
