"""Prompt learning: virtual tokens beside a base that is not wrapped (PeftModel._setup_prompt_encoder, PEFT 0.21.2)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from adaptlint import tables
from adaptlint.artefacts import TensorFile, ValueRow
from adaptlint.bases import Base
from adaptlint.findings import Fact, Fault, Mismatch, Where
from adaptlint.hints import Any
from adaptlint.runtimes.peft.extra_modules import save_modules
from adaptlint.runtimes.peft.refusal import NotModelled, Refusal, as_python_does
from adaptlint.runtimes.peft.release import PEFT
from adaptlint.runtimes.peft.settings import Settings
from adaptlint.runtimes.peft.tuners import Tuner
from adaptlint.runtimes.peft.wrapped import EMBEDDING, PREFIX, ROOT, Shape, Wrapped, subtree

EMBEDDINGS = "prompt_embeddings"
# Names in the base's config, in the order in which _prepare_prompt_learning_config asks for them.
SIZES = {
    "num_layers": ("num_hidden_layers", "num_layers", "n_layer", "n_layers", "encoder_layers"),
    "token_dim": ("hidden_size", "n_embd", "d_model"),
    "num_attention_heads": ("num_attention_heads", "n_head", "num_heads", "encoder_attention_heads"),
}


def text_config(base: Base) -> Mapping[str, Any]:
    """The language model's part of a base's config."""
    config: Mapping[str, Any] = base.resolved_config
    inner = config.get("text_config")
    return inner if isinstance(inner, dict) else config


def embedding_of(base: Base) -> tuple[str, int] | None:
    """The embedding that `_setup_prompt_encoder` finds, by its name, else by its length: its path and its width."""
    named = base.by_path.get("embeddings.word_embeddings")
    if named is not None and "weight" in named.params:
        return named.path, named.params["weight"][-1]
    vocabulary = text_config(base).get("vocab_size")
    shapes = ((module.path, shape) for module in base.modules for shape in module.params.values())
    return next(((path, shape[-1]) for path, shape in shapes if len(shape) == 2 and shape[0] == vocabulary), None)


def attach(wrapped: Wrapped, adapter: str, settings: Settings) -> None:
    """Make the prompt encoder of one adapter, and the copies of modules that it saves."""
    wrapped.prefix = ROOT
    config = text_config(wrapped.base)
    if config is not wrapped.base.resolved_config and not settings.release.prompts_know_text_config:
        at = settings.where("peft_type")
        raise NotModelled("method-not-modelled", at=at, facts={"value": "prompts on this base in this release"})
    if settings.method.peft_type == "CPT":
        _prepare_cpt(settings)
    _fill(settings, config)
    if settings["num_transformer_submodules"] is None:
        settings["num_transformer_submodules"] = 2 if settings["task_type"] == "SEQ_2_SEQ_LM" else 1
    if not isinstance(config.get("vocab_size"), int):
        raise NotModelled(
            "method-not-modelled", at=settings.where("peft_type"), facts={"value": "prompts on this base"}
        )
    field, at = "num_virtual_tokens", settings.where("num_virtual_tokens")
    if settings.method.fills_cache and settings[field] is None:
        match = "empty(): argument 'size' (position 1) must be tuple of ints"
        raise Refusal("TypeError", match, "config-value-impossible", at=at, facts={"field": field})
    as_python_does(
        lambda: settings[field] * settings["num_transformer_submodules"], "config-value-impossible", at, field
    )
    tuner = Tuner(settings, adapter, [], wrapped.base, no_targets)
    wrapped.prompts[adapter] = {saved: shape for _, saved, shape in tuner.shared()}
    found = embedding_of(wrapped.base)
    wrapped.embedding = found[0] if found else ""
    wrapped.saved_embedding = {}  # the attribute is set anew with every adapter
    if settings["modules_to_save"] is not None:
        save_modules(wrapped, adapter, settings, settings["modules_to_save"])


def save_embedding(wrapped: Wrapped, adapter: str, settings: Settings) -> None:
    """`_set_trainable` over the PeftModel itself: it finds the embedding's second path too.

    PeftModelForSequenceClassification and its like call it so, for the first adapter only (peft_model.py, PEFT 0.21.2).
    """
    names = tuple(name for name in settings["modules_to_save"] or () if isinstance(name, str))
    encoder = (f"prompt_encoder.{adapter}", f"prompt_encoder.{adapter}.embedding", "prompt_encoder")
    if any(path.endswith(names) for path in encoder):
        raise NotModelled("target-inside-saved-module", at=settings.where("modules_to_save"))
    if wrapped.embedding and wrapped.release.wraps_each_path and EMBEDDING.endswith(names):
        wrapped.saved_embedding[adapter] = subtree(wrapped.modules, wrapped.embedding)


def no_targets() -> tuple[str, dict[str, Fact], Where]:
    """Prompts have no targets that could be missed."""
    raise AssertionError("prompt learning asks for no modules")


def _fill(settings: Settings, config: Mapping[str, Any]) -> None:
    """`_prepare_prompt_learning_config`: what the config leaves open is read from the base's."""
    for field, names in SIZES.items():
        if settings[field] is None:
            found = next((config[name] for name in names if name in config), None)
            if found is None:
                match = f"Please specify `{field}` in `peft_config`"
                at = settings.where(field)
                raise Refusal("ValueError", match, "config-value-impossible", at=at, facts={"field": field})
            settings[field] = found
    if settings.method.fills_cache and "num_key_value_heads" in config and settings.release.prefix_knows_kv_heads:
        if config.get("global_head_dim") is not None or config.get("per_layer_config") is not None:
            raise NotModelled(
                "method-not-modelled", at=settings.where("peft_type"), facts={"value": "layers of two kinds"}
            )
        head = config.get("head_dim") if settings.release.prefix_knows_head_size else None
        if head is None:
            head = as_python_does(
                lambda: settings["token_dim"] // settings["num_attention_heads"],
                "config-value-impossible",
                settings.where("num_attention_heads"),
                "num_attention_heads",
            )
        settings["num_attention_heads"] = config["num_key_value_heads"]
        settings["token_dim"] = head * config["num_key_value_heads"]


