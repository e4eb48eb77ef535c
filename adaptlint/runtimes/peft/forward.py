"""What the first forward raises although the load did not (transformers 5.23.0 where not said otherwise)."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping

from adaptlint import tables
from adaptlint.findings import Fact, Where
from adaptlint.runtimes.peft.refusal import Refusal
from adaptlint.runtimes.peft.release import PEFT
from adaptlint.runtimes.peft.settings import Settings
from adaptlint.runtimes.peft.wrapped import Wrapped


def forward_refusal(wrapped: Wrapped, adapter: str, loaded: Mapping[str, Settings]) -> Refusal | None:
    """The exception of a plain forward in evaluation mode with this adapter active, None if nothing is known."""
    settings = loaded.get(adapter)
    if settings is None:
        return None
    return next((refusal for ask in QUESTIONS for refusal in ask(wrapped, adapter, settings)), None)


def _library_faults(wrapped: Wrapped, adapter: str, settings: Settings) -> Iterator[Refusal]:
    """Rows of peft.toml: what a base's own forward cannot stand, whatever is in the adapter's file."""
    base = wrapped.base
    for row in tables.load()[PEFT]["forward_fault"] if wrapped.release.transformers >= (5,) else ():
        if base.model_class not in row.get("classes", (base.model_class,)) or settings["task_type"] not in row.get(
            "tasks", (settings["task_type"],)
        ):
            continue
        if settings.method.peft_type not in row.get("methods", (settings.method.peft_type,)):
            continue
        if any(str(name) in row.get("head", "") for name in settings["modules_to_save"] or ()):
            continue
        leaves, layers = row.get("leaves"), row.get("layers")
        named = (path for path in wrapped.sites if not leaves or path.rpartition(".")[2] in leaves)
        module = next((path for path in named if not layers or wrapped.by_path[path].cls in layers), "")
        if module or not (leaves or layers):
            at = settings.where("target_modules" if leaves or layers else "task_type")
            facts: dict[str, Fact] = {"class": base.model_class, "cause": row["cause"]}
            yield _refuse(row["type"], row["match"], "library-forward-fault", at, facts, module)


def _exchanged_factors(wrapped: Wrapped, adapter: str, settings: Settings) -> Iterator[Refusal]:
    """OLoRA on a Conv1D that is not square: A takes as many features as the layer gives (olora_init)."""
    if str(settings["init_lora_weights"]).lower() != "olora":
        return
    for path, site in wrapped.sites.items():
        weight = wrapped.by_path[path].params.get("weight", (0, 0))
        if site.kind == "Conv1D" and adapter in site.adapters and weight[0] != weight[1]:
            facts: dict[str, Fact] = {"value": "olora", "field": "init_lora_weights"}
            match, at = "mat1 and mat2 shapes cannot be multiplied", settings.where("init_lora_weights")
            yield _refuse("RuntimeError", match, "initialisation-impossible", at, facts, path)


def _replicated_types(wrapped: Wrapped, adapter: str, settings: Settings) -> Iterator[Refusal]:
    """`replicate_layers` counts num_hidden_layers up and leaves layer_types as it was; the forward indexes it."""
    types = wrapped.base.resolved_config.get("layer_types")
    ranges = settings["layer_replication"]
    if not ranges or not isinstance(types, list) or wrapped.release.transformers < (5,):
        return
    if sum(end - start for start, end in ranges) > len(types):
        facts: dict[str, Fact] = {"field": "layer_replication"}
        at = settings.where("layer_replication")
        yield _refuse("IndexError", "list index out of range", "config-value-impossible", at, facts)


def _tokens_of_saved_modules(wrapped: Wrapped, adapter: str, settings: Settings) -> Iterator[Refusal]:
    """Token rows around a module that is saved whole: TrainableTokensLayer knows embeddings and linear layers only."""
    both = next((path for path in wrapped.tokens if path in wrapped.saved), None)
    if both is not None:
        facts: dict[str, Fact] = {"field": "trainable_token_indices"}
        match, at = "TrainableTokensLayer wraps an unknown layer type", settings.where("trainable_token_indices")
        yield _refuse("ValueError", match, "config-value-impossible", at, facts, both)


def _negative_tokens(wrapped: Wrapped, adapter: str, settings: Settings) -> Iterator[Refusal]:
    """Negative indices pick rows at load; index_copy_ refuses them in the forward."""
    field = "token_indices" if settings.method.peft_type == "TRAINABLE_TOKENS" else "trainable_token_indices"
    indices = settings[field]
    if field == "token_indices" and not indices:
        empty: dict[str, Fact] = {"field": field}
        match = "index_copy_(): Expected a long tensor for index, but got Float"
        yield _refuse("RuntimeError", match, "config-value-impossible", settings.where(field), empty)
    groups = indices.values() if isinstance(indices, dict) else [indices or ()]
    negative = next((i for group in groups for i in group if isinstance(i, int) and i < 0), None)
    if negative is not None:
        facts: dict[str, Fact] = {"index": negative, "size": None}
        at = settings.where(field)
        yield _refuse("IndexError", "index_copy_()", "token-index-out-of-range", at, facts)


def _refused_arguments(wrapped: Wrapped, adapter: str, settings: Settings) -> Iterator[Refusal]:
    """Forwards of transformers 4 have fixed parameters, and not all that PEFT passes is among them."""
    if wrapped.release.transformers < (5,):
        from adaptlint.runtimes.peft.forward_arguments import refused_arguments

        yield from refused_arguments(wrapped, settings)


def _buried_factors(wrapped: Wrapped, adapter: str, settings: Settings) -> Iterator[Refusal]:
    """LoRA's forward asks a factor for its weight, which the wrapper of a saved module had not before 0.8."""
    if wrapped.buried and not wrapped.release.saved_wrapper_has_weight:
        match, at = "'ModulesToSaveWrapper' object has no attribute 'weight'", settings.where("modules_to_save")
        yield _refuse("AttributeError", match, "saved-name-is-adapter-name", at, {"name": wrapped.buried})


