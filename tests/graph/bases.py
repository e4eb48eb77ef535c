"""Small bases built by hand, without torch."""

from __future__ import annotations

from adaptlint.bases import Base, Module
from adaptlint.bases.folded import fold_modules
from adaptlint.bases.record import empty_record


def module(path: str, cls: str, **params: tuple[int, ...]) -> Module:
    """A module whose kind is its class."""
    kind = cls if cls in ("Linear", "Embedding", "ModuleList") else ""
    return Module(path, cls, kind, params, {}, {})


def decoder(layers: int = 3, odd_layer: int | None = None, extra: tuple[Module, ...] = ()) -> Base:
    """A decoder with tied embeddings; `odd_layer` is narrower than the others."""
    modules = [
        module("", "TinyForCausalLM"),
        module("model", "TinyModel"),
        module("model.embed_tokens", "Embedding", weight=(100, 64)),
        module("model.layers", "ModuleList"),
    ]
    for layer in range(layers):
        width = 32 if layer == odd_layer else 64
        modules.append(module(f"model.layers.{layer}", "TinyLayer"))
        modules.append(module(f"model.layers.{layer}.q_proj", "Linear", weight=(width, 64), bias=(width,)))
    modules += [*extra, module("lm_head", "Linear", weight=(100, 64))]
    record = empty_record() | {
        "model_type": "tiny",
        "model_class": "TinyForCausalLM",
        "made_with": {"transformers": "5.23.0"},
        "tree": fold_modules(modules),
        "ties": [["model.embed_tokens.weight", "lm_head.weight"]],
        "input_embedding": "model.embed_tokens",
        "output_embedding": "lm_head",
    }
    return Base("tiny", "lock", record)
