"""A recorded forward run again on other sizes, without torch: the shape of everything that its modules return.

Calls of a layer that are given the same as a call before give the same, so that depth costs nothing.
"""

from __future__ import annotations

from collections.abc import Mapping

from adaptlint.dataflow.calls import Call, FlowConflict, Layers, Stopped
from adaptlint.dataflow.changes import Changes
from adaptlint.dataflow.flow_graph import FlowGraph, Ref, Run, Shape, path_in
from adaptlint.dataflow.value import Value
from adaptlint.hints import Any
from adaptlint.named_tuple import NamedTuple

Outputs = tuple[Value, ...]
Results = list[Outputs | str]


class Calls(NamedTuple):
    """What `times` calls of a run from `first` on all give, node by node: outputs, or why they are not known."""

    run: int
    first: int
    times: int
    results: Results
    given: list[Value | str]


class Moved:
    """What a run gives: the model's outputs, and the first conflict; `calls` cover every node of the recording.

    Modules are told when they are asked for, since only that takes longer the more layers there are.
    """

    __slots__ = ("_told", "calls", "conflict", "graph", "outputs")

    def __init__(
        self, graph: FlowGraph, outputs: dict[str, Shape], conflict: FlowConflict | None, calls: list[Calls]
    ) -> None:
        self.graph = graph
        self.outputs = outputs
        self.conflict = conflict
        self.calls = calls
        self._told: tuple[dict[str, list[Shape]], dict[str, str]] | None = None

    @property
    def modules(self) -> dict[str, list[Shape]]:
        """Path -> shapes of everything that the module returned; those of equal layers share their lists."""
        return self._tell()[0]

    @property
    def unknown(self) -> dict[str, str]:
        """Path -> why nothing is known of what the module returned."""
        seen = {id(calls.results): calls.results for calls in self.calls}
        if not any(isinstance(result, str) for results in seen.values() for result in results):
            return {}
        return self._tell()[1]

    def _tell(self) -> tuple[dict[str, list[Shape]], dict[str, str]]:
        if self._told is None:
            self._told = {}, {}
            for calls in self.calls:
                _tell(self.graph, calls, *self._told)
        return self._told


def propagate(
    graph: FlowGraph, sizes: Mapping[str, int], changes: Changes | None = None, layers: Layers | None = None
) -> Moved:
    """The shapes under these sizes of the graph's symbols; KeyError for a symbol without a size.

    Without `layers`, those of an adapter library hand on what they are given.
    """
    walk = _Walk(graph, sizes, changes or Changes(), layers)
    conflict = walk.all()
    outputs: dict[str, Shape] = {}
    for name, (run, node, output) in graph.outputs.items():
        results = walk.last[run][node]
        if not isinstance(results, str):
            outputs[name] = results[output].shape
    return Moved(graph, outputs, conflict, walk.calls)


def _tell(graph: FlowGraph, calls: Calls, modules: dict[str, list[Shape]], unknown: dict[str, str]) -> None:
    """The modules that ended in these calls."""
    run = graph.runs[calls.run]
    layers = [run.layer(call) for call in range(calls.first, calls.first + (calls.times if run.step else 1))]
    for name, refs in graph.templates[run.template].modules:
        found = [calls.given[-1 - n] if n < 0 else calls.results[n] for n, _ in refs]
        missing = next((each for each in found if isinstance(each, str)), None)
        shapes = [] if missing else [_picked(each, o).shape for each, (_, o) in zip(found, refs, strict=True)]
        for path in (path_in(layer, name) for layer in layers) if name[:1] == "." else (name,):
            if isinstance(missing, str):
                unknown[path] = missing
            else:
                modules[path] = shapes


def _picked(found: Any, output: int) -> Value:
    value: Value = found if isinstance(found, Value) else found[output]
    return value


