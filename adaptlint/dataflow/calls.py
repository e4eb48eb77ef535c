"""One call of a template: its operations in order, on the values that it is given."""

from __future__ import annotations

import operator
from collections.abc import Mapping

from adaptlint.dataflow.changes import Changes, Resize
from adaptlint.dataflow.flow_graph import FlowGraph, Node, Run, Shape, Template, path_in, size_of
from adaptlint.dataflow.operations import apply, rule_of, survivor
from adaptlint.dataflow.value import Conflict, Unknown, Value
from adaptlint.hints import Any, Protocol
from adaptlint.named_tuple import NamedTuple

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
NESTED = frozenset({dict, list})  # arguments that stand for something else
LAYER = "hub."
RAISE = "raise"  # the operation of a conflict that the model's own code finds
WATCHED = ("scaled_dot_product_attention",)
ANOTHER = "another branch is taken"
UNCLEAR = "a module whose output is changed returns what it was given"


class Layers(Protocol):
    """Who says what the layers of an adapter library do with what they are given (nodes "hub.…", see wrapped.py)."""

    def state(self, layer: str) -> object:
        """All that its answers depend on in this layer, beside what they are given."""

    def outputs(self, op: str, module: str, args: list[Any], about: Mapping[str, Any]) -> tuple[Value, ...]:
        """What the operation returns. Raises Conflict with the exception's own name and text, Unknown where unsure."""

    def watch(self, module: str, args: list[Any], about: Mapping[str, Any]) -> tuple[Value, ...] | None:
        """See what attention is given, which may compute something else than is meant; its result if that is known."""


class FlowConflict(NamedTuple):
    """The first operation that cannot be: its name, module, source line, and both sides.

    `node` is its number in the template of run `run`, of which this is call `call`; `layers` says how many layers from
    this one on are changed in the same way.
    """

    op: str
    module: str
    source: str
    text: str
    operands: tuple[Shape, ...]
    node: int = 0
    run: int = 0
    call: int = 0
    layers: int = 1
    layer: str = ""
    kind: str = ""

    @property
    def folded(self) -> str:
        """The module with all layers that are changed alike: "model.layers.{0-31}.mlp"; "the model" for the root."""
        prefix, dot, first = self.layer.rpartition(".")
        if self.layers < 2 or not (self.module + ".").startswith(self.layer + "."):
            return self.module or "the model"
        numbers = f"{{{first}-{int(first) + self.layers - 1}}}"
        return f"{prefix}{dot}{numbers}{self.module[len(self.layer) :]}"


class Stopped(Exception):
    """Nothing after this is known: another branch is taken, or an operation raises (`conflict`)."""

    def __init__(self, reason: str, conflict: FlowConflict | None = None) -> None:
        super().__init__(reason)
        self.reason = reason
        self.conflict = conflict


