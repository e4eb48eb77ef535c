"""One config's forward, recorded with its integers tagged: a graph in which they stand by name, and what Python asked.

`recorded` is all that knows of a library; whatever else gives such trials (models that another library wraps, another
release in an environment of its own) can be learnt from in the same way.
"""

from __future__ import annotations

import json
from typing import Any, NamedTuple

from adaptlint.bases.meta_build import silence
from adaptlint.bases.templates import evaluate
from adaptlint.dataflow.flow_graph import FlowGraph, Ref, Run
from adaptlint.dataflow.fold import fold
from adaptlint.dataflow.kernels import FLEX
from adaptlint.dataflow.load import FlowProblem
from adaptlint.dataflow.record import FIRST, Built, build, trace_at
from adaptlint.dataflow.shipped import ROPE, asked_of, names_of, power_of_two
from adaptlint.dataflow.tagged import TaggedInt, sized
from tests.dataflow.unfolding import apart
from tests.families.handed_on import handed_on
from tests.families.layer_tags import LayerTags, names_in
from tests.families.live import resolved

Raw = dict[str, Any]
MEASURED = ("arange", "interpolate", "linspace")  # operations whose floats are lengths
STRIDED = "as_strided"
NEAR_THE_END = 2  # what a layer hands on, whatever it did before
WIDTHS, LEAST = ("dim", "size", "embd"), 2
"""What widths are called, and one whose half no trial tells from other ones."""
SCALE = 0.5
"""Stands for every float: how much something is scaled changes no shape."""
WIDE, NARROW = "torch.float32", ("torch.bfloat16", "torch.float16")
"""The first stands for each: which of them a forward runs in is its user's choice, or that of one of its layers."""


class Refused(Exception):
    """No forward under this config; the text says why."""


class Trial(NamedTuple):
    """`config` is what may matter of the resolved one, `names` what formulas may use; `held` conditions in JSON.

    `made` are expressions of integers that the class made of floats, or ranges of: the sizes of its constants, or twice
    these. `powers` says of numbers of heads whether they are powers of two, where the backend asks for that;
    `masks` is filled by `flow_learning.masks_of`.
    """

    raw: Raw
    config: Raw
    names: dict[str, Any]
    graph: dict[str, Any]
    held: frozenset[str]
    made: list[Any]
    rope: Raw
    powers: dict[str, bool]
    masks: list[str]


