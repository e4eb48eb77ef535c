"""A recorded forward run again on other sizes, without torch: the shape of everything that its modules return."""

from __future__ import annotations

import operator
from collections.abc import Mapping
from typing import Any, NamedTuple

from adaptlint.dataflow.flow_graph import FlowGraph, Guard, Node, Shape
from adaptlint.dataflow.operations import apply, rule_of, survivor
from adaptlint.dataflow.value import Conflict, Unknown, Value

ARITHMETIC = {
    "+": operator.add,
    "-": operator.sub,
    "*": operator.mul,
    "//": operator.floordiv,
    "%": operator.mod,
}
COMPARISONS = {
    "==": operator.eq,
    "!=": operator.ne,
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
}
Outputs = tuple[Value, ...]


class FlowConflict(NamedTuple):
    """The first operation that cannot be: its name, module, source line, and both sides."""

    op: str
    module: str
    source: str
    text: str
    operands: tuple[Shape, ...]


class Moved(NamedTuple):
    """What a run gives: shapes by module and output, why others are not known, and the first conflict."""

    outputs: dict[str, Shape]
    modules: dict[str, list[Shape]]
    unknown: dict[str, str]
    conflict: FlowConflict | None
    nodes: list[Outputs | str]


def propagate(graph: FlowGraph, sizes: dict[str, int], leaves: Mapping[str, Shape] | None = None) -> Moved:
    """The shapes under these sizes of the graph's symbols; KeyError for a symbol without a size.

    `leaves` gives parameters and buffers other shapes by name: a pruned width, a bigger vocabulary.
    """
    run = _Run(graph, sizes, leaves or {})
    conflict = run.walk()
    outputs = {
        name: run.found[n][o].shape for name, (n, o) in graph.outputs.items() if not isinstance(run.found[n], str)
    }
    modules: dict[str, list[Shape]] = {}
    unknown: dict[str, str] = {}
    for path, refs in graph.modules.items():
        missing = next((run.found[n] for n, _ in refs if isinstance(run.found[n], str)), None)
        if isinstance(missing, str):
            unknown[path] = missing
        else:
            modules[path] = [run.found[n][o].shape for n, o in refs]
    return Moved(outputs, modules, unknown, conflict, run.found)


class _Run:
    """The values found so far: each node's outputs, or why they are not known."""

    def __init__(self, graph: FlowGraph, sizes: dict[str, int], leaves: Mapping[str, Shape]) -> None:
        self.graph = graph
        self.sizes = sizes
        self.leaves = leaves
        self.found: list[Any] = []
        self.guards: list[Guard] = list(reversed(graph.guards))

    def walk(self) -> FlowConflict | None:
        """Every node in turn, until a branch would have been another one, or an operation cannot be."""
        for index, node in enumerate(self.graph.nodes):
            broken = self._broken(index)
            if broken:
                self._give_up(broken)
                return None
            try:
                self.found.append(self._outputs(node))
            except Conflict as conflict:
                self._give_up(f"{node.op} in {node.module or 'the model'} fails before")
                return FlowConflict(node.op, node.module, node.source, conflict.text, conflict.operands)
            except Unknown as reason:
                self.found.append(str(reason))
        broken = self._broken(len(self.graph.nodes))
        if broken:
            self.found = [broken] * len(self.found)
        return None

    def _give_up(self, reason: str) -> None:
        self.found += [reason] * (len(self.graph.nodes) - len(self.found))

    def _broken(self, index: int) -> str:
        """The first guard before this node that does not hold as it did, in words."""
        while self.guards and self.guards[-1].at <= index:
            guard = self.guards.pop()
            try:
                held = COMPARISONS[guard.op](self._term(guard.left), self._term(guard.right))
            except Unknown as reason:
                return f"a branch at {guard.source} depends on what is not known: {reason}"
            if held != guard.held:
                return f"another branch is taken at {guard.source}"
        return ""

    def _outputs(self, node: Node) -> Outputs:
        if not node.op:
            return (self._leaf(node),)
        try:
            args = [self._argument(argument) for argument in node.args]
        except Unknown:
            kept = survivor(node.op, [self._argument(argument) for argument in node.args[:1]])
            if kept is None:
                raise
            self._written(node)
            return (kept,)
        kwargs = {name: self._argument(argument) for name, argument in node.kwargs.items()}
        if rule_of(node.op) is None:
            return self._as_recorded(node)
        found = apply(node.op, args, kwargs)
        if node.op == "__setitem__" or (node.op.endswith("_") and not node.op.endswith("__")):
            self._written(node)
        return found

    def _written(self, node: Node) -> None:
        """A tensor that is written in place may hold larger numbers from then on."""
        for n, o in _references(node.args[:1]):
            outputs = list(self.found[n])
            outputs[o] = outputs[o]._replace(bound=None)
            self.found[n] = tuple(outputs)

    def _leaf(self, node: Node) -> Value:
        name = node.args[0] if node.args else ""
        if name not in self.graph.inputs:
            return Value(self.leaves.get(name, node.shapes[0]), node.kinds[0])
        axes = self.graph.inputs[name]
        shape = tuple(self.sizes[axis] if isinstance(axis, str) else axis for axis in axes)
        bound = self.graph.bounds.get(name)
        return Value(shape, node.kinds[0], self.sizes[bound] if isinstance(bound, str) else bound)

    def _as_recorded(self, node: Node) -> Outputs:
        """An operation without a rule keeps its shape while its inputs keep theirs."""
        for n, o in _references([*node.args, *node.kwargs.values()]):
            found = self.found[n]
            if isinstance(found, str):
                raise Unknown(found)
            recorded = self.graph.nodes[n].shapes
            if [value.shape for value in found] != recorded if o < 0 else found[o].shape != recorded[o]:
                raise Unknown(f"{node.op} has no rule")
        return tuple(Value(shape, kind) for shape, kind in zip(node.shapes, node.kinds, strict=True))

    def _argument(self, argument: Any) -> Any:
        if isinstance(argument, list):
            return [self._argument(part) for part in argument]
        if not isinstance(argument, dict):
            return argument
        if "n" in argument:
            n, o = argument["n"]
            found = self.found[n]
            if isinstance(found, str):
                raise Unknown(found)
            return found[o]
        if "a" in argument:
            found = self.found[argument["a"]]
            if isinstance(found, str):
                raise Unknown(found)
            return list(found)
        if "e" in argument:
            return self._term(argument["e"])
        if "t" in argument:
            return tuple(self._argument(part) for part in argument["t"])
        if "s" in argument:
            return slice(*[self._argument(part) for part in argument["s"]])
        return ... if "x" in argument else argument["o"]

    def _term(self, term: Any) -> int:
        if isinstance(term, int):
            return term
        if term[0] == "size":
            _, n, o, axis = term
            found = self.found[n]
            if isinstance(found, str):
                raise Unknown(found)
            size: int = found[o].shape[axis]
            return size
        try:
            result: int = ARITHMETIC[term[0]](self._term(term[1]), self._term(term[2]))
        except ZeroDivisionError:
            raise Unknown("a size is divided by zero") from None
        return result


def _references(value: Any) -> list[tuple[int, int]]:
    if isinstance(value, list):
        return [ref for part in value for ref in _references(part)]
    if isinstance(value, dict) and "n" in value:
        return [(value["n"][0], value["n"][1])]
    if isinstance(value, dict) and "a" in value:
        return [(value["a"], -1)]  # all of them
    return _references(value["t"]) if isinstance(value, dict) and "t" in value else []
