"""What a recorded forward is kept as: operations as plain data, those of repeated layers once.

A template holds the operations of one call of a layer (or those between layers); a run says how often it is called,
one call after the other, and where each call's values from outside come from. Arguments are JSON: a tensor is
{"n": [node, output]}, a list of all outputs of one node, however many they are, {"a": node}, a size that came from a
shape {"e": term}, a slice {"s": [start, stop, step]}, a tuple {"t": [...]}, an ellipsis {"x": 0}, anything else that is
no number or text {"o": its text}.

A node is its index in the template; -1, -2 ... are the values that the call is given. A term is an integer,
["size", node, output, axis], ["config", field, ...] or [operator, left, right] with + - * // and %. Names that begin
with a dot are below the layer: ".self_attn" in `model.layers.3` is `model.layers.3.self_attn`, and "." is the layer.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from adaptlint.hints import Any
from adaptlint.named_tuple import NamedTuple

FORMAT = 2
Shape = tuple[int, ...]
Term = Any
Ref = tuple[int, int, int]  # run (its last call), node, output


class Node(NamedTuple):
    """One operation, or a leaf (no `op`): an input, a parameter or a constant of a module.

    `shapes` and `kinds` (float, int, bool, complex) of the outputs are those that were recorded. They are kept only
    for leaves and for operations without a rule; for the latter `read` has the shapes of the tensors that they took.
    """

    op: str
    module: str
    source: str
    args: list[Any]
    kwargs: dict[str, Any]
    shapes: list[Shape]
    kinds: list[str]
    read: list[Shape]


class Guard(NamedTuple):
    """A comparison of sizes that Python made before node `at`: the forward that was recorded went on from `held`.

    `raises` is what the model's own code raises otherwise, "ValueError: the beginning of its text", where it does.
    """

    at: int
    left: Term
    op: str
    right: Term
    held: bool
    source: str
    raises: str = ""


class Template(NamedTuple):
    """The operations of one call; `modules` ended in it, with the (node, output) of everything they returned."""

    nodes: list[Node]
    guards: list[Guard]
    modules: list[tuple[str, list[tuple[int, int]]]]


class Run(NamedTuple):
    """`times` calls of a template, of layers `first`, `first + step` ... below `prefix`.

    `given` are the values that the first call is given, `then` those of every later one; of its own run a call means
    the call before it. `prefix` is "" for what lies between layers.
    """

    template: int
    prefix: str
    first: int
    times: int
    step: int
    given: list[Ref]
    then: list[Ref]

    def layer(self, call: int) -> str:
        """The path of the layer that a call runs."""
        return f"{self.prefix}{self.first + call * self.step}" if self.prefix else ""


class FlowGraph(NamedTuple):
    """One forward of one class under one attention backend.

    `inputs` are the model's arguments with their axes (a symbol's name or a number) and the largest number in each,
    as a symbol or a number; `outputs` say which value a field of the model's output is; `assumed` what was answered
    where a tensor's value was asked for.
    """

    model_class: str
    backend: str
    transformers: str
    inputs: dict[str, list[Any]]
    bounds: dict[str, Any]
    templates: list[Template]
    runs: list[Run]
    outputs: dict[str, Ref]
    assumed: list[tuple[str, str]]
    constants: frozenset[int]

    @property
    def symbols(self) -> tuple[str, ...]:
        """The names of the sizes that an input may have, in order of their first use."""
        return symbols_of(axis for axes in self.inputs.values() for axis in axes)

    def to_json(self) -> dict[str, Any]:
        """The graph as JSON can hold it."""
        return {**self._asdict(), "format": FORMAT, "constants": sorted(self.constants)}


def symbols_of(axes: Iterable[int | str]) -> tuple[str, ...]:
    """The symbols in axes, which are numbers, symbols or sums of symbols ("prefix + seq"), in order of first use."""
    return tuple(dict.fromkeys(part for axis in axes if isinstance(axis, str) for part in axis.split(" + ")))


def size_of(axis: int | str, sizes: Mapping[str, int]) -> int:
    """How long an axis is under these sizes. KeyError for a symbol without one."""
    return axis if isinstance(axis, int) else sum(sizes[part] for part in axis.split(" + "))


def integers(config: Any) -> set[int]:
    """Every integer of a config, however deep."""
    if isinstance(config, dict):
        return set().union(*map(integers, config.values())) if config else set()
    if isinstance(config, list | tuple):
        return set().union(*map(integers, config)) if config else set()
    return {int(config)} if isinstance(config, int) and not isinstance(config, bool) else set()


def path_in(layer: str, name: str) -> str:
    """The full path of a name in a template."""
    return layer if name == "." else layer + name if name.startswith(".") else name


def read_graph(value: dict[str, Any]) -> FlowGraph | None:
    """The graph that `to_json` wrote; None for another format."""
    if value.get("format") != FORMAT:
        return None
    fields = {name: value[name] for name in FlowGraph._fields}
    fields["templates"] = [
        Template([_node(row) for row in nodes], [Guard(*row) for row in guards], modules)
        for nodes, guards, modules in value["templates"]
    ]
    fields["runs"] = [Run(*row) for row in value["runs"]]
    fields["constants"] = frozenset(value["constants"])
    return FlowGraph(**fields)


def _node(row: list[Any]) -> Node:
    op, module, source, args, kwargs, shapes, kinds, read = row
    return Node(op, module, source, args, kwargs, [*map(tuple, shapes)], kinds, [*map(tuple, read)])