class Recorder:
    """Trials of one class under one backend, with the inputs that its default config is recorded with."""

    def __init__(self, config_class: Any, name: str, backend: str, layered: frozenset[str]) -> None:
        self.config_class = config_class
        self.name = name
        self.backend = backend
        self.layered = layered
        self.inputs: list[str] | None = None
        self.by_index: set[str] = set()

    def trial(self, raw: Raw) -> Trial:
        """Raises Refused."""
        config = resolved(self.config_class, raw)
        if config is None:
            raise Refused("the config is refused")
        heads = [name for name, value in config.items() if type(value) is int and counts_heads(name)]
        powers = {name: power_of_two(config[name]) for name in heads if self.backend == FLEX}
        tags = LayerTags(self.by_index)
        try:
            with silence():
                built = self._with_inputs(build(raw, self.name, self.backend, tags))
                folded = fold(trace_at(built, {name: FIRST[name] for name in built.symbols}))
        except FlowProblem as problem:
            raise Refused(str(problem)) from None
        except Exception as error:  # transformers raises whatever a config's values provoke
            raise Refused(f"{type(error).__name__}: {error}") from None
        saved = set(built.model.state_dict())
        tags.settle()
        self.by_index |= tags.by_index
        each = {
            name for name, value in config.items() if isinstance(value, list) and len(value) in self._depths(config)
        }
        conditions = (self._condition(told, each) for told in tags.held)
        held = frozenset(json.dumps(condition) for condition in conditions if condition is not None)
        asked, rope = asked_of(config, raw, {}), config[ROPE] if isinstance(config.get(ROPE), dict) else {}
        names = names_of(asked, config, {})
        made = [json.loads(text) for text in dict.fromkeys(json.dumps(expression(term)) for term in tags.made)]
        if any(0 < evaluate(one, names) <= LEAST for one in made if any(word in json.dumps(one) for word in WIDTHS)):
            raise Refused("half of a width is one number, which may be of anything")
        graph = told(folded, saved, sizes_of(made, names))
        return Trial(raw, asked, names, graph, held, made, rope, powers, [])

    def live(self, raw: Raw) -> FlowGraph:
        """The graph as a live recording has it. Raises Refused."""
        try:
            with silence():
                built = self._with_inputs(build(raw, self.name, self.backend))
                return fold(trace_at(built, {name: FIRST[name] for name in built.symbols}))
        except FlowProblem as problem:
            raise Refused(str(problem)) from None
        except Exception as error:  # a config that a table covers and transformers refuses to make
            raise Refused(f"{type(error).__name__}: {error}") from None

    def _with_inputs(self, built: Built) -> Built:
        if self.inputs is None:
            return built
        recipe = next((one for one in built.recipes if list(one) == self.inputs), None)
        if recipe is None:
            raise Refused("other inputs are asked for")
        return built._replace(inputs=recipe)

    def _depths(self, config: Raw) -> set[int]:
        return {config[name] for name in self.layered if type(config.get(name)) is int}

    def _condition(self, comparison: tuple[Any, str, Any, bool], each: set[str]) -> Any:
        """As templates have it; None for a comparison of a number of layers with a layer's own number, and for one of
        an entry that a list in `each` has for every layer."""
        left, op, right, held = comparison
        names = names_in(left) | names_in(right)
        if not names or (names <= self.layered and (isinstance(left, int) or isinstance(right, int))):
            return None
        if any(name.rpartition(".")[0] in each for name in names):
            return None
        one, other = expression(left), expression(right)
        if op in ("==", "!="):
            condition: Any = ["=", one, other]
        else:
            condition = ["<", one, other] if op in ("<", ">=") else ["<", other, one]
        return condition if held is (op in ("==", "<", ">")) else ["not", condition]


def counts_heads(name: str) -> bool:
    """True for names of numbers of heads.

    transformers 5.23, integrations/flex_attention.py, asks a number of heads by its bits whether it is a power of two:
    no tag outlives that, so each answer is a path of its own.
    """
    return "head" in name and not any(word in name for word in ("dim", "size"))


def expression(term: Any) -> Any:
    """A term without sizes as templates have it."""
    if not isinstance(term, list):
        return term
    return term[1] if term[0] == "config" else [term[0], *map(expression, term[1:])]


def sizes_of(made: list[Any], names: dict[str, Any]) -> dict[int, Any]:
    """Size -> expression of the integers in `made`, and of their halves, as a rotary embedding has them."""
    found: dict[int, Any] = {}
    for one in [*made, *(["//", ["+", one, 1], 2] for one in made)]:
        found.setdefault(evaluate(one, names), {"$": one})
    return {size: one for size, one in found.items() if size > 1}


def told(graph: FlowGraph, saved: set[str], sizes: dict[int, Any]) -> dict[str, Any]:
    """A graph with a run for each call and the config's integers by name, less what the base's own table has.

    `sizes` are those that constants may have.
    """
    lengths = [len(template.nodes) for template in graph.templates]
    stacks, outputs = stacked(*apart(graph.runs, graph.outputs), lengths)
    templates = []
    layers: dict[int, str] = {}
    for run in graph.runs:
        layers.setdefault(run.template, run.layer(0))
    for number, template in enumerate(graph.templates):
        nodes = [_node(node, layers[number], saved | graph.inputs.keys(), sizes) for node in template.nodes]
        guards = [
            [g.at, _term(g.left), g.op, _term(g.right), g.held, g.source, *([g.raises] if g.raises else [])]
            for g in template.guards
        ]
        templates.append([nodes, guards, _plain(template.modules)])
    inputs = {name: [_whole(axis) for axis in axes] for name, axes in graph.inputs.items()}
    bounds = {name: _whole(bound) for name, bound in graph.bounds.items()}
    stacks, templates = handed_on(stacks, templates)
    value = {"inputs": inputs, "bounds": bounds, "stacks": stacks, "outputs": outputs}
    return {**_plain(value), "templates": templates}


