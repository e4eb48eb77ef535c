"""Bases built from their config with seeded weights, and ordinary inputs for their forward."""

from __future__ import annotations

import contextlib
import copy
import inspect
from collections.abc import Iterator
from typing import Any

from .telling import unless_out_of_memory

Job = dict[str, Any]
SEEDS = {"weights": 11, "inputs": 5, "adapter": 3}
WORDS = (3, 30)  # ids of ordinary tokens: no padding, no end of text, in the vocabulary of the smallest model
USUAL = {"batch": 2, "seq": 7, "decoder_seq": 6}
PIXELS, FRAMES, SAMPLES, CHANNELS = 32, 64, 4000, 3
AUDIO_WIDTHS = ("num_mel_bins", "feature_projection_input_dim", "input_feat_per_channel", "n_mels")


def build(job: Job, attn: str | None = None, meta: bool = False) -> Any:
    """The base of a job in eval mode. Raises whatever the library raises for this config, class and backend."""
    import torch
    import transformers

    base = job["base"]
    kind = getattr(transformers, base["class"])
    asked = attn or job["conditions"].get("attn")
    settings = {"attn_implementation": asked} if asked else {}
    torch.manual_seed(SEEDS["weights"])
    config = config_of(base["config"])
    dtype = dtype_of(job, config)
    typed = "dtype" if hasattr(config, "dtype") else "torch_dtype"  # renamed in transformers 4.56
    if base.get("weights") and not meta:
        return saved(job, kind, {**settings, typed: dtype or torch.float32})
    if dtype is not None:
        setattr(config, typed, dtype)
    maker = kind.from_config if base["class"].startswith("Auto") else kind._from_config
    with default_dtype(dtype), torch.device("meta") if meta else contextlib.nullcontext():
        model = maker(config, **settings)
    if meta:
        return model.eval()
    model = model.to(device_of(job))
    return (model if dtype is None else model.to(dtype)).eval()


class Unreadable(Exception):
    """The base's own weights cannot be read, which says nothing of an adapter."""


def saved(job: Job, kind: Any, settings: Job) -> Any:
    """The base with its own weights. Raises Unreadable where they alone are why it cannot be had."""
    try:
        model = kind.from_pretrained(
            job["base"]["weights"], use_safetensors=True, local_files_only=True, trust_remote_code=False, **settings
        )
    except Exception as problem:
        unless_out_of_memory(problem)
        build(job, settings.get("attn_implementation"), meta=True)  # what its config alone raises is the base's own
        raise Unreadable(f"{type(problem).__name__}: {problem}") from problem
    return model.to(device_of(job)).eval()


def config_of(told: dict[str, Any]) -> Any:
    """The config object; KeyError for a model type that this release of transformers does not know."""
    from transformers.models.auto.configuration_auto import CONFIG_MAPPING

    kept = {key: value for key, value in told.items() if key not in ("auto_map", "quantization_config")}
    config = copy.deepcopy(kept)  # some classes take their inner configs apart
    return CONFIG_MAPPING[config["model_type"]].from_dict(config)


def device_of(job: Job) -> str:
    """Where tensors live; "meta" runs build there what they build, and everything else on the CPU."""
    return "cpu" if job["device"] == "meta" else str(job["device"])


def placed(model: Any, job: Job) -> Any:
    """The model where the job's tensors live, and in the base's floating type.

    AdapterHub's library makes what it adds on the CPU and in float32; beside a base of half precision forwards raise.
    """
    dtype = dtype_of(job, model.config)
    model = model.to(device_of(job))
    return model if dtype is None else model.to(dtype)


def dtype_of(job: Job, config: Any) -> Any:
    """The floating type of the base: the job's, else the config's own."""
    import torch

    named = job["dtype"]
    if named == "auto":
        named = getattr(config, "dtype", None) or getattr(config, "torch_dtype", None)
    return getattr(torch, named) if isinstance(named, str) else named


@contextlib.contextmanager
def default_dtype(dtype: Any) -> Iterator[None]:
    """Parameters are made in this type at once, so that no float32 copy is ever held."""
    import torch

    before = torch.get_default_dtype()
    if dtype is not None:
        torch.set_default_dtype(dtype)
    try:
        yield
    finally:
        torch.set_default_dtype(before)


