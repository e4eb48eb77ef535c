"""Real PEFT asked about an adapter folder and a base's config.json, as rule pages and stories have them."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from unittest import mock

import peft
import torch
import transformers

from tests.differential.truth import Inputs, Record, error_of, measure


@contextmanager
def flex_uncompiled() -> Iterator[None]:
    """torch's reference of flex attention in place of the compiled one, which needs a compiler and minutes."""
    from torch.nn.attention import flex_attention
    from transformers.integrations import flex_attention as integration

    class Reference:
        def __init__(self, training: bool) -> None:
            self.training = training

        def __call__(self) -> Any:
            return flex_attention.flex_attention

    with (
        mock.patch.object(integration, "WrappedFlexAttention", Reference),
        mock.patch.object(flex_attention, "_FLEX_ATTENTION_DISABLE_COMPILE_DEBUG", True),
    ):
        yield


def model_of(base: Path, auto: str, attn: str | None = None) -> Any:
    """The base, initialised from its config with a fixed seed, and loaded with this attention backend."""
    torch.manual_seed(11)
    asked = {} if attn is None else {"attn_implementation": attn}
    config = transformers.AutoConfig.from_pretrained(base, **asked)
    return getattr(transformers, auto).from_config(config).eval()


def ordinary_inputs(model: Any, asked: Mapping[str, Any] = {}) -> Inputs:
    """Whatever the model's main input is, in the sizes and under the mask that a check was asked about."""
    source = torch.Generator().manual_seed(5)
    batch, seq = asked.get("batch", 1), asked.get("seq", 7)
    ids = torch.randint(3, 30, (batch, seq), generator=source)
    if model.main_input_name == "pixel_values":
        size = getattr(model.config, "image_size", 32)
        return {"pixel_values": torch.randn(batch, 3, size, size, generator=source)}
    inputs = {"input_ids": ids}
    if model.config.is_encoder_decoder:
        classifies = "Classification" in type(model).__name__  # by the decoder's state at the input's last token
        length = seq if classifies else asked.get("decoder_seq", min(seq, 7))
        inputs["decoder_input_ids"] = torch.randint(3, 30, (batch, length), generator=source)
    if asked.get("mask") == "padded":
        inputs["attention_mask"] = torch.ones(batch, seq, dtype=torch.long)
        inputs["attention_mask"][-1, seq // 2 + 1 :] = 0
        inputs["input_ids"][-1, seq // 2 + 1 :] = model.config.get_text_config().pad_token_id or 0
    return inputs


def padding_side(base: Path) -> str:
    """What the base's tokenizer says, "" where it says nothing."""
    file = base / "tokenizer_config.json"
    return str(json.loads(file.read_text()).get("padding_side", "")) if file.exists() else ""


def read_off_at_padding(base: Path, auto: str, adapter: Path, asked: Mapping[str, Any]) -> bool:
    """True if a short text's classes change when it is padded on the right beside a longer one."""
    model = peft.PeftModel.from_pretrained(model_of(base, auto, asked.get("attn")), str(adapter.resolve())).eval()
    inputs = ordinary_inputs(model.get_base_model(), asked)
    length = int(inputs["attention_mask"][-1].sum())
    alone = {name: value[-1:, :length] for name, value in inputs.items()}
    with torch.no_grad():
        return not torch.allclose(model(**inputs).logits[-1:], model(**alone).logits, atol=1e-5)


def integrated(base: Path, auto: str, adapter: Path) -> Record:
    """What the model's own `load_adapter` does with the folder; what its report calls missing was left as it was."""
    try:
        told = model_of(base, auto).load_adapter(str(adapter.resolve()))
    except Exception as problem:
        error = {"type": type(problem).__name__, "mro": [], "message": str(problem)}
        return {"outcome": "raises", "steps": [{"op": "load_adapter", "outcome": "raises", "error": error}]}
    keys = {"missing_keys": sorted(told.missing_keys), "unexpected_keys": sorted(told.unexpected_keys)}
    return {"outcome": "ok", "steps": [{"op": "load_adapter", "outcome": "ok", "load_result": keys}]}


def recorded(base: Path, auto: str, adapter: Path, asked: Mapping[str, Any] = {}) -> Record:
    """What `PeftModel.from_pretrained` does with the folder; `asked` are the arguments of the check."""
    try:
        model = model_of(base, auto, asked.get("attn"))
    except Exception as problem:
        error = error_of(problem, adapter)
        return {"outcome": "raises", "error": error, "steps": [{"op": "base", "outcome": "raises", "error": error}]}
    with flex_uncompiled():
        record = measure(model, ordinary_inputs(model, asked), adapter.resolve())
    if asked.get("mask") == "padded" and padding_side(base) == "right" and "SequenceClassification" in auto:
        record["steps"][0]["computes_otherwise"] = read_off_at_padding(base, auto, adapter, asked)
    return record