def _node(node: Any, layer: str, known: set[str], sizes: dict[int, Any]) -> list[Any]:
    name = node.args[0] if not node.op and node.args else ""
    shapes: list[Any] = [*map(list, node.shapes)]
    if not node.op:
        shapes = [[sizes.get(dim, dim) for dim in shape] for shape in shapes]
    if name and (layer + name if name[0] == "." else name) in known:
        shapes = []
    kwargs = {key: _argument(value) for key, value in node.kwargs.items()}
    args, kwargs = shaping(node.op, _argument(node.args), kwargs)
    return [node.op, node.module, node.source, args, kwargs, _plain(shapes), _plain(node.kinds), _plain(node.read)]


def _plain(value: Any) -> Any:
    return json.loads(json.dumps(value))


def _whole(value: Any) -> Any:
    return {"$": expression(value.term)} if isinstance(value, TaggedInt) else value


def _term(term: Any) -> Any:
    if isinstance(term, int) or term[0] == "size":
        return term
    if not sized(term):
        return {"$": expression(term)} if names_in(term) else _number(expression(term))
    return [term[0], _term(term[1]), _term(term[2])]


def _number(value: Any) -> Any:
    if not isinstance(value, list):
        return value
    left, right = _number(value[1]), _number(value[2])
    return {"+": left + right, "-": left - right, "*": left * right}[value[0]]


def _argument(value: Any) -> Any:
    if isinstance(value, dict) and "e" in value:
        term = _term(value["e"])
        return term if isinstance(term, int) or (isinstance(term, dict) and "$" in term) else {"e": term}
    if isinstance(value, dict):
        return {key: _argument(part) for key, part in value.items()}
    if isinstance(value, list | tuple):
        return [_argument(part) for part in value]
    return value


def shaping(op: str, args: Any, kwargs: Any) -> tuple[Any, Any]:
    """Arguments less what no shape depends on: scales, and which numbers of a storage are taken."""
    if op == STRIDED:
        args, kwargs = args[:2], {**kwargs, **({"stride": None} if len(args) > 2 or "stride" in kwargs else {})}
    return (args, kwargs) if op in MEASURED else (without_floats(args), without_floats(kwargs))


def without_floats(value: Any) -> Any:
    """Arguments with one float for all, and one dtype of floats."""
    if isinstance(value, list):
        return [without_floats(part) for part in value]
    if isinstance(value, dict):
        return {key: without_floats(part) for key, part in value.items()}
    if isinstance(value, float):
        return SCALE
    return WIDE if value in NARROW else value


def stacked(calls: list[Run], outputs: dict[str, Ref], lengths: list[int]) -> tuple[list[Any], dict[str, Any]]:
    """Runs of one call each by the stack of layers that they are in: the inverse of `stacks.unstacked`."""
    stacks: list[Any] = []
    place: list[tuple[int, int]] = []
    for call in calls:
        if not (call.prefix and stacks and stacks[-1][0] == call.prefix):
            stacks.append([call.prefix, []])
        place.append((len(stacks) - 1, len(stacks[-1][1])))
        stacks[-1][1].append(call)

    def value(ref: Ref, own: int, at: int) -> list[Any]:
        stack, number = place[ref[0]]
        left = ref[1] - lengths[calls[ref[0]].template]
        node = left if left >= -NEAR_THE_END else ref[1]
        if stack == own and number == at - 1:
            return ["own", -1, node, ref[2]]
        last = stack != own and number == len(stacks[stack][1]) - 1
        return [stack, -1 if last else number, node, ref[2]]

    found = [
        [prefix, [[one.first, one.template, [value(ref, s, at) for ref in one.given]] for at, one in enumerate(inner)]]
        for s, (prefix, inner) in enumerate(stacks)
    ]
    return found, {name: value(ref, len(stacks), 0) for name, ref in outputs.items()}