def inputs_of(model: Any, job: Job) -> dict[str, Any]:
    """Ordinary inputs in the sizes and under the mask that the job asks for, the same every time."""
    import torch

    asked = {name: size for name, size in job["conditions"].items() if size is not None}
    sizes = {name: asked.get(name, usual) for name, usual in USUAL.items()}
    source = torch.Generator().manual_seed(SEEDS["inputs"])
    config, takes = model.config, inspect.signature(model.forward).parameters
    main = model.main_input_name
    dtype = next((each.dtype for each in model.parameters() if each.is_floating_point()), torch.float32)

    def ids(length: int) -> Any:
        high = min(WORDS[1], words_of(config))
        return torch.randint(min(WORDS[0], high - 1), high, (sizes["batch"], length), generator=source)

    def floats(*shape: int) -> Any:
        return torch.randn(sizes["batch"], *shape, generator=source).to(dtype)

    given: dict[str, Any] = {}
    if main == "input_ids" or ("input_ids" in takes and takes["input_ids"].default is inspect.Parameter.empty):
        given["input_ids"] = ids(sizes["seq"])
    if main == "pixel_values" or (_sees_and_reads(config) and "CLIP" in type(model).__name__):
        vision = getattr(config, "vision_config", config)
        size = getattr(vision, "image_size", None) or PIXELS
        height, width = size if isinstance(size, (list, tuple)) else (size, size)
        given["pixel_values"] = floats(getattr(vision, "num_channels", CHANNELS), height, width)
        if "input_ids" in takes:
            given["input_ids"] = ids(sizes["seq"])
    if main == "input_features":
        width = next((getattr(config, name) for name in AUDIO_WIDTHS if getattr(config, name, None)), FRAMES)
        frames = 2 * getattr(config, "max_source_positions", FRAMES // 2)
        given[main] = floats(width, frames) if config.model_type == "whisper" else floats(frames, width)
    if main == "input_values":
        given[main] = floats(SAMPLES)
    if getattr(config, "is_encoder_decoder", False):
        given["decoder_input_ids"] = ids(sizes["seq"] if _classifies(model) else sizes["decoder_seq"])
    if job["conditions"].get("mask") == "padded" and "input_ids" in given:
        _pad(given, sizes["seq"], config)
    if _classifies(model) and "input_ids" in given:
        _end(given, config.eos_token_id)
    return {name: value.to(device_of(job)) for name, value in given.items()}


def words_of(config: Any) -> int:
    """The size of the vocabulary, in the config or in the part that reads."""
    for part in (config, getattr(config, "text_config", None), getattr(config, "decoder", None)):
        size = getattr(part, "vocab_size", None)
        if isinstance(size, int):
            return size
    return WORDS[1]


def _classifies(model: Any) -> bool:
    """True for a decoder beside an encoder that is classified by its state at the text's end."""
    return bool(getattr(model.config, "is_encoder_decoder", False)) and "Classification" in type(model).__name__


def _sees_and_reads(config: Any) -> bool:
    return hasattr(config, "vision_config") and hasattr(config, "text_config")


def _pad(given: dict[str, Any], seq: int, config: Any) -> None:
    """The last text ends after half of the tokens."""
    import torch

    given["attention_mask"] = torch.ones_like(given["input_ids"])
    given["attention_mask"][-1, seq // 2 + 1 :] = 0
    given["input_ids"][-1, seq // 2 + 1 :] = getattr(config, "pad_token_id", None) or 0


def _end(given: dict[str, Any], end: Any) -> None:
    """Every text ends with the token that says so, and has it nowhere else: BART's and T5's classifiers count them."""
    import torch

    end = end[0] if isinstance(end, list) and end else end
    if not isinstance(end, int):
        return
    words, mask = given["input_ids"], given.get("attention_mask")
    words[words == end] = end + 1 if end == 0 else end - 1
    last = torch.full((len(words),), words.shape[1] - 1) if mask is None else mask.sum(1) - 1
    words[torch.arange(len(words)), last] = end


def outputs(result: Any) -> list[Any]:
    """The floating-point tensors that a model returns."""
    import torch

    parts = result if isinstance(result, (tuple, list)) else result.to_tuple()
    return [each for each in parts if isinstance(each, torch.Tensor) and each.is_floating_point()]


def answer(model: Any, inputs: dict[str, Any]) -> Any:
    """The first output of a forward without gradients, in float32 on the CPU."""
    import torch

    with torch.no_grad():
        return outputs(model(**inputs))[0].float().cpu()


def runs_alone(model: Any, job: Job) -> None:
    """A base that was made tiny is tried before anything is put on it: raises what its own forward raises."""
    if job["scale"] == "tiny":
        answer(model, inputs_of(model, job))


def known_of(inputs: dict[str, Any]) -> dict[str, Any]:
    """What a record says of the inputs: shapes, and a checksum of the numbers."""
    import zlib

    return {
        name: {"shape": list(value.shape), "crc32": f"{zlib.crc32(value.float().cpu().numpy().tobytes()):08x}"}
        for name, value in inputs.items()
    }
