"""The flow of a model: what shapes its modules return, as expressions in batch and sequence length."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping

from adaptlint.dataflow.symbols import Dim, decode_shapes, probes
from adaptlint.hints import TYPE_CHECKING, Any
from adaptlint.named_tuple import NamedTuple

if TYPE_CHECKING:
    from adaptlint.dataflow.calls import FlowConflict
    from adaptlint.dataflow.flow_graph import FlowGraph
    from adaptlint.dataflow.propagate import Moved

ROOT = ""  # the path of the model itself


class SizeError(ValueError):
    """A number was asked to be put in for a size that the model does not have, or it is no size."""


class Flow(NamedTuple):
    """Symbolic shapes through one model. A dim is an integer or an expression such as "2*batch" or "seq + 2".

    `modules` has every tensor that a module returns, in order; modules about which nothing certain can be said are
    in `unknown` instead, with the reason. "" is the model itself.
    """

    model: str
    model_class: str
    attn: str
    source: str
    inputs: dict[str, list[Dim]]
    outputs: dict[str, list[Dim]]
    modules: dict[str, list[list[Dim]]]
    unknown: dict[str, str]

    def to_dict(self) -> dict[str, Any]:
        """The flow as the JSON document that `adaptlint graph --flow --format json` prints."""
        return {
            "model": self.model,
            "attn": self.attn,
            "source": self.source,
            "inputs": self.inputs,
            "outputs": self.outputs,
            "modules": {path: {"out": shapes} for path, shapes in self.modules.items()},
            "unknown": [{"module": path, "reason": reason} for path, reason in self.unknown.items()],
        }


def flow(
    model: str | os.PathLike[str],
    *,
    model_class: str | None = None,
    attn: str = "sdpa",
    sizes: Mapping[str, int] | None = None,
    offline: bool = True,
    cache: bool = True,
) -> Flow:
    """Say how shapes move through the model's forward with this attention backend.

    `sizes` puts numbers in for "batch", "seq" and "decoder_seq". Raises FlowProblem where no forward can be had, and
    SizeError, a ValueError, for a size that the model does not have or that is no size.
    """
    from adaptlint.dataflow.load import NotRecorded, Unsteady, load_flow

    reference = os.fspath(model)
    try:
        graph, source = load_flow(reference, model_class, attn, offline=offline, cache=cache)
    except Unsteady as problem:  # a loop over the sequence, say: every set of sizes has a forward of its own
        _check_sizes(problem.graph, sizes or {})
        graphs = []
        for vector in probes(problem.graph.symbols, problem.graph.constants, sizes or {})[:2]:
            graph, source = load_flow(reference, model_class, attn, sizes=vector, offline=offline, cache=cache)
            graphs.append((graph, vector))
        return _flow_of(graphs, reference, source, sizes or {})
    found = flow_through(graph, reference, source, sizes or {})
    if found.unknown and sizes:  # at these sizes the forward may take other branches than those that were recorded
        try:
            graph, source = load_flow(reference, model_class, attn, sizes=sizes, offline=offline, cache=cache)
        except NotRecorded:  # what is known at any sizes stays known
            return found
        found = flow_through(graph, reference, source, sizes)
    return found


def flow_through(graph: FlowGraph, model: str, source: str, sizes: Mapping[str, int]) -> Flow:
    """The flow of a recorded forward, with numbers put in for the symbols in `sizes`."""
    _check_sizes(graph, sizes)
    vectors = probes(graph.symbols, graph.constants, sizes)
    return _flow_of([(graph, vector) for vector in vectors], model, source, sizes)


def _flow_of(graphs: list[tuple[FlowGraph, dict[str, int]]], model: str, source: str, sizes: Mapping[str, int]) -> Flow:
    """What the graphs give, each under its vector, read as symbols."""
    from adaptlint.dataflow.propagate import propagate

    graph = graphs[0][0]
    runs = [(propagate(each, vector), vector) for each, vector in graphs]
    last, first = runs[-1][0], runs[0][0]
    if len(runs) > 2 and (last.conflict is not None or last.unknown.keys() - first.unknown.keys()):
        runs = runs[:-1]  # more positions than the model has, or than its window: then it is no witness
    unknown = _unknown([moved for moved, _ in runs])
    modules: dict[str, list[list[Dim]]] = {}
    known: dict[tuple[int, ...], list[list[Dim]] | str] = {}
    for path in runs[0][0].modules:
        if path not in unknown:
            seen = tuple(id(moved.modules[path]) for moved, _ in runs)  # equal layers share theirs
            shapes = known.get(seen)
            if shapes is None:
                shapes = known[seen] = decode_shapes([(moved.modules[path], vector) for moved, vector in runs])
            if isinstance(shapes, str):
                unknown[path] = shapes
            else:
                modules[path] = shapes
    outputs, lost = _outputs(runs)
    if lost:
        unknown.setdefault(ROOT, lost)
        modules.pop(ROOT, None)
    inputs = {name: [_put_in(dim, sizes) for dim in dims] for name, dims in graph.inputs.items()}
    return Flow(model, graph.model_class, graph.backend, source, inputs, outputs, modules, unknown)


def _check_sizes(graph: FlowGraph, sizes: Mapping[str, int]) -> None:
    for name, number in sizes.items():
        if name not in graph.symbols:
            has = ", ".join(graph.symbols) or "none"
            raise SizeError(f"the forward of {graph.model_class} has no size {name!r}; it has {has}")
        if isinstance(number, bool) or not isinstance(number, int) or number < 1:
            raise SizeError(f"{name} is a number from 1 on, not {number!r}")


def _put_in(dim: object, sizes: Mapping[str, int]) -> Dim:
    return dim if isinstance(dim, int) else sizes.get(str(dim), str(dim))


def _unknown(moves: list[Moved]) -> dict[str, str]:
    """Modules that some run says nothing about, each with the first reason given."""
    unknown: dict[str, str] = {}
    for moved in moves:
        for path, reason in moved.unknown.items():
            unknown.setdefault(path, reason)
    conflict = next((moved.conflict for moved in moves if moved.conflict is not None), None)
    if conflict is not None:  # neither its module nor any around it has returned
        for path in _with_ancestors(conflict.module):
            unknown.setdefault(path, _told(conflict))
    first = moves[0].modules.keys()
    if any(moved.modules.keys() != first for moved in moves):
        everywhere = set(first).intersection(*(moved.modules for moved in moves))
        for path in dict.fromkeys(path for moved in moves for path in moved.modules if path not in everywhere):
            missing = "it is reached under some sizes only" if conflict is None else _told(conflict)
            unknown.setdefault(path, missing)
    return unknown


def _told(conflict: FlowConflict) -> str:
    return f"an operation before its end does not fit: {conflict.text}"


def _with_ancestors(path: str) -> Iterable[str]:
    while path:
        yield path
        path = path.rpartition(".")[0]
    yield ROOT


def _outputs(runs: list[tuple[Moved, dict[str, int]]]) -> tuple[dict[str, list[Dim]], str]:
    """The model's outputs, and why one of them is left out ("" if none is)."""
    outputs: dict[str, list[Dim]] = {}
    lost = ""
    for name in runs[0][0].outputs:
        if not all(name in moved.outputs for moved, _ in runs):
            lost = lost or f"its output {name} is returned under some sizes only"
            continue
        shapes = decode_shapes([([moved.outputs[name]], vector) for moved, vector in runs])
        if isinstance(shapes, str):
            lost = lost or f"of its output {name} {shapes}"
        else:
            outputs[name] = shapes[0]
    return outputs, lost