def _prompts(wrapped: Wrapped, adapter: str, settings: Settings) -> Iterator[Refusal]:
    """Sizes of virtual tokens, which only the forward compares with the base, and what else depends on its inside."""
    if settings.method.adapts_attention:
        from adaptlint.runtimes.peft.adaption import forward_faults as adaption_faults

        yield from adaption_faults(wrapped, settings)
    if settings.method.is_prompt:
        from adaptlint.runtimes.peft.prompts import forward_faults

        yield from forward_faults(wrapped, settings)


def _resized(wrapped: Wrapped, adapter: str, settings: Settings) -> Iterator[Refusal]:
    """Tensors that were taken in whatever shape they had."""
    if settings.method.takes_any_shape:
        from adaptlint.runtimes.peft.resized import forward_faults

        yield from forward_faults(wrapped, adapter, settings)


def _experts(wrapped: Wrapped, adapter: str, settings: Settings) -> Iterator[Refusal]:
    """X-LoRA activates its experts by the names of the config, and has loaded them under their numbers."""
    if settings.method.mixes_experts:
        names = list(settings["adapters"])
        known = {adapter, *map(str, range(len(names)))}
        other = next((name for name in names if name not in known), None)
        if other is not None:
            facts: dict[str, Fact] = {"field": "adapters"}
            yield _refuse("KeyError", f"'{other}'", "config-value-impossible", settings.where("adapters"), facts)
        from adaptlint.runtimes.peft.xlora import forward_faults

        yield from forward_faults(wrapped, settings)


def _settings_of_methods(wrapped: Wrapped, adapter: str, settings: Settings) -> Iterator[Refusal]:
    """Values that the method's card says no forward can use, though config and layers take them."""
    for check in settings.method.forward_checks:
        from adaptlint.shapes.expression import evaluate

        if evaluate(check.when, settings.values):
            facts: dict[str, Fact] = {"field": check.field}
            match, at = check.match.format_map(settings.values), settings.where(check.field)
            yield _refuse(check.type, match, "config-value-impossible", at, facts)


def _refuse(type_name: str, match: str, reason: str, at: Where, facts: dict[str, Fact], module: str = "") -> Refusal:
    return Refusal(type_name, match, reason, at=at, module=module, facts=facts, stage="forward")


QUESTIONS: tuple[Callable[[Wrapped, str, Settings], Iterator[Refusal]], ...] = (
    _library_faults,
    _refused_arguments,
    _buried_factors,
    _exchanged_factors,
    _replicated_types,
    _tokens_of_saved_modules,
    _negative_tokens,
    _prompts,
    _resized,
    _experts,
    _settings_of_methods,
)
