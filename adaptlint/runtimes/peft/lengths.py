"""Text and virtual tokens together against the positions that the base can number."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from adaptlint import tables
from adaptlint.bases import Base
from adaptlint.findings import Fact, Where
from adaptlint.hints import TYPE_CHECKING, Any
from adaptlint.runtimes.peft.prompts import text_config
from adaptlint.runtimes.peft.refusal import NotModelled, Refusal
from adaptlint.runtimes.peft.release import PEFT
from adaptlint.runtimes.peft.settings import Settings
from adaptlint.runtimes.prediction import Request

if TYPE_CHECKING:
    from adaptlint.dataflow.reach import Reached

BODY = "AutoModel"
LIMITS = ("max_position_embeddings", "n_positions", "max_source_positions", "max_target_positions")
SIZES = ("seq", "decoder_seq")
# What torch's CPU kernels raise where an operation of the forward cannot be; CUDA's raise an assertion of the device.
RAISES = {
    "embedding": ("IndexError", "index out of range in self"),
    "gather": ("RuntimeError", "is out of bounds for dimension"),
    "expand": ("RuntimeError", "The expanded size of the tensor"),
}
OTHERWISE = ("RuntimeError", "")


def length_faults(base: Base, settings: Settings, request: Request) -> Iterator[Refusal]:
    """What the forward raises for a text of that length; NotModelled where it is long and no forward could be had."""
    asked = {name: size for name in SIZES if (size := getattr(request, name)) is not None}
    added = virtual_tokens(base, settings)
    for name, size in asked.items():
        total = size + added.get(name, 0)
        if not _surely_fits(base, total):
            refusal = _overflow(base, settings, request, name, total)
            if refusal is not None:
                yield refusal


def virtual_tokens(base: Base, settings: Settings) -> dict[str, int]:
    """Positions that virtual tokens take, by the size that they add to: "seq" or "decoder_seq".

    PEFT 0.21.2, peft_model.py: prompts are put before the input's embeddings, of an encoder where there is one;
    prefixes into the decoder's cache, so that its positions start after them.
    """
    count = settings["num_virtual_tokens"] if settings.method.is_prompt else None
    if not isinstance(count, int) or settings["task_type"] not in tables.load()[PEFT]["task"]:
        return {}
    decoder = settings.method.fills_cache and base.resolved_config.get("is_encoder_decoder")
    return {"decoder_seq" if decoder else "seq": count}


def _surely_fits(base: Base, total: int) -> bool:
    """True below every limit that the config names; position tables may start behind the padding's index."""
    config: Mapping[str, Any] = text_config(base)
    limits = [config[name] for name in LIMITS if isinstance(config.get(name), int)]
    padding = config.get("pad_token_id")
    spare = padding + 1 if isinstance(padding, int) and padding > 1 else 2
    return bool(limits) and total + spare <= min(limits)


def _overflow(base: Base, settings: Settings, request: Request, name: str, total: int) -> Refusal | None:
    size: int = getattr(request, name)
    at = settings.where("num_virtual_tokens") if total > size else _limit(base)
    found = _reached(base, {name: total}, at, request.cache)
    if found.conflict is None:
        return None
    if request.mask == "padded" and request.batch == 1:
        text = f"whether {total} positions are too many where the one text has padding: some classes do not count it"
        raise NotModelled("length-not-modelled", at=at, facts={"problem": text})
    error, match = RAISES.get(found.conflict.op, OTHERWISE)
    extra = f" and {total - size} virtual ones" if total > size else ""
    facts: dict[str, Fact] = {"size": size, "virtual": extra, "total": total, "text": found.conflict.text}
    facts["longest"] = max(0, (found.longest or 0) - (total - size))
    because = ((_limit(base), "the positions that the base has"),) if total > size else ()
    return Refusal(
        error, match, "positions-overflow", at=at, module=found.conflict.module, facts=facts, because=because,
        stage="forward",
    )  # fmt: skip


def _reached(base: Base, sizes: Mapping[str, int], at: Where, cache: bool) -> Reached:
    """The forward of the class at that length; where none can be recorded that of its body, which has the positions."""
    from adaptlint.dataflow.load import FlowProblem
    from adaptlint.dataflow.reach import reach

    (name, total), *_ = sizes.items()
    try:
        return reach(base.ref, base.asked, sizes, name, cache=cache)
    except FlowProblem as problem:
        told = str(problem).rstrip(".")
    try:
        return reach(base.ref, BODY, sizes, name, cache=cache)
    except FlowProblem:
        text = f"whether {total} tokens are too many for this base ({told})"
        raise NotModelled("length-not-modelled", at=at, facts={"problem": text}) from None


def _limit(base: Base) -> Where:
    """The config's own word for the positions, else the config."""
    if base.config_file is None:
        return Where(base.ref)
    name = next((name for name in LIMITS if isinstance(base.config.get(name), int)), None)
    return Where(base.config_file.path, (name,) if name else ())
