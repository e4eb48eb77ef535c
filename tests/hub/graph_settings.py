"""Which settings of a config change nothing in a recorded graph: each is given other values, many at a time.

A group of settings is changed together; where the graph is another one the group is halved, down to single settings.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from adaptlint.runtimes.adapters.recorded import ANY_INT, ANY_INTS, ANY_POSITIVE

UNREAD = (
    "architectures",
    "torch_dtype",
    "dtype",
    "transformers_version",
    "model_type",
    "_name_or_path",
    "_attn_implementation",
    "_attn_implementation_autoset",
    "attn_implementation",
    "id2label",
    "label2id",
    "num_labels",
    "problem_type",
    "finetuning_task",
    "task_specific_params",
    "tokenizer_class",
    "prefix",
    "auto_map",
    "bad_words_ids",
    "suppress_tokens",
    "begin_suppress_tokens",
    "exponential_decay_length_penalty",
    "cache_implementation",
    "quantization_config",
    "out_features",
    "out_indices",
    "stage_names",
)
"""What a forward without labels never reads; the dtype is that of `from_pretrained`, which heeds none by itself."""
KEPT = (
    "output_hidden_states",
    "output_attentions",
    "return_dict",
    "torchscript",
    "is_decoder",
    "is_encoder_decoder",
    "add_cross_attention",
    "chunk_size_feed_forward",
    "pruned_heads",
    "position_embedding_type",
    "num_hidden_groups",
    "inner_group_num",
    "layer_types",
)
"""Not tried: these are known to make another forward of it, or are asked about in a way of their own."""
ROTARY = (
    {"rope_type": "linear", "factor": 2.0},
    {
        "rope_type": "llama3",
        "factor": 8.0,
        "low_freq_factor": 1.0,
        "high_freq_factor": 4.0,
        "original_max_position_embeddings": 64,
    },
    {"rope_type": "yarn", "factor": 4.0, "original_max_position_embeddings": 64},
)


NAMED = {"languages": ["en_XX", "de_DE"], "default_language": "en_XX"}
"""Other values of settings that are names."""


def changes(name: str, value: Any) -> list[tuple[Any, Any]]:
    """(a value to try, what is allowed if it is idle) for a setting with this canonical value."""
    last = name.rpartition(".")[2]
    if last in UNREAD or last in KEPT:
        return []
    if last == "rope_scaling" and value is None:
        return [(rope, {"rope_type": rope["rope_type"]}) for rope in ROTARY]
    if last in NAMED:
        return [(NAMED[last], NAMED[last])]
    if last == "pos_att_type" and value:
        return [(told, told) for told in ([*reversed(value)], "|".join(value), "|".join(reversed(value)))]
    if last.endswith("token_id"):
        return [(8, ANY_INT), (None, None), ([3, 8], ANY_INTS)]
    if isinstance(value, bool):
        return [(not value, not value)]
    if isinstance(value, int):
        return [(value + 7, ANY_INT), *([(None, None)] if last == "sliding_window" else [])]
    if isinstance(value, float):
        return [(value / 2 + 0.05, ANY_POSITIVE), (0.0, 0)]
    if value is None and last in ("classifier_dropout", "attn_logit_softcapping", "final_logit_softcapping"):
        return [(0.25, ANY_POSITIVE)]
    return []


def allowed(settings: Mapping[str, Any], same: Callable[[Mapping[str, Any]], bool]) -> dict[str, list[Any]]:
    """Name -> values that leave the graph as it is; names of UNREAD are left out: they may have any."""
    found = {name: [_kept(value)] for name, value in settings.items() if name.rpartition(".")[2] not in UNREAD}
    options = [(name, tried, gives) for name in found for tried, gives in changes(name, settings[name])]
    rounds: dict[int, list[Any]] = {}
    for at, option in enumerate(options):  # one value of each name in each round
        rounds.setdefault(sum(name == option[0] for name, _, _ in options[:at]), []).append(option)
    for group in rounds.values():
        for name, _, gives in _idle(group, same):
            found[name].append(gives)
    return found


def _idle(group: Sequence[Any], same: Callable[[Mapping[str, Any]], bool]) -> list[Any]:
    """Those of a group that change nothing."""
    if not group:
        return []
    if same({name: tried for name, tried, _ in group}):
        return [*group]
    if len(group) == 1:
        return []
    half = len(group) // 2
    return _idle(group[:half], same) + _idle(group[half:], same)


def _kept(value: Any) -> Any:
    if isinstance(value, dict) and ("rope_type" in value or "type" in value):
        return {"rope_type": value.get("rope_type", value.get("type"))}
    return value
