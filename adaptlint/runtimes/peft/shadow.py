"""ShadowPEFT: decoder blocks are wrapped, and a small copy of the base's backbone runs beside it (PEFT 0.21.2)."""

from __future__ import annotations

import re

from adaptlint.bases import Base, Module
from adaptlint.findings import Fact
from adaptlint.runtimes.peft.refusal import NotModelled, Refusal
from adaptlint.runtimes.peft.settings import Settings
from adaptlint.runtimes.peft.wrapped import Shape, subtree

WIDTHS = ("hidden_size", "n_embd", "d_model")
STACKS = ("layers", "h")
OVERRIDES = ("shadow_hidden_size", "shadow_num_attention_heads", "shadow_intermediate_size")
HEADS = ("score", "classifier")


def hidden_size(base: Base, settings: Settings) -> int:
    """`_get_hidden_size`: the first of three names that the model's own config has."""
    for name in WIDTHS:
        width = base.resolved_config.get(name)
        if isinstance(width, int):
            return width
    match = "Unable to infer the hidden size from the model config."
    facts: dict[str, Fact] = {"field": "peft_type"}
    at = settings.where("peft_type")
    raise Refusal("AttributeError", match, "config-value-impossible", at=at, facts=facts)


def blocks(base: Base, settings: Settings) -> tuple[str, str]:
    """`_get_backbone` and `_get_decoder_layers`: the backbone's path and the name of its stack of blocks."""
    tops = [module.path for module in base.modules if "." not in module.path]
    usual = [name for name in ("model", "transformer") if name in tops]
    for top in usual[:1] or tops:
        for path in (f"{top}.decoder", top):
            stack = next((name for name in STACKS if f"{path}.{name}.0" in base.by_path), None)
            if stack is not None:
                return path, stack
    raise _unclear(settings, "on a base whose decoder blocks are not found by name")


def default_targets(base: Base, settings: Settings) -> dict[str, None]:
    """Without targets every decoder block is wrapped."""
    path, stack = blocks(base, settings)
    block = re.compile(rf"{re.escape(path)}\.{stack}\.\d+\Z")
    return dict.fromkeys(module.path for module in base.modules if block.match(module.path))


def check_blocks(targets: list[Module], base: Base, settings: Settings) -> None:
    """The shadow state rides from the first wrapped block to the last: what is wrapped has to be those blocks."""
    path, stack = blocks(base, settings)
    if settings["shadow_model"] != "mirror":
        raise _unclear(settings, f"with shadow_model = {str(settings['shadow_model'])[:80]}")
    override = next((field for field in OVERRIDES if settings[field] is not None), None)
    if override is not None:
        raise _unclear(settings, f"with {override}")
    numbers = [module.path.removeprefix(f"{path}.{stack}.") for module in targets]
    first = int(numbers[0]) if numbers and numbers[0].isdigit() else 0
    if numbers != [str(first + index) for index in range(len(numbers))]:
        raise _unclear(settings, "around modules that are no decoder blocks in a row")


def root_tensors(base: Base, settings: Settings, adapter: str) -> list[tuple[str, str, Shape]]:
    """The shadow backbone, and for classifiers a copy of the head: (key, saved name, shape)."""
    path, stack = blocks(base, settings)
    wanted = settings["shadow_num_hidden_layers"] or 1
    depth = sum(module.path.removeprefix(f"{path}.{stack}.").isdigit() for module in base.modules)
    if type(wanted) is not int or not 0 < wanted <= depth:
        raise _unclear(settings, f"with {wanted} layers on a base of {depth}")
    rows = []
    for name, shape in subtree(base.modules, path).items():
        parts = name.split(".")
        deeper = parts[0] == stack and parts[1].isdigit() and int(parts[1]) >= wanted
        shared = settings["share_embeddings"] and parts[0] == "embed_tokens"
        if not (deeper or shared):
            rows.append((f"shadow_backbone.{adapter}.{name}", f"shadow_backbone.default.{name}", shape))
    if settings["task_type"] == "SEQ_CLS":
        head = next((name for name in HEADS if name in base.by_path), None)
        copied = subtree(base.modules, head) if head else {}
        rows += [(f"shadow_head.{adapter}.{n}", f"shadow_head.default.{n}", shape) for n, shape in copied.items()]
    return rows


def _unclear(settings: Settings, what: str) -> NotModelled:
    return NotModelled("method-not-modelled", at=settings.where("peft_type"), facts={"value": f"SHADOW {what}"})
