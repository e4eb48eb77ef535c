"""Where AdapterHub can put something into a model, read from the graph of a recorded forward.

Source: adapters 0.2.2 to 1.3.0, methods/{lora,bottleneck,prefix_tuning,reft,prompt_tuning,invertible}.py
(`add_adapter`), models/*/mixin_*.py (`iter_layers`). What differs from model to model is layers.toml.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

from adaptlint import tables
from adaptlint.dataflow.flow_graph import FlowGraph, Node, path_in
from adaptlint.hints import Any
from adaptlint.named_tuple import NamedTuple

LAYERS = "runtimes/adapters/layers.toml"
KINDS = {
    "hub.lora": "lora",
    "hub.merged_lora": "merged_lora",
    "hub.bottleneck": "bottleneck",
    "hub.prefix": "prefix",
    "hub.reft": "reft",
    "hub.prompt": "prompt",
    "hub.invertible": "invertible",
}
OUTSIDE = -1  # the number that the library gives to what lies in no layer


class Site(NamedTuple):
    """One layer of the library: `module` is the path by which its parameters are saved, without the last name.

    `layer` is counted as the library counts, `location` and `attn` are its keys, `width_in` and `width_out` the last
    axes of what it is given and what it gives. A prefix is given the residual, and `width_out` is that of the keys.
    `heads` of a prefix are those of the queries and of the keys. `body` is the path of the base model it belongs to.
    """

    kind: str
    module: str
    layer: int
    location: str | None
    attn: str | None
    width_in: int
    width_out: int
    body: str
    hooked: bool = False
    heads: tuple[int, int] = (0, 0)


def sites_of(graph: FlowGraph, model_type: str | None, base_prefix: str = "") -> list[Site]:
    """Every site of a recorded forward, once each, in the order in which the library walks through the layers.

    `base_prefix` is the class's `base_model_prefix`.
    """
    card = tables.load()[LAYERS]
    found: dict[tuple[str, str], tuple[str, Node]] = {}
    attributes = card["attribute"].get(model_type, {})
    untaken = _untaken(graph)
    for called, node in _calls(graph):
        if KINDS[node.op] in untaken:
            continue
        module = _saved_at(node, called, attributes)
        found.setdefault((KINDS[node.op], module), (module, node))
    rows = [(kind, module, node) for (kind, _), (module, node) in found.items()]
    bodies = _bodies([module for _, module, _ in rows], card["submodels"].get(model_type, ()), base_prefix)
    numbers = _numbers([module for _, module, _ in rows], bodies, card, model_type)
    sites = [_site(kind, module, node, numbers.get(module, OUTSIDE), bodies[module]) for kind, module, node in rows]
    beside: dict[str, list[Site]] = {}
    for site in sites:
        if site.kind in ("lora", "merged_lora"):
            beside.setdefault(site.module.rpartition(".")[0], []).append(site)
    whole = [_with_heads(site, beside) if site.kind == "prefix" else site for site in sites]
    return sorted(whole, key=_layer_of)


def _layer_of(site: Site) -> int:
    return site.layer


def _untaken(graph: FlowGraph) -> set[str]:
    """Kinds that no model here takes though a layer of a part would (`support_prompt_tuning` of a model of models)."""
    nodes = (node for template in graph.templates for node in template.nodes if node.op == "hub.context")
    takes = [node.kwargs["takes"] for node in nodes if "takes" in node.kwargs]
    return {"prompt"} if takes and not any("prompt_tuning" in methods for methods in takes) else set()


def _calls(graph: FlowGraph) -> Iterable[tuple[str, Node]]:
    for run in graph.runs:
        nodes = [node for node in graph.templates[run.template].nodes if node.op in KINDS]
        for call in range(run.times):
            for node in nodes:
                if not node.kwargs.get("rev"):
                    yield path_in(run.layer(call), node.module), node


def _saved_at(node: Node, module: str, attributes: dict[str, str]) -> str:
    """The path below which the layer's parameters are saved."""
    if node.op == "hub.invertible":
        return module.removesuffix("invertible_adapters").removesuffix(".")
    name = attributes.get(str(node.kwargs.get("location")), "") if node.op == "hub.bottleneck" else ""
    return f"{module}.{name}" if name and not module.endswith(name) else module


