"""An Arrow model made with real PEFT, and what it computes held against what its words mean.

Each token is given a mixture of the experts' own updates, by the shares that the router's prototypes say. Whatever an
adapter changes beside the factors of the router's layers (magnitudes, biases, saved modules, rows of tokens, other
layers) has no part in it, and is a fault.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .peft_composed import Composed

ROUTER = "arrow_router"
INNER = "base_model.model."
TOP_K = 3  # PEFT's own where nothing else is asked for

Factors = dict[str, tuple[Any, Any, float]]  # by the adapter's name: A, B and the scale


def arrow_faults(asked: Composed, experts: list[str], settings: Mapping[str, Any]) -> Iterator[str]:
    """Make the model, run it, and say what of its members is missing. Raises what PEFT raises, and NoReference."""
    import peft

    given = settings.get("general") or []
    general = given if isinstance(given, list) else [given]
    fields = {name: value for name, value in settings.items() if name != "general"}
    config = peft.ArrowConfig(use_gks=bool(general), **fields)
    folders = [[asked.folders[name] for name in names] for names in (experts, general)]
    model = peft.create_arrow_model(asked.fresh(), folders[0], config, folders[1] or None).eval()
    layers = {
        path[len(INNER) :]: layer for path, layer in model.named_modules() if ROUTER in getattr(layer, "lora_arrow", ())
    }
    called = {f"task_{number}": name for number, name in enumerate(experts)}
    called.update({f"gks_{number}": name for number, name in enumerate(general)})
    factors = {path: factors_at(layer, called) for path, layer in layers.items()}
    updates = {
        (name, path): layer.get_delta_weight(inner)
        for path, layer in layers.items()
        for inner, name in called.items()
        if inner in factors[path]
    }
    found = asked.answer(model)
    for name in dict.fromkeys([*experts, *general]):
        yield from left_out(asked, name, updates)
    wanted = asked.fresh()
    for path, layer in layers.items():
        wanted.get_submodule(path).register_forward_hook(mixing(layer, factors[path], config))
    if not asked.near(found, asked.answer(wanted.eval())):
        yield "the output is not that of the base with each token's mixture added"


def factors_at(layer: Any, names: Mapping[str, str]) -> Factors:
    """What stands at a layer of the router before its first forward, which may change it."""
    return {
        name: (layer.lora_A[name].weight.detach().clone(), layer.lora_B[name].weight.detach().clone(), scale)
        for name, scale in layer.scaling.items()
        if name in names
    }


def left_out(asked: Composed, name: str, updates: Mapping[tuple[str, str], Any]) -> Iterator[str]:
    """The first weight that the adapter alone changes otherwise than by its update at a layer of the router."""
    merged = asked.merged(name)
    for key, value in asked.fresh().state_dict().items():
        if not value.is_floating_point():
            continue
        path, _, leaf = key.rpartition(".")
        update = updates.get((name, path)) if leaf == "weight" else None
        expected = value if update is None else value + update.to(value.dtype)
        if not asked.near(merged[key], expected):
            yield f"what {name} makes of {key} has no part in it"
            return


def mixing(layer: Any, factors: Factors, config: Any) -> Any:
    """A forward hook that adds the mixture to what the base's own layer gives."""
    import torch

    router = layer.lora_arrow[ROUTER]
    means = (
        [torch.stack([factors[name][place] for name in config.gks_adapter_names]).mean(0) for place in (0, 1)]
        if (config.use_gks)
        else [0.0, 0.0]
    )

    def add(module: Any, inputs: Any, output: Any) -> Any:
        tokens = inputs[0].to(router.prototypes.dtype)
        near = (tokens @ router.prototypes.T).abs()
        kept = torch.topk(near, router.top_k, dim=-1)
        shares = torch.zeros_like(near)
        shares.scatter_(-1, kept.indices, torch.softmax(kept.values / router.temperature, dim=-1))
        for place, name in enumerate(router.task_adapter_names):
            a, b, scale = factors[name]
            update = (tokens @ (a - means[0]).T) @ (b - means[1]).T * scale
            output = output + (shares[..., place : place + 1] * update).to(output.dtype)
        return output

    return add
