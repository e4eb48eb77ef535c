"""A recording folded over repeated layers: equal calls of a layer become one template and a run.

A layer is what lies below the first number in a module's path (`model.layers.3`, `encoder.block.0`).
"""

from __future__ import annotations

import json
from itertools import groupby

from adaptlint.dataflow.flow_graph import FlowGraph, Guard, Node, Ref, Run, Template
from adaptlint.dataflow.operations import rule_of
from adaptlint.dataflow.recording import Recording
from adaptlint.dataflow.runs import joined
from adaptlint.hints import Any
from adaptlint.named_tuple import NamedTuple

Value = tuple[int, int]  # node of the recording, output


class _Segment(NamedTuple):
    """Neighbouring nodes of one call of one layer; `given` are the values from outside that it takes, in order."""

    template: int
    layer: str
    given: list[Value]


def fold(recording: Recording) -> FlowGraph:
    """The graph of a recording. Nothing is lost but the shapes that rules give again."""
    folder = _Folder(recording)
    templates, segments = folder.segments()
    calls = []
    for segment in segments:
        prefix, dot, last = segment.layer.rpartition(".")
        given = [folder.ref(n, o) for n, o in segment.given]
        calls.append(Run(segment.template, prefix + dot, int(last) if segment.layer else 0, 1, 1, given, []))
    outputs = {name: folder.ref(n, o) for name, (n, o) in recording.outputs.items()}
    runs, outputs = joined(calls, outputs)
    return FlowGraph(
        recording.model_class,
        recording.backend,
        recording.transformers,
        recording.inputs,
        recording.bounds,
        templates,
        runs,
        outputs,
        recording.assumed,
        recording.constants,
    )


class _Folder:
    """Which segment every node is in, and how its arguments read there."""

    def __init__(self, recording: Recording) -> None:
        self.recording = recording
        self.starts: list[int] = []
        self.segment_of: list[int] = []
        for segment, (_, group) in enumerate(groupby(recording.places)):
            self.starts.append(len(self.segment_of))
            self.segment_of += [segment for _ in group]
        self.guards: list[list[Guard]] = [[] for _ in self.starts]
        for guard, at in zip(recording.guards, recording.guard_places, strict=True):
            self.guards[self.segment_at(guard.at, at)].append(guard)
        self.modules: list[list[tuple[str, list[Value]]]] = [[] for _ in self.starts]
        for path, (refs, after, at) in recording.modules.items():
            self.modules[self.segment_at(after, at)].append((path, refs))

    def segment_at(self, after: int, place: tuple[str, int]) -> int:
        """The segment of what happened before node `after`: that of its own call, if it has one beside it."""
        places = self.recording.places
        inside = after > 0 and (after == len(places) or places[after - 1] == place or places[after] != place)
        return self.segment_of[after - 1 if inside else after]

    def ref(self, n: int, o: int) -> Ref:
        """A value by its segment, and its node there."""
        segment = self.segment_of[n]
        return segment, n - self.starts[segment], o

    def segments(self) -> tuple[list[Template], list[_Segment]]:
        """Every segment, and the templates that they share."""
        known: dict[str, int] = {}
        templates: list[Template] = []
        found: list[_Segment] = []
        for segment, start in enumerate(self.starts):
            layer = self.recording.places[start][0]
            template, given = self.template(segment, layer)
            text = json.dumps(template, default=str)
            number = known.setdefault(text, len(templates))
            if number == len(templates):
                templates.append(template)
            found.append(_Segment(number, layer, given))
        return templates, found

    def template(self, segment: int, layer: str) -> tuple[Template, list[Value]]:
        """A segment's operations in its own terms."""
        start = self.starts[segment]
        end = self.starts[segment + 1] if segment + 1 < len(self.starts) else len(self.segment_of)
        given: dict[Value, int] = {}
        nodes = [self.node(node, layer, start, given) for node in self.recording.nodes[start:end]]
        guards: dict[str, Guard] = {}
        for guard in self.guards[segment]:
            left, right = (term_at(term, start, given) for term in (guard.left, guard.right))
            told = guard._replace(at=min(max(guard.at - start, 0), end - start), left=left, right=right)
            guards.setdefault(json.dumps([left, guard.op, right]), told)
        modules = [
            (below(path, layer), [value_at(n, o, start, given) for n, o in refs])
            for path, refs in self.modules[segment]
        ]
        return Template(nodes, [*guards.values()], modules), [*given]

    def node(self, node: Node, layer: str, start: int, given: dict[Value, int]) -> Node:
        """One operation; what its rule gives again is left out."""
        args = [argument_at(argument, start, given) for argument in node.args]
        if not node.op:
            return node._replace(module=below(node.module, layer), args=[below(name, layer) for name in node.args])
        kwargs = {name: argument_at(value, start, given) for name, value in node.kwargs.items()}
        told = node._replace(module=below(node.module, layer), args=args, kwargs=kwargs)
        if rule_of(node.op) is not None:
            return told._replace(shapes=[], kinds=[])
        taken = references([*node.args, *node.kwargs.values()])
        return told._replace(read=[self.recording.nodes[n].shapes[o] for n, o in taken])


def below(path: str, layer: str) -> str:
    """A path as it is named in a template: relative to the layer, where it lies in it."""
    if not layer or not (path == layer or path.startswith(layer + ".")):
        return path
    return path[len(layer) :] or "."


def value_at(n: int, o: int, start: int, given: dict[Value, int]) -> Value:
    """A value's name in a segment that starts at a node: its index there, or the number of a given one below zero."""
    if n >= start:
        return n - start, o
    return -1 - given.setdefault((n, o), len(given)), 0


def term_at(term: Any, start: int, given: dict[Value, int]) -> Any:
    """A term with its values renamed."""
    if not isinstance(term, list) or term[0] == "config":
        return term
    if term[0] == "size":
        return ["size", *value_at(term[1], term[2], start, given), term[3]]
    return [term[0], *(term_at(part, start, given) for part in term[1:])]


def argument_at(argument: Any, start: int, given: dict[Value, int]) -> Any:
    """An argument with its values renamed."""
    if isinstance(argument, list):
        return [argument_at(part, start, given) for part in argument]
    if not isinstance(argument, dict):
        return argument
    if "n" in argument:
        n, o = argument["n"]
        return {"n": list(value_at(n, o, start, given))}
    if "a" in argument:
        return {"a": argument["a"] - start} if argument["a"] >= start else argument_at(argument["o"], start, given)
    if "e" in argument:
        return {"e": term_at(argument["e"], start, given)}
    return {key: argument_at(part, start, given) for key, part in argument.items()}


def references(value: Any) -> list[Value]:
    """The tensors among arguments, in order."""
    if isinstance(value, list):
        return [ref for part in value for ref in references(part)]
    if isinstance(value, dict) and "n" in value:
        return [(value["n"][0], value["n"][1])]
    if isinstance(value, dict) and "a" in value:
        return references(value["o"])
    return references(value["t"]) if isinstance(value, dict) and "t" in value else []