def _prepare_cpt(settings: Settings) -> None:
    """`CPTConfig.__post_init__` fixes these, whatever the file says."""
    if settings["cpt_token_ids"] is None:
        settings["cpt_token_ids"] = [0]
    settings["num_virtual_tokens"] = len(settings["cpt_token_ids"])
    settings["num_transformer_submodules"] = 1
    for field in SIZES:
        settings[field] = None


def spelling(wrapped: Wrapped, file: TensorFile, name: str) -> str:
    """The file's key for a prompt tensor: PEFT takes the tuners' prefix off where no key of the model has it."""
    stripped = wrapped.release.strips_base_prefix and name not in file.tensors
    if stripped and not any(path.partition(".")[0] == "model" for path in wrapped.by_path):
        return PREFIX + name
    return name


def restore(
    wrapped: Wrapped, adapter: str, settings: Settings, file: TensorFile, values: Mapping[str, ValueRow]
) -> tuple[list[Fault], list[str]]:
    """`_load_adapter_state_dict` of the encoders: Refusal where they raise, else what is left as it was made."""
    wanted = wrapped.prompts[adapter]
    row = file.tensors.get(spelling(wrapped, file, EMBEDDINGS))
    if row is None:
        facts: dict[str, Fact] = {"key": EMBEDDINGS}
        raise Refusal("KeyError", EMBEDDINGS, "shared-tensor-missing", at=Where(file.path), facts=facts)
    _compare(settings, file, "weight", EMBEDDINGS, row.shape, wanted[EMBEDDINGS])
    faults, left = [], []
    for name, shape in wanted.items():
        source = spelling(wrapped, file, name)
        found = file.tensors.get(source)
        if source in values and values[source].nonfinite:
            looked: dict[str, Fact] = {
                "key": source,
                "count": values[source].nonfinite,
                "size": values[source].looked_at,
            }
            faults.append(Fault("value-not-finite", at=Where(file.path, (source,)), facts=looked, decides=True))
        if found is None:
            left.append(f"prompt_encoder.{adapter}.{name}")
            facts = {"key": left[-1], "saved": name, "tensor": name, "projection": "", "coverage": ""}
            facts["effect"] = "so random numbers act there"
            faults.append(Fault("tensor-missing", at=Where(file.path), facts=facts, decides=True))
        elif name != EMBEDDINGS:
            _compare(settings, file, name, name, found.shape, shape)
    return faults, left


class PromptMismatch(Refusal):
    """A tensor of another size, which the encoder refuses by itself."""

    def __init__(self, type_name: str, match: str, mismatch: Mismatch, at: Where) -> None:
        facts: dict[str, Fact] = {
            "tensor": at.route[0] if at.route else "",
            "key": mismatch.key,
            "checkpoint_shape": list(mismatch.checkpoint_shape),
            "model_shape": list(mismatch.model_shape),
        }
        super().__init__(type_name, match, "shape-disagrees", at=at, facts=facts)
        self.mismatch = mismatch


def _compare(settings: Settings, file: TensorFile, key: str, name: str, theirs: Shape, ours: Shape) -> None:
    if theirs == ours:
        return
    at, mismatch = Where(file.path, (name,)), Mismatch(key, theirs, ours)
    if settings.method.peft_type == "CARTRIDGE":
        if len(theirs) != 2 or theirs[0] != ours[0]:
            match = f"Invalid `prompt_embeddings` shape. Expected ({ours[0]}, hidden), got {theirs}."
            raise PromptMismatch("ValueError", match, mismatch, at)
        match = f"The size of tensor a ({ours[1]}) must match the size of tensor b ({theirs[1]})"
        raise PromptMismatch("RuntimeError", match, mismatch, at)
    match = f"size mismatch for {key}: copying a param with shape torch.Size({list(theirs)}) from checkpoint, "
    match += f"the shape in current model is torch.Size({list(ours)})."
    raise PromptMismatch("RuntimeError", match, mismatch, at)