def _bodies(modules: list[str], submodels: Iterable[str], base_prefix: str) -> dict[str, str]:
    """Module -> the path of the base model around it, "" for the model itself."""
    whole = base_prefix if any(module.startswith(f"{base_prefix}.") for module in modules) else ""
    bodies = {}
    for module in modules:
        parts = (re.search(pattern, f"{module}.") for pattern in submodels)
        bodies[module] = next((part.group() for part in parts if part), whole)
    return bodies


def _numbers(
    modules: list[str], bodies: dict[str, str], card: dict[str, Any], model_type: str | None
) -> dict[str, int]:
    """Module -> the number of its layer."""
    layers: dict[str, str] = {}
    of_owner: dict[str, str | None] = {}  # a path ends with its layer's number or has it in its owner's path
    for module in modules:
        owner = module.rpartition(".")[0]
        if owner not in of_owner:
            of_owner[owner] = _layer_in(owner, **card["counting"])
        layer = of_owner[owner] or _layer_in(module, **card["counting"])
        if layer is not None:
            layers[module] = layer
    order = card["order"].get(model_type, [])
    listed = sorted(dict.fromkeys(layers.values()), key=lambda layer: _rank(layer, order))
    apart = model_type in card["submodels"]
    counted: dict[str, int] = {}
    numbers: dict[str, int] = {}
    for layer in listed:
        body = next(bodies[module] for module in modules if layers.get(module) == layer) if apart else ""
        numbers[layer] = counted.get(body, 0)
        counted[body] = numbers[layer] + 1
    return {module: numbers[layer] for module, layer in layers.items()}


def _layer_in(path: str, stacks: Sequence[str], nested: Sequence[Sequence[str]]) -> str | None:
    """The path of the layer that a path lies in, None outside of them."""
    parts = path.split(".")
    for at, part in enumerate(parts[:-1]):
        for chain in nested:
            inner = parts[at : at + 2 * len(chain)]
            if part == chain[0] and inner[::2] == chain and all(map(str.isdecimal, inner[1::2])):
                return ".".join(parts[: at + 2 * len(chain)])
        if part in stacks and parts[at + 1].isdecimal():
            return ".".join(parts[: at + 2])
    return None


def _rank(layer: str, order: list[str]) -> int:
    return next((rank for rank, stack in enumerate(order) if stack in layer), len(order))


def _site(kind: str, module: str, node: Node, layer: int, body: str) -> Site:
    told, read = node.kwargs, node.read
    width_in = read[2][-1] if kind == "prefix" else read[0][-1]
    width_out = read[1][-1] if "lora" in kind else read[0][-1]
    heads = (0, read[0][1]) if kind == "prefix" else (0, 0)
    if kind == "prefix":
        width_out = read[0][1] * read[0][3]
    return Site(
        kind, module, layer, told.get("location"), told.get("attn"), width_in, width_out, body,
        bool(told.get("hooked")), heads,
    )  # fmt: skip


def _with_heads(site: Site, projections: dict[str, list[Site]]) -> Site:
    """A prefix with its query heads and those of the keys, counted by the projections of the same owner."""
    wide = site.width_out // site.heads[1]
    beside = projections.get(site.module.rpartition(".")[0], [])
    merged = [each for each in beside if each.kind == "merged_lora"]
    if merged:
        count = merged[0].width_out // 3 // wide
        return site._replace(heads=(count, count))
    widths = {each.attn: each.width_out for each in beside}
    keys = widths.get("k", site.width_out)
    return site._replace(width_out=keys, heads=(widths.get("q", keys) // wide, keys // wide))
