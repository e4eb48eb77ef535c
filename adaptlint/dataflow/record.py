"""A graph from a config: the class is built on the meta device, and its forward recorded twice.

The second recording, at other sizes, is what the graph has to reproduce before anybody may use it.
"""

from __future__ import annotations

from typing import Any, NamedTuple

from adaptlint.bases.base import BaseProblem
from adaptlint.bases.classes import choose
from adaptlint.bases.meta_build import import_libraries, silence
from adaptlint.bases.wanted import buildable, refuse_absurd
from adaptlint.dataflow.flow_graph import FlowGraph
from adaptlint.dataflow.inputs import Input, inputs_of
from adaptlint.dataflow.kernels import BUILT_AS, KERNELS, standing_in, supports
from adaptlint.dataflow.load import FlowProblem
from adaptlint.dataflow.propagate import propagate
from adaptlint.dataflow.trace import Recorder, TooLong, recording

FIRST = (31, 37, 41)
SECOND = (43, 29, 47)


class Recorded(NamedTuple):
    """A graph, and why it may not be propagated ("" where it may)."""

    graph: FlowGraph
    doubt: str


def record(config: dict[str, Any], asked: str | None, backend: str) -> Recorded:
    """Build, record twice, compare. Raises FlowProblem where the forward cannot be recorded at all."""
    problem = refuse_absurd(config)
    if problem:
        raise FlowProblem(f"The config cannot be built: {problem.reason}.")
    with silence():
        libraries = import_libraries()
        choice = choose(libraries, buildable(config), config, asked)
        if isinstance(choice, BaseProblem):
            raise FlowProblem(f"No class of transformers fits this config: {choice.reason}.")
        if not supports(choice.model_class, backend):
            raise FlowProblem(f"{choice.model_class.__name__} does not support {backend}, by its own word.")
        torch = libraries.torch
        try:
            with torch.device("meta"):
                model = choice.model_class._from_config(
                    choice.config, attn_implementation=BUILT_AS if backend in KERNELS else backend
                ).eval()
        except Exception as error:  # transformers raises whatever a config's values provoke
            text = " ".join(str(error).split())[:300]
            raise FlowProblem(f"{choice.model_class.__name__} cannot be built for {backend}: {text}.") from None
        found = inputs_of(model, model.config.to_dict())
        if found is None:
            raise FlowProblem(f"There is no recipe for the inputs of {choice.model_class.__name__} yet.")
        version = str(libraries.transformers.__version__)
        graph = _trace(torch, model, found, backend, version, FIRST)
        other = _trace(torch, model, found, backend, version, SECOND)
    return Recorded(graph, _doubt(graph, other))


def _trace(
    torch: Any, model: Any, found: dict[str, Input], backend: str, version: str, primes: tuple[int, ...]
) -> FlowGraph:
    names = dict.fromkeys(axis for entry in found.values() for axis in entry.axes if isinstance(axis, str))
    sizes = dict(zip(names, primes, strict=False))
    given = {
        name: torch.empty(
            [sizes[axis] if isinstance(axis, str) else axis for axis in entry.axes],
            dtype=torch.long if entry.kind == "int" else model.dtype,
            device="meta",
        )
        for name, entry in found.items()
    }
    recorder = Recorder(torch, model, given)
    try:
        with recording(torch, recorder), torch.device("meta"), standing_in(torch, recorder, model, backend):
            result = model(**given, **({} if "pixel_values" in given else {"use_cache": False}))
    except TooLong:
        raise FlowProblem("The forward has more operations than are recorded.") from None
    except Exception as error:
        text = " ".join(str(error).split())[:300]
        raise FlowProblem(f"The forward cannot be run on meta tensors: {type(error).__name__}: {text}.") from None
    outputs = {
        name: recorder.reference(value)
        for name, value in (result.items() if isinstance(result, dict) else ())
        if isinstance(value, torch.Tensor)
    }
    config = model.config.to_dict()
    return FlowGraph(
        type(model).__name__,
        backend,
        version,
        {name: list(entry.axes) for name, entry in found.items()},
        {name: entry.bound for name, entry in found.items()},
        recorder.nodes,
        recorder.guards,
        recorder.modules,
        outputs,
        recorder.assumed,
        frozenset(integers(config)),
    )


def integers(config: Any) -> set[int]:
    """Every integer of a config, however deep."""
    if isinstance(config, dict):
        return set().union(*map(integers, config.values())) if config else set()
    if isinstance(config, list | tuple):
        return set().union(*map(integers, config)) if config else set()
    return {config} if isinstance(config, int) and not isinstance(config, bool) else set()


def _doubt(graph: FlowGraph, other: FlowGraph) -> str:
    """Why the graph does not give what the second recording saw; "" where it does."""
    if [node.op for node in graph.nodes] != [node.op for node in other.nodes]:
        return "its forward has other operations at other sizes, as a loop over the sequence has"
    sizes = dict(zip(graph.symbols, SECOND, strict=False))
    moved = propagate(graph, sizes)
    if moved.conflict is not None:
        return f"{moved.conflict.op} at {moved.conflict.source} seems to fail where it does not"
    for node, found in zip(other.nodes, moved.nodes, strict=True):
        if not isinstance(found, str) and [value.shape for value in found] != node.shapes:
            return f"{node.op or 'a leaf'} at {node.source} comes out as {[v.shape for v in found]}, not {node.shapes}"
    return ""
