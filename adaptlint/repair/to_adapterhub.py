"""A LoRA for AdapterHub's library: the same matrices under other names, for the layers that its config can name.

Source: adapters 1.0.0 to 1.3.0, configuration/adapter_config.py (`LoRAConfig`), methods/lora.py (scaling alpha / r),
loading.py (`AdapterLoader.save`: what is in adapter_config.json; without being asked it loads pytorch_adapter.bin).
"""

from __future__ import annotations

from adaptlint.artefacts.torch_writing import STORAGES
from adaptlint.bases import Base
from adaptlint.dataflow.flow_problem import FlowProblem
from adaptlint.drafts.words import Inexact, Piece
from adaptlint.hints import Any
from adaptlint.repair.exporting import Written
from adaptlint.repair.plain_lora import PlainLora
from adaptlint.repair.situation import NAME
from adaptlint.runtimes.adapters.graphs import find_graph
from adaptlint.runtimes.adapters.hub_adapter import MADE, WEIGHTS
from adaptlint.runtimes.adapters.loads import HubLoads
from adaptlint.runtimes.adapters.parts import Part, fill_defaults
from adaptlint.runtimes.adapters.placing import place
from adaptlint.runtimes.adapters.release import HubRelease, newest
from adaptlint.runtimes.adapters.rows import Raised
from adaptlint.runtimes.adapters.sites import Site
from adaptlint.runtimes.peft.refusal import NotModelled, Refusal

LOCATIONS = ("selfattn_lora", "intermediate_lora", "output_lora")
WHOSE = "AdapterHub's library"


def write(lora: PlainLora, base: Base, release: str) -> Written:
    """The files of `save_adapter`. Raises Inexact."""
    asked = HubRelease(release or newest())
    try:
        graph = find_graph(base, asked.text)
    except (Raised, FlowProblem):
        graph = None
    if graph is None:
        raise Inexact(f"where adapters {asked.text} puts LoRA into {base.model_class} is not recorded")
    loads = HubLoads(base, graph, asked)
    _refuse_doubles(lora)
    sites = {site.module: site for site in loads.place.sites if site.kind == "lora"}
    lost = next((path for path in lora.modules if path not in sites), "")
    if lost:
        raise Inexact(f"{WHOSE} puts no LoRA of its own at {lost} of {base.model_class}")
    given = _settings(lora, [sites[path] for path in lora.modules], [*sites.values()])
    _, config = fill_defaults(given, asked.text)
    try:
        held = place([Part("lora", config)], NAME, loads.place)
    except (Refusal, NotModelled) as problem:
        raise Inexact(f"{WHOSE} refuses such a LoRA for {base.model_class}") from problem
    pieces = {
        name: piece for path, each in lora.modules.items() for name, piece in _named(path, each.first, each.second)
    }
    beside = sorted({name.partition(".loras.")[0] for name in held.keys() - pieces.keys()})
    if beside:
        raise Inexact(f"its config cannot name these modules without {beside[0]}, which the adapter leaves alone")
    width = base.resolved_config.get("hidden_size")
    whole = {
        "config": dict(sorted(config.items())),
        **({"hidden_size": width} if isinstance(width, int) else {}),
        "model_class": base.model_class,
        "model_name": lora.settings.get("base_model_name_or_path"),
        "model_type": base.model_type,
        "name": NAME,
        "version": f"{MADE}{asked.text}",
    }
    said = f"the matrices as they are, r {config['r']} and alpha {config['alpha']}; it is called {NAME} there"
    return Written(whole, WEIGHTS, [*pieces.values()], {}, said)


def _refuse_doubles(lora: PlainLora) -> None:
    for each in lora.modules.values():
        for piece in (each.first, each.second):
            if piece.dtype not in STORAGES:
                raise Inexact(f"{piece.name} is {piece.dtype}, for which no torch checkpoint is written")


def _settings(lora: PlainLora, used: list[Site], known: list[Site]) -> dict[str, Any]:
    """The config of the library that covers the modules, if one does."""
    strange = next((site for site in used if site.location not in LOCATIONS), None)
    if strange is not None:
        raise Inexact(f"{strange.module} is at no place that the config of {WHOSE} can name")
    layers = {site.layer for site in used}
    alpha = lora.one({path: lora.alpha(path) for path in lora.modules}, "alphas", WHOSE)
    return {
        "architecture": "lora",
        "r": int(lora.one({path: each.rank for path, each in lora.modules.items()}, "ranks", WHOSE)),
        "alpha": int(alpha) if alpha == int(alpha) else alpha,
        "dropout": lora.settings.get("lora_dropout", 0.0),
        "attn_matrices": sorted({site.attn for site in used if site.attn}, key="qkvo".find),
        "leave_out": sorted({site.layer for site in known} - layers),
        **{location: any(site.location == location for site in used) for location in LOCATIONS},
    }


def _named(path: str, first: Piece, second: Piece) -> list[tuple[str, Piece]]:
    names = [f"{path}.loras.{NAME}.lora_{side}" for side in "AB"]
    return [(name, piece._replace(name=name)) for name, piece in zip(names, (first, second), strict=True)]
