"""The recorded forward of a base that AdapterHub's library has wrapped: where one is found."""

from __future__ import annotations

import json
import os
from itertools import product

from adaptlint.bases import Base, installed_versions
from adaptlint.bases.store import base_key
from adaptlint.dataflow.flow_graph import FORMAT, FlowGraph, read_graph
from adaptlint.runtimes.adapters.recorded import Raises, recorded_graph
from adaptlint.runtimes.adapters.rows import Raised
from adaptlint.tables import cache_folder, read_sealed, write_sealed

USUAL = ("eager", "sdpa")
BACKEND = "eager"  # the sites are the same under every backend but for classes that a release does not replace


def find_graph(
    base: Base, version: str, backend: str = BACKEND, *, masked: bool = True, python: str | None = None
) -> FlowGraph | None:
    """The graph of the wrapped base in that release of `adapters`; None where there is none.

    `masked` says whether the forward is given an attention mask. A recording in the cache comes before the tables that
    ship with us, these before the library itself, where that release is installed, and where the interpreter `python`
    has it. Raises Raised where the wrapped class has no such forward, whatever is loaded, and FlowProblem with what
    `python` says where that one has none.
    """
    place = graph_place(base, version, backend, masked=masked)
    body = read_sealed(place, _label(place))
    if body is not None:
        return read_graph(json.loads(body))
    found = recorded_graph(base.config, base.model_class or "", version, backend, masked)
    if isinstance(found, Raises):
        raise Raised(found.kind, found.text)
    found = found or _recorded_now(base, version, backend, masked=masked)
    return found if found is not None or python is None else _recorded_there(base, version, python, backend, masked)


def _recorded_now(base: Base, version: str, backend: str, *, masked: bool) -> FlowGraph | None:
    if installed_versions(("adapters",)).get("adapters") != version:
        return None
    from adaptlint.dataflow.load import FlowProblem
    from adaptlint.dataflow.record_wrapped import record_wrapped

    try:
        graph = record_wrapped(dict(base.config), base.model_class, backend, masked=masked)
    except FlowProblem:
        return None
    keep_graph(graph, base, version, backend, masked=masked)
    return graph


def _recorded_there(base: Base, version: str, python: str, backend: str, masked: bool) -> FlowGraph | None:
    """The forward by another interpreter's library; what else a check may ask for is recorded and kept with it."""
    from adaptlint.dataflow.load import FlowProblem
    from adaptlint.runtimes.adapters.elsewhere import library_of, recorded_there

    if library_of(python) != version or not base.config:
        return None
    asked = dict.fromkeys([(backend, masked), *product(dict.fromkeys((backend, *USUAL)), (True, False))])
    found = recorded_there(python, base.config, base.model_class, asked)
    for (one, mask), graph in found.items():
        if not isinstance(graph, str):
            keep_graph(graph, base, version, one, masked=mask)
    told = found.get((backend, masked), "It gave no forward.")
    if isinstance(told, str):
        raise FlowProblem(told)
    return told


def keep_graph(graph: FlowGraph, base: Base, version: str, backend: str = BACKEND, *, masked: bool = True) -> None:
    """Keep a recorded graph for later checks."""
    place = graph_place(base, version, backend, masked=masked)
    body = json.dumps(graph.to_json(), separators=(",", ":"), default=str).encode("utf-8", "surrogatepass")
    write_sealed(place, _label(place), body)


def graph_place(base: Base, version: str, backend: str, *, masked: bool) -> str:
    """Where the graph of a base lies in the cache."""
    mask = "" if masked else "_none"
    name = f"{base_key(base.config, base.model_class)}_{backend}{mask}_adapters-{version}.json"
    return os.path.join(cache_folder(), "flows", name)


def _label(place: str) -> str:
    return f"adaptlint-hub-flow-{FORMAT} {os.path.basename(place)}"