class _Walk:
    """Every run in turn; `last` has what its last call gave."""

    def __init__(
        self, graph: FlowGraph, sizes: Mapping[str, int], changes: Changes, layers: Layers | None = None
    ) -> None:
        self.graph = graph
        self.layers = layers
        self.sizes = sizes
        self.changes = changes
        self.last: list[Results] = []
        self.calls: list[Calls] = []
        self.own = [changes.of(run) for run in graph.runs]
        self.known: dict[tuple[object, ...], Results] = {}

    def all(self) -> FlowConflict | None:
        """Until a branch would have been another one, or an operation cannot be."""
        for number, run in enumerate(self.graph.runs):
            self.last.append([])
            try:
                self._run(number, run)
            except Stopped as stop:
                self._give_up(stop.reason)
                return stop.conflict
        return None

    def _run(self, number: int, run: Run) -> None:
        call, before = 0, None
        while call < run.times:
            given = [self._value(ref) for ref in (run.then if call else run.given)]
            own = self.own[number].get(call)
            state = self.layers.state(run.layer(call)) if self.layers is not None else None
            same = _alike(self.own[number], call, run.times) if self.layers is None else 1
            if before == (given, own, state) and self.calls:
                self.calls.append(self.calls[-1]._replace(first=call, times=same))
                call += same
                continue
            before = (list(given), own, state)
            key = (run.template, tuple(given), state)
            results = self.known.get(key) if own is None else None
            if results is not None:  # a call of another run was given the same
                self.last[number] = list(results)
                self.calls.append(Calls(number, call, 1, self.last[number], given))
            elif self._call(number, run, call, given, same) and own is None and self._is_as(state, run, call):
                self.known[key] = list(self.last[number])
            call += 1

    def _is_as(self, state: object, run: Run, call: int) -> bool:
        """Whether a call left the layers as they were."""
        return self.layers is None or self.layers.state(run.layer(call)) == state

    def _call(self, number: int, run: Run, call: int, given: list[Value | str], same: int) -> bool:
        """One call; the tensors that it wrote into are put back. True if it wrote into none."""
        refs = run.then if call else run.given
        changes = self.changes.joined(self.own[number].get(call))
        making = Call(self.graph, run, call, self.sizes, given, changes, self.layers)
        self.last[number] = making.results
        self.calls.append(Calls(number, call, 1, making.results, list(given)))
        try:
            making.all()
        except Stopped as stop:
            if stop.conflict is not None:
                layers = same if run.prefix and run.step else 1
                at = stop.conflict._replace(run=number, call=call, layers=layers, layer=run.layer(call))
                raise Stopped(stop.reason, at) from None
            raise
        for slot in making.written:
            self._put(refs[slot], given[slot])
        return not making.written

    def _value(self, ref: Ref) -> Value | str:
        run, node, output = ref
        results = self.last[run][node]
        return results if isinstance(results, str) else results[output]

    def _put(self, ref: Ref, value: Value | str) -> None:
        run, node, output = ref
        outputs = self.last[run][node]
        if not isinstance(outputs, str) and isinstance(value, Value):
            self.last[run][node] = (*outputs[:output], value, *outputs[output + 1 :])

    def _give_up(self, reason: str) -> None:
        """Nothing is known of what has not been reached."""
        number = len(self.last) - 1
        reached = self.calls[-1].first + self.calls[-1].times if self.calls and self.calls[-1].run == number else 0
        for later in range(number, len(self.graph.runs)):
            run = self.graph.runs[later]
            results: Results = [reason] * len(self.graph.templates[run.template].nodes)
            if later > number:
                self.last.append(results)
                reached = 0
            if reached < run.times:
                given: list[Value | str] = [reason] * len(run.given)
                self.calls.append(Calls(later, reached, run.times - reached, results, given))


def _alike(own: Mapping[int, Changes], call: int, times: int) -> int:
    """How many calls from this one on are changed in the same way."""
    if not own:
        return times - call
    end = call + 1
    while end < times and own.get(end) == own.get(call):
        end += 1
    return end - call
