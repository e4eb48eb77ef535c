"""What AdapterHub checks of a composition before any tensor is there, and what its layers check again.

Facts: adapters 0.2.2 to 1.3.0, composition.py (`ALLOWED_NESTINGS`, `SUPPORTED_MODELS`, `validate_composition`),
methods/adapter_layer_base.py (`check_composition_valid`). `supported_compositions` of the layers is read by nothing.
"""

from __future__ import annotations

from adaptlint.runtimes.adapters.composition import Block
from adaptlint.runtimes.adapters.rows import Raised

INSIDE: dict[str, tuple[str, ...]] = {
    "Stack": ("", "Fuse", "Split", "Parallel", "BatchSplit", "Average", "MultiTask"),
    "Fuse": ("", "Stack"),
    "Split": ("", "Split", "Stack", "BatchSplit", "Average"),
    "Parallel": ("", "Stack", "BatchSplit", "Average"),
    "MultiTask": ("", "Stack", "Average", "Fuse"),
    "BatchSplit": ("", "Stack", "Split", "BatchSplit", "Average"),
    "Average": ("", "Stack", "Split", "BatchSplit"),
}
"""Which blocks may stand in which; "" is an adapter."""
SINCE = {"MultiTask": (1, 2)}
FREE_FROM = 2  # the level from which on only stacks and adapters may stand
PARALLEL_MODELS = {
    "albert",
    "bart",
    "bert",
    "bert-generation",
    "deberta",
    "deberta-v2",
    "distilbert",
    "electra",
    "gpt2",
}
PARALLEL_MODELS |= {"gptj", "llama", "mbart", "mistral", "mt5", "plbart", "roberta", "t5", "vit", "whisper"}
PARALLEL_MODELS |= {"xlm-roberta", "xmod"}
"""Model types that a Parallel is accepted for where it is the outermost block; nowhere else is this asked."""
PARALLEL_SINCE = {"mistral": (1, 0), "plbart": (1, 0), "whisper": (1, 0)}


def check_composition(setup: Block, model_type: str, release: tuple[int, ...]) -> None:
    """What setting it active raises. Raises Raised."""
    for block in setup.blocks():
        if release < SINCE.get(block.kind, (0,)):
            raise Raised("ImportError", f"cannot import name '{block.kind}' from 'adapters.composition'")
    known = model_type in PARALLEL_MODELS and release >= PARALLEL_SINCE.get(model_type, (0,))
    if setup.kind == "Parallel" and not known:
        text = f"Models of type {model_type} don't support adapter composition using Parallel."
        raise Raised("ValueError", text)
    _check(setup, 0)


def _check(setup: Block, level: int) -> None:
    if level >= FREE_FROM and setup.kind not in ("", "Stack"):
        raise Raised("ValueError", f"Adapter setup is too deep. Cannot have {setup} at level {level}.")
    for child in setup.children:
        if child.kind not in INSIDE[setup.kind]:
            raise Raised("ValueError", f"Adapter setup is invalid. Cannot nest {child} in {setup}")
        _check(child, level + 1)


def allowed_in(parent: Block, child: Block, level: int, release: tuple[int, ...]) -> None:
    """What a layer raises of a block inside another, which it asks again at every forward. Raises Raised."""
    if parent.kind == "Stack" and level >= 1:
        text = f"Specified adapter setup is too deep. Cannot have {child.kind} at level {level}"
        raise Raised("ValueError", text)
    if child.kind not in INSIDE[parent.kind]:
        raise Raised("ValueError", f"Cannot nest {child.kind} inside {parent.kind}.")