class Call:
    """The results so far, node by node: outputs, or why they are not known.

    `written` are the given values that it changed, by their number.
    """

    def __init__(
        self,
        graph: FlowGraph,
        run: Run,
        call: int,
        sizes: Mapping[str, int],
        given: list[Value | str],
        changes: Changes,
        layers: Layers | None = None,
    ) -> None:
        self.graph = graph
        self.layers = layers
        self.template = graph.templates[run.template]
        self.layer = run.layer(call)
        self.sizes = sizes
        self.given = given
        self.changes = changes
        self.resized = _resized(self.template, changes)
        self.results: list[Any] = []
        self.written: set[int] = set()

    def all(self) -> None:
        """Every node in turn. Raises Stopped; `results` are then as long as ever, with the reason in the rest."""
        if any(index < 0 for index in self.resized):
            self._give_up(UNCLEAR, 0)
            raise Stopped(UNCLEAR)
        guards = iter(self.template.guards)
        guard = next(guards, None)
        nodes = self.template.nodes
        for index, node in enumerate(nodes):
            while guard is not None and guard.at <= index:
                self._hold(guard, index)
                guard = next(guards, None)
            try:
                outputs = self._outputs(node)
                for output, resize in self.resized.get(index, ()):
                    outputs = (*outputs[:output], resize.of(outputs[output], self.sizes), *outputs[output + 1 :])
                self.results.append(outputs)
            except Conflict as conflict:
                raise self._conflict(node, index, conflict) from None
            except Unknown as reason:
                self.results.append(str(reason))
        while guard is not None:
            self._hold(guard, 0)
            guard = next(guards, None)

    def _hold(self, guard: Any, known: int) -> None:
        """Stop, with only the first `known` results left, if a guard does not hold as it did."""
        try:
            held = COMPARISONS[guard.op](self._term(guard.left), self._term(guard.right))
            reason = f"{ANOTHER} at {guard.source}"
        except Unknown as unknown:
            held, reason = None, f"a branch at {guard.source} depends on what is not known: {unknown}"
        if held is not guard.held:
            self._give_up(reason, known)
            kind, _, text = guard.raises.partition(": ") if held is not None else ("", "", "")
            found = FlowConflict(RAISE, self.layer, guard.source, text, (), known, kind=kind)
            raise Stopped(reason, found if kind else None)

    def _conflict(self, node: Node, index: int, conflict: Conflict) -> Stopped:
        module = path_in(self.layer, node.module)
        reason = f"{node.op} in {module or 'the model'} fails before"
        self._give_up(reason, index)
        found = FlowConflict(node.op, module, node.source, conflict.text, conflict.operands, index, kind=conflict.kind)
        return Stopped(reason, found)

    def _give_up(self, reason: str, known: int) -> None:
        self.results[known:] = [reason] * (len(self.template.nodes) - known)

    def _outputs(self, node: Node) -> tuple[Value, ...]:
        if not node.op:
            return (self._leaf(node),)
        try:
            args = [self._argument(given) if type(given) in NESTED else given for given in node.args]
        except Unknown:
            kept = survivor(node.op, [self._argument(argument) for argument in node.args[:1]])
            if kept is None:
                raise
            self._write(node.args[0])
            return (kept,)
        kwargs = {name: self._argument(argument) for name, argument in node.kwargs.items()} if node.kwargs else {}
        if rule_of(node.op) is None:
            if self.layers is not None and node.op.startswith(LAYER):
                return self.layers.outputs(node.op, path_in(self.layer, node.module), args, kwargs)
            return self._as_recorded(node)
        if node.op == "embedding" and self.changes.leaves and args[0].bound is None and self._fewer_rows(node.args[1]):
            raise Unknown("how far the indices into a table with fewer rows reach is not known")
        found = None
        if self.layers is not None and node.op in WATCHED:
            found = self.layers.watch(path_in(self.layer, node.module), args, kwargs)
        if found is None:
            found = apply(node.op, args, kwargs)
        if node.op == "__setitem__" or (node.op.endswith("_") and not node.op.endswith("__")):
            self._write(node.args[0] if node.args else node.kwargs["tensor"])  # torch.nn.init names its tensor
        return found

    def _write(self, argument: Any) -> None:
        """A tensor that is written in place may hold larger numbers from then on."""
        n, o = argument["n"]
        value = self._value(n, o)._replace(bound=None)
        if n < 0:
            self.given[-1 - n] = value
            self.written.add(-1 - n)
        else:
            self.results[n] = (*self.results[n][:o], value, *self.results[n][o + 1 :])

    def _leaf(self, node: Node) -> Value:
        name = node.args[0] if node.args else ""
        axes = self.graph.inputs.get(name)
        if axes is None:
            return Value(self.changes.leaves.get(name, node.shapes[0]), node.kinds[0])
        shape = tuple(size_of(axis, self.sizes) for axis in axes)
        bound = self.graph.bounds.get(name)
        value = Value(shape, node.kinds[0], self.sizes[bound] if isinstance(bound, str) else bound)
        return self.changes.inputs[name].of(value, self.sizes) if name in self.changes.inputs else value

    def _fewer_rows(self, table: Any) -> bool:
        n, o = table["n"]
        leaf = self.template.nodes[n] if n >= 0 else None
        return leaf is not None and not leaf.op and self._value(n, o).shape[0] < leaf.shapes[0][0]

    def _as_recorded(self, node: Node) -> tuple[Value, ...]:
        """An operation without a rule keeps its shape while its inputs keep theirs."""
        taken = _tensors([*node.args, *node.kwargs.values()])
        shapes = [value.shape for n, o in taken for value in (self._values(n) if o < 0 else [self._value(n, o)])]
        if shapes != node.read:
            raise Unknown(f"{node.op} has no rule")
        return tuple(Value(shape, kind) for shape, kind in zip(node.shapes, node.kinds, strict=True))

    def _value(self, n: int, o: int) -> Value:
        found = self.given[-1 - n] if n < 0 else self.results[n]
        if isinstance(found, str):
            raise Unknown(found)
        value: Value = found if n < 0 else found[o]  # type: ignore[assignment]
        return value

    def _values(self, n: int) -> list[Value]:
        found = self.results[n]
        if isinstance(found, str):
            raise Unknown(found)
        return list(found)

    def _argument(self, argument: Any) -> Any:
        if isinstance(argument, dict):
            if "n" in argument:
                return self._value(*argument["n"])
            if "a" in argument:
                return self._values(argument["a"])
            if "e" in argument:
                return self._term(argument["e"])
            if "t" in argument:
                return tuple([self._argument(part) for part in argument["t"]])
            if "s" in argument:
                return slice(*[self._argument(part) for part in argument["s"]])
            return ... if "x" in argument else argument["o"]
        if isinstance(argument, list):
            return [self._argument(part) for part in argument]
        return argument

    def _term(self, term: Any) -> int:
        if isinstance(term, int):
            return term
        if term[0] == "size":
            size: int = self._value(term[1], term[2]).shape[term[3]]
            return size
        try:
            result: int = ARITHMETIC[term[0]](self._term(term[1]), self._term(term[2]))
        except ZeroDivisionError:
            raise Unknown("a size is divided by zero") from None
        return result


def _tensors(value: Any) -> list[tuple[int, int]]:
    if isinstance(value, list):
        return [ref for part in value for ref in _tensors(part)]
    if isinstance(value, dict) and "n" in value:
        return [(value["n"][0], value["n"][1])]
    if isinstance(value, dict) and "a" in value:
        return [(value["a"], -1)]  # all of them
    return _tensors(value["t"]) if isinstance(value, dict) and "t" in value else []


def _resized(template: Template, changes: Changes) -> dict[int, list[tuple[int, Resize]]]:
    """Nodes whose outputs are changed since a module returns them: node -> (output, change)."""
    found: dict[int, list[tuple[int, Resize]]] = {}
    for name, refs in template.modules if changes.modules else ():
        if name in changes.modules:
            for node, output in refs:
                found.setdefault(node, []).append((output, changes.modules[name]))
    return found