def forward_faults(wrapped: Wrapped, settings: Settings) -> Iterator[Refusal]:
    """What the first forward of a prompt raises: its sizes are compared with the base's only there."""
    if settings["task_type"] not in tables.load()[PEFT]["task"]:
        return
    config = text_config(wrapped.base)
    if not settings.method.fills_cache:
        found = embedding_of(wrapped.base)
        if found is not None and settings["token_dim"] != found[1]:
            yield _sizes(settings, "token_dim", 1, settings["token_dim"], found[1])
        elif settings.method.peft_type == "MULTITASK_PROMPT_TUNING" and settings["task_type"] == "SEQ_2_SEQ_LM":
            if wrapped.release.transformers < (5,):
                return
            match = "expected Tensor as element 1 in argument 0, but got NoneType"
            at, facts = settings.where("task_type"), {"class": wrapped.base.model_class, "cause": "task_ids"}
            yield Refusal("TypeError", match, "library-forward-fault", at=at, facts=facts, stage="forward")
        return
    yield from _no_cache(wrapped, settings)
    yield from _own_cache(wrapped, settings)
    heads, size = cache_heads(config)
    ours = settings["num_attention_heads"]
    if heads is not None and ours != heads:
        yield _sizes(settings, "num_attention_heads", 2, ours, heads)
    elif size is not None and settings["token_dim"] // ours != size:
        yield _sizes(settings, "token_dim", 2, settings["token_dim"] // ours, size)
    layers = next((config[name] for name in SIZES["num_layers"] if name in config), settings["num_layers"])
    if settings["num_layers"] < layers:
        yield _of_another_base(
            settings, "num_layers", settings["num_layers"], layers, "IndexError", "list index out of range"
        )


def _no_cache(wrapped: Wrapped, settings: Settings) -> Iterator[Refusal]:
    """`_prefix_tuning_forward`: a head whose model takes no past_key_values cannot be given any."""
    row = tables.load()[PEFT]["no_cache"]
    family, _, head = (wrapped.base.model_class or "").partition("For")
    if settings["task_type"] in row["tasks"] and head in row["heads"] and family in row["families"]:
        at, facts = settings.where("task_type"), {"class": wrapped.base.model_class, "cause": row["cause"]}
        yield Refusal(row["type"], row["match"], "library-forward-fault", at=at, facts=facts, stage="forward")


def _own_cache(wrapped: Wrapped, settings: Settings) -> Iterator[Refusal]:
    """Rows of peft.toml: families whose cache is not one of keys and values by heads (seen in transformers 5)."""
    family = (wrapped.base.model_class or "").partition("For")[0].removesuffix("Model")
    for row in tables.load()[PEFT]["own_cache"] if wrapped.release.transformers >= (5,) else ():
        kind = row.get("kind")
        if family in row["families"] and (kind is None or any(m.kind == kind for m in wrapped.base.modules)):
            at, facts = settings.where("peft_type"), {"class": wrapped.base.model_class, "cause": row["cause"]}
            yield Refusal(row["type"], row["match"], "library-forward-fault", at=at, facts=facts, stage="forward")


def cache_heads(config: Mapping[str, Any]) -> tuple[int | None, int | None]:
    """Heads and their size as a model caches its keys; None where its config does not say."""
    names = SIZES["num_attention_heads"]
    heads = next((config[name] for name in names if isinstance(config.get(name), int)), None)
    width = next((config[name] for name in SIZES["token_dim"] if isinstance(config.get(name), int)), None)
    size = config.get("head_dim") or config.get("d_kv") or (width // heads if heads and width else None)
    if config.get("multi_query") and not config.get("new_decoder_architecture"):
        heads = 1
    return config.get("num_key_value_heads") or heads, size


def _sizes(settings: Settings, field: str, axis: int, ours: int, theirs: int) -> Refusal:
    match = f"Sizes of tensors must match except in dimension {axis}. Expected size {ours} but got size {theirs}"
    return _of_another_base(settings, field, ours, theirs, "RuntimeError", match)


def _of_another_base(settings: Settings, field: str, ours: int, theirs: int, type_name: str, match: str) -> Refusal:
    facts: dict[str, Fact] = {"field": field, "ours": ours, "theirs": theirs}
    at = settings.where(field)
    return Refusal(type_name, match, "prompt-of-another-base", at=at, facts=facts, stage="forward")
