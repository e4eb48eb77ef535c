"""What a recorded forward leaves: operations in the order in which they ran, as plain data.

Arguments are JSON: a tensor is {"n": [node, output]}, a list of all outputs of one node, however many they are,
{"a": node}, a size that came from a shape {"e": term}, a slice {"s": [start, stop, step]}, a tuple {"t": [...]}, an
ellipsis {"x": 0}, anything else that is no number or text {"o": its text}.

A term is an integer, ["size", node, output, axis], or [operator, left, right] with + - * // and %.
"""

from __future__ import annotations

from typing import Any, NamedTuple

FORMAT = 1
Shape = tuple[int, ...]
Term = Any


class Node(NamedTuple):
    """One operation, or a leaf (no `op`): an input, a parameter or a constant of a module.

    `shapes` are those of the outputs as they were recorded, `kinds` float, int, bool or complex.
    """

    op: str
    module: str
    source: str
    args: list[Any]
    kwargs: dict[str, Any]
    shapes: list[Shape]
    kinds: list[str]


class Guard(NamedTuple):
    """A comparison of sizes that Python made before node `at`: the forward that was recorded went on from `held`."""

    at: int
    left: Term
    op: str
    right: Term
    held: bool
    source: str


class FlowGraph(NamedTuple):
    """One forward of one class under one attention backend.

    `inputs` are the model's arguments with their axes (a symbol's name or a number) and the largest number in each,
    as a symbol or a number; `modules` and `outputs` say which node's output a module, or a field of the model's
    output, gave; `assumed` what was answered where a tensor's value was asked for.
    """

    model_class: str
    backend: str
    transformers: str
    inputs: dict[str, list[Any]]
    bounds: dict[str, Any]
    nodes: list[Node]
    guards: list[Guard]
    modules: dict[str, list[tuple[int, int]]]
    outputs: dict[str, tuple[int, int]]
    assumed: list[tuple[str, str]]
    constants: frozenset[int]

    @property
    def symbols(self) -> tuple[str, ...]:
        """The names of the sizes that an input may have, in order of their first use."""
        return tuple(dict.fromkeys(axis for axes in self.inputs.values() for axis in axes if isinstance(axis, str)))

    def to_json(self) -> dict[str, Any]:
        """The graph as JSON can hold it."""
        fields = self._asdict()
        return {**fields, "format": FORMAT, "constants": sorted(self.constants)}


def read_graph(value: dict[str, Any]) -> FlowGraph | None:
    """The graph that `to_json` wrote; None for another format."""
    if value.get("format") != FORMAT:
        return None
    fields = {name: value[name] for name in FlowGraph._fields}
    fields["nodes"] = [Node(*row)._replace(shapes=[tuple(shape) for shape in row[5]]) for row in value["nodes"]]
    fields["guards"] = [Guard(*row) for row in value["guards"]]
    fields["modules"] = {path: [(n, o) for n, o in refs] for path, refs in value["modules"].items()}
    fields["outputs"] = {name: (ref[0], ref[1]) for name, ref in value["outputs"].items()}
    fields["assumed"] = [(module, asked) for module, asked in value["assumed"]]
    fields["constants"] = frozenset(value["constants"])
    return FlowGraph(**fields)
