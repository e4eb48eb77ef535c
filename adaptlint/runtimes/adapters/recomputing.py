"""Checkpoints of a forward computed anew: what the backward of a training step does with a composition's channels.

`ModelAdaptersMixin.gradient_checkpointing_enable` (1.1.0 and later) gives each checkpoint the context of the forward,
as that one left it: the layer that made rows for every channel finds them made, and is given the texts alone. Layers
are computed anew from the last to the first. What they are given by position is kept by `save_for_backward`, which
refuses what was written in place since (torch 2.13, `torch.utils.checkpoint`); a mask that is resized in place
(`adjust_tensors_for_parallel_`) and given by name is as long as the channels from the start.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from adaptlint.dataflow.calls import Call, Stopped
from adaptlint.dataflow.changes import Changes
from adaptlint.dataflow.flow_graph import FlowGraph, Run
from adaptlint.dataflow.messages import raised_by
from adaptlint.dataflow.propagate import Calls, Results
from adaptlint.dataflow.value import Value
from adaptlint.hints import Any
from adaptlint.named_tuple import NamedTuple
from adaptlint.runtimes.adapters.judging import Composed, Outcome
from adaptlint.runtimes.adapters.walk import HubLayers

OVERWRITTEN, DIFFERENT, RAISES = "overwritten", "different", "raises"


class Again(NamedTuple):
    """How computing anew ends: `how` is one of the three above, `kind` and `text` those of an exception of its own."""

    how: str
    kind: str = ""
    text: str = ""


def computed_again(
    graph: FlowGraph, composed: Composed, outcome: Outcome, sizes: Mapping[str, int], positions: int
) -> Again | None:
    """The first layer, from the last on, that does not come out as it did; None where all do or nothing is known.

    Held against each other is what modules return: a mask that is longer from the start is no part of the gradients.

    `positions`: how many of the tensors that a layer resizes in place are given to it by position.
    """
    if outcome.moved is None or outcome.layers is None:
        return None
    resized: dict[tuple[str, int], Value] = {}
    for calls in outcome.moved.calls:
        run = graph.runs[calls.run]
        for number, _, value in _resized(graph, run, calls.results):
            resized[run.prefix, number] = value
    seen: set[tuple[object, ...]] = set()
    for calls in reversed(outcome.moved.calls):
        run = graph.runs[calls.run]
        if not run.prefix:
            continue  # no layer, and no checkpoint
        given = list(calls.given)
        for number, slot, _ in _resized(graph, run, calls.results):
            last, before = resized[run.prefix, number], given[slot]
            if isinstance(before, Value) and before.shape != last.shape:
                if number < positions:
                    return Again(OVERWRITTEN)
                given[slot] = last
        alike = (*given, *map(id, calls.results))  # results of layers that were given the same are the same objects
        if composed.setup.channels > 1 and alike not in seen:
            seen.add(alike)
            again = _again(graph, composed, outcome.layers, sizes, calls, given)
            if again is not None:
                return again
    return None


def _resized(graph: FlowGraph, run: Run, results: Results) -> Iterator[tuple[int, int, Value]]:
    """What a layer resizes in place: its number among such tensors, the number of the given value, as it is then."""
    for index, node in enumerate(graph.templates[run.template].nodes if run.prefix else ()):
        found = results[index]
        if node.kwargs.get("in_place") and not isinstance(found, str):
            for number, (argument, value) in enumerate(zip(node.args[1:], found, strict=False)):
                if isinstance(argument, dict) and argument["n"][0] < 0:
                    yield number, -1 - argument["n"][0], value


def _again(
    graph: FlowGraph, composed: Composed, before: HubLayers, sizes: Mapping[str, int], calls: Calls, given: list[Any]
) -> Again | None:
    layers = composed.layers()
    layers.contexts, layers.numbers, layers.takes = before.contexts, before.numbers, before.takes
    layers.shared = dict(before.shared)
    call = Call(graph, graph.runs[calls.run], calls.first, sizes, given, Changes(), layers)
    try:
        call.all()
    except Stopped as stop:
        return None if stop.conflict is None else Again(RAISES, *raised_by(stop.conflict))
    returned = {n for _, refs in call.template.modules for n, _ in refs if n >= 0}
    other = any(_shapes(calls.results[n]) != _shapes(call.results[n]) for n in returned)
    return Again(DIFFERENT) if other else None


def _shapes(found: Any) -> object:
    return None if isinstance(found, str) else [value.shape for value in found]
