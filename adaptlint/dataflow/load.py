"""The graph of a base's forward: from the cache, else from a table that ships with us, else recorded now."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from importlib.util import find_spec

from adaptlint.bases import Base, BaseProblem, installed_versions, load_base
from adaptlint.bases.store import base_key
from adaptlint.dataflow.flow_graph import FORMAT, FlowGraph, read_graph
from adaptlint.dataflow.flow_problem import FlowProblem
from adaptlint.dataflow.shipped import shipped_graph
from adaptlint.hints import Any
from adaptlint.tables import cache_folder, read_sealed, write_sealed

__all__ = ["BACKENDS", "FlowProblem", "NotRecorded", "Unsteady", "load_flow"]
BACKENDS = ("eager", "sdpa", "flash_attention_2", "flex_attention")
LIBRARIES = ("torch", "transformers")


class NotRecorded(FlowProblem):
    """There is no graph because what records one is not installed."""


class Unsteady(FlowProblem):
    """A graph that does not hold at other sizes than those it was recorded at; `graph` is that."""

    def __init__(self, graph: FlowGraph, doubt: str) -> None:
        super().__init__(f"The recorded forward of {graph.model_class} does not hold at other sizes: {doubt}.")
        self.graph = graph


def load_flow(
    model: str,
    model_class: str | None,
    attn: str,
    *,
    sizes: Mapping[str, int] | None = None,
    offline: bool = True,
    cache: bool = True,
) -> tuple[FlowGraph, str]:
    """The graph of the class's forward under one attention backend, and its source: "cache", "shipped" or "live".

    `model` is what `load_base` takes, `attn` one of BACKENDS. With `sizes` the forward is recorded at these, so that
    its branches are theirs. Raises FlowProblem, and Unsteady for a graph that holds nowhere else.
    """
    if attn not in BACKENDS:
        raise FlowProblem(f"The attention backend {attn[:40]!r} is none of {', '.join(BACKENDS)}.")
    base = load_base(model, model_class=model_class, cache=cache, offline=offline)
    if isinstance(base, BaseProblem):
        raise FlowProblem(f"The base cannot be read: {base.reason.replace('-', ' ')}.")
    if not base.config:
        raise FlowProblem("A forward is recorded from a config.json, and this base has none.")
    found = installed_versions(LIBRARIES)
    place = _place(base, attn, found, sizes or {})
    told, source = (_cached(place) if cache else None), "cache"
    if told is None:
        shipped = None if sizes else shipped_graph(base, attn)
        if shipped is not None:
            return shipped, "shipped"
        told, source = _recorded(base, attn, sizes or {}), "live"
        if cache:
            body = json.dumps(told, separators=(",", ":"), default=str).encode("utf-8", "surrogatepass")
            write_sealed(place, _label(place), body)
    graph = read_graph(told["graph"])
    if graph is None:
        raise FlowProblem("The recorded forward in the cache is of another release of adaptlint.")
    if told["doubt"]:
        raise Unsteady(graph, told["doubt"])
    return graph, source


def _place(base: Base, attn: str, found: dict[str, str], sizes: Mapping[str, int]) -> str:
    key = "_".join([base_key(base.config, base.asked), *(f"{name}{size}" for name, size in sorted(sizes.items()))])
    name = f"{key}_{attn}_{found.get('transformers', 'any')}_{found.get('torch', 'any')}.json"
    return os.path.join(cache_folder(), "flows", name)


def _label(place: str) -> str:
    return f"adaptlint-flow-{FORMAT} {os.path.basename(place)}"


def _cached(place: str) -> dict[str, Any] | None:
    body = read_sealed(place, _label(place))
    if body is None:
        return None
    try:
        told: object = json.loads(body)
    except ValueError:
        return None
    return told if isinstance(told, dict) and "graph" in told else None


def _recorded(base: Base, attn: str, sizes: Mapping[str, int]) -> dict[str, Any]:
    missing = [name for name in LIBRARIES if find_spec(name) is None]
    if missing:
        raise NotRecorded(f"A forward is recorded with {' and '.join(missing)}, which cannot be imported here.")
    from adaptlint.dataflow.record import record

    graph, doubt = record(base.config, base.asked, attn, dict(sizes))
    return {"graph": graph.to_json(), "doubt": doubt}
