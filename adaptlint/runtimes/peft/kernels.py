"""What attention kernels demand of the base's types and sizes, and of the masks that virtual tokens leave."""

from __future__ import annotations

from collections.abc import Iterator

from adaptlint import tables
from adaptlint.bases import Base
from adaptlint.findings import Fact, Fault, Where
from adaptlint.runtimes.peft.backends import FLASH
from adaptlint.runtimes.peft.prompts import text_config
from adaptlint.runtimes.peft.refusal import Refusal
from adaptlint.runtimes.peft.release import PEFT
from adaptlint.runtimes.peft.settings import Settings
from adaptlint.runtimes.prediction import Request

FLASH_WIDEST = 256  # flash-attn 2, csrc/flash_attn/flash_api.cpp: "head dimension at most 256"
FLEX_NARROWEST = 16  # torch 2.13, _inductor/kernel/flex/flex_attention.py, on any device but a CPU
FLEX = "flex_attention"
DTYPES = ("dtype", "torch_dtype")


def kernel_faults(base: Base, settings: Settings, request: Request) -> Iterator[Refusal]:
    """What the first forward raises under this backend, whatever the adapter's tensors hold."""
    if request.attn == FLASH:
        yield from _single_precision(base)
        yield from _wide_heads(base)
    yield from _rows(base, settings, request)


def kernel_doubts(base: Base, request: Request) -> Iterator[Fault]:
    """What a kernel refuses on some devices only."""
    size, name = _head_size(base)
    if request.attn == FLEX and size and size < FLEX_NARROWEST:
        facts: dict[str, Fact] = {"head": size, "least": FLEX_NARROWEST, "field": name}
        yield Fault("head-too-narrow", at=_spot(base, name), facts=facts)


def _single_precision(base: Base) -> Iterator[Refusal]:
    """transformers 5 loads a base in the type that its config or checkpoint says, and flash attention casts none."""
    said = base.features.get("dtype")  # only where the file says one: a built config has one all the same
    name = next((name for name in DTYPES if base.config.get(name) == said), None)
    if said is None and base.headers is not None:
        kinds = {row.dtype for row in base.headers.tensors.values()} & {"F64", "F32", "F16", "BF16"}
        said = "float32" if kinds == {"F32"} else None
    if said not in ("float32", "float64") or "quantization" in base.features:
        return
    facts: dict[str, Fact] = {"dtype": said}
    match = "FlashAttention only support fp16 and bf16 data type"
    yield Refusal("RuntimeError", match, "flash-needs-half", at=_spot(base, name), facts=facts, stage="forward")


def _wide_heads(base: Base) -> Iterator[Refusal]:
    size, name = _head_size(base)
    if size and size > FLASH_WIDEST:
        facts: dict[str, Fact] = {"head": size, "most": FLASH_WIDEST, "field": name}
        match = f"head dimension at most {FLASH_WIDEST}"
        yield Refusal("RuntimeError", match, "head-too-wide", at=_spot(base, name), facts=facts, stage="forward")


def _rows(base: Base, settings: Settings, request: Request) -> Iterator[Refusal]:
    """Rows of peft.toml: what a family of bases cannot do under one backend."""
    family = (base.model_class or "").partition("For")[0].removesuffix("Model")
    for row in tables.load()[PEFT]["backend_fault"]:
        if request.attn != row["attn"] or family not in row["families"]:
            continue
        if row.get("fills_cache") and not _prefix_acts(settings):
            continue
        if request.mask == row.get("not_mask", "") or request.batch == row.get("not_batch", 0):
            continue
        at, facts = settings.where("peft_type"), {"class": base.model_class, "cause": row["cause"]}
        yield Refusal(row["type"], row["match"], "library-forward-fault", at=at, facts=facts, stage="forward")


def _prefix_acts(settings: Settings) -> bool:
    return settings.method.fills_cache and settings["task_type"] in tables.load()[PEFT]["task"]


def _head_size(base: Base) -> tuple[int | None, str]:
    """The largest head of the text model and the config's field that says it; None where the config does not."""
    config = text_config(base)
    sizes = {name: config[name] for name in ("head_dim", "global_head_dim", "d_kv") if _is_size(config.get(name))}
    latent = [config.get(name) for name in ("qk_nope_head_dim", "qk_rope_head_dim")]
    if all(_is_size(part) for part in latent):
        sizes = {"qk_nope_head_dim": sum(part for part in latent if part)}
    if sizes:
        name = max(sizes, key=lambda each: sizes[each])
        return sizes[name], name
    width = next((config[name] for name in ("hidden_size", "n_embd", "d_model") if _is_size(config.get(name))), None)
    heads = next(
        (config[name] for name in ("num_attention_heads", "n_head", "num_heads") if _is_size(config.get(name))), None
    )
    return (width // heads if width and heads else None), "num_attention_heads"


def _is_size(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value > 0


def _spot(base: Base, name: str | None) -> Where:
    if base.config_file is None or name is None:
        return Where(base.ref)
    inner = base.config.get("text_config")
    route = ("text_config", name) if isinstance(inner, dict) and name in inner else (name,)
    return Where(base.config_file.path, route)
