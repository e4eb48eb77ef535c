"""What is to be built: the config with everything taken out that must not be obeyed, and limits before a build."""

from __future__ import annotations

from adaptlint.bases.base import BaseProblem
from adaptlint.hints import Any

Config = dict[str, Any]

# Layers, experts and the like above this would take minutes and gigabytes to build; the largest public config has 256
# layers and 512 experts.
MAX_COUNT = 2048
MAX_INTEGER = 2**40
"""No published config has an integer near this; torch's sizes overflow above."""
MAX_LABELS = 100_000
_COUNTED = ("layer", "block", "expert", "depth", "stage", "head", "group", "codebook")
_NO_MODULES = (("doge", "num_experts"),)  # rows of an embedding, 16,384 by default (transformers 5.23)
_UNCOUNTED = frozenset(
    {"dim", "dims", "size", "sizes", "dropout", "idx", "index", "id", "token", "vocab", "window", "capacity"}
)
_DROPPED = frozenset(
    {
        "_attn_implementation",
        "_attn_implementation_internal",
        "_experts_implementation",
        "_experts_implementation_internal",
        "attn_implementation",
        "auto_map",
        "compression_config",
        "custom_pipelines",
        "dtype",
        "experts_implementation",
        "quantization_config",
        "torch_dtype",
    }
)

AUTO_CLASSES = {
    "CAUSAL_LM": "AutoModelForCausalLM",
    "SEQ_2_SEQ_LM": "AutoModelForSeq2SeqLM",
    "SEQ_CLS": "AutoModelForSequenceClassification",
    "TOKEN_CLS": "AutoModelForTokenClassification",
    "QUESTION_ANS": "AutoModelForQuestionAnswering",
    "FEATURE_EXTRACTION": "AutoModel",
}
"""PEFT task type -> Auto class, as in PEFT's `MODEL_TYPE_TO_PEFT_MODEL_MAPPING` and its examples."""


def asked_class(model_class: str | None, task: str | None) -> str | None:
    """The class to build, None for the one that the config names; an unknown task asks for nothing."""
    return model_class or AUTO_CLASSES.get(task or "")


def buildable(config: Config) -> Config:
    """The config without remote code, quantisation, dtype, kernels or pretrained parts: only what shapes depend on."""
    kept: Config = {}
    for key, value in config.items():
        if key in _DROPPED:
            continue
        if key == "use_pretrained_backbone":
            value = False
        kept[key] = buildable(value) if isinstance(value, dict) and not _float_of(value) else _decoded(value)
    return kept


def _float_of(value: Any) -> str | None:
    """The text of a float that JSON has no number for, as transformers 5 saves it (configuration_utils.py)."""
    if not isinstance(value, dict) or set(value) != {"__float__"}:
        return None
    text = value["__float__"]
    return text if text in ("Infinity", "-Infinity", "NaN") else None


def _decoded(value: Any) -> Any:
    text = _float_of(value)
    if text:
        return float(text)
    return [_decoded(part) for part in value] if isinstance(value, list) else value


def quantisation(config: Config) -> str | None:
    """Name of the method that the base's weights are packed with ("bitsandbytes", "gptq", ...), None for plain ones."""
    for key in ("quantization_config", "compression_config"):
        settings = config.get(key)
        if not isinstance(settings, dict):
            continue
        method = settings.get("quant_method")
        if isinstance(method, str) and method:
            return method
        return "bitsandbytes" if settings.get("load_in_4bit") or settings.get("load_in_8bit") else "unknown"
    text = config.get("text_config")
    return quantisation(text) if isinstance(text, dict) else None


def note_storage(record: dict[str, Any], config: dict[str, Any]) -> None:
    """What `buildable` took out of the config and others may ask for."""
    method = quantisation(config)
    if method:
        record["features"]["quantization"] = method
        record["config"]["quantization_config"] = config.get("quantization_config")
    dtype = config.get("dtype", config.get("torch_dtype"))
    if isinstance(dtype, str):
        record["features"]["dtype"] = record["config"]["dtype"] = dtype


def refuse_absurd(config: Config, path: str = "") -> BaseProblem | None:
    """base-too-large for numbers that no model has and that would hang a build."""
    for key, value in config.items():
        field, limit = f"{path}{key}", _limit(key, config.get("model_type"))
        numbers = value if isinstance(value, list) else [value]
        for number in numbers:
            if isinstance(number, dict):
                problem = refuse_absurd(number, f"{field}.")
                if problem:
                    return problem
            elif isinstance(number, int) and not isinstance(number, bool) and abs(number) > limit:
                return BaseProblem("base-too-large", {"field": field, "value": number, "limit": limit})
        if isinstance(value, list) and limit == MAX_COUNT and len(value) > MAX_COUNT:
            return BaseProblem("base-too-large", {"field": field, "value": len(value), "limit": MAX_COUNT})
    return None


def _limit(key: str, model_type: Any) -> int:
    if key == "num_labels":
        return MAX_LABELS
    if (model_type, key) in _NO_MODULES:
        return MAX_INTEGER
    words = str(key).split("_")
    counted = any(word.startswith(_COUNTED) for word in words) and _UNCOUNTED.isdisjoint(words)
    return MAX_COUNT if counted else MAX_INTEGER
