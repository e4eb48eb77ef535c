"""A flow as text: tree, dot, mermaid. Equal siblings are folded into one (`layers.{0-31}`); JSON lists every module.

Modules that are never called themselves (lists of layers) have no shapes: their names go before their children's.
"""

from __future__ import annotations

from collections.abc import Iterator

from adaptlint.dataflow.flow import ROOT
from adaptlint.findings import number_ranges
from adaptlint.graph.labels import mermaid_quoted, quoted
from adaptlint.hints import TYPE_CHECKING
from adaptlint.named_tuple import NamedTuple

if TYPE_CHECKING:
    from collections.abc import Sequence

    from adaptlint.dataflow.flow import Flow
    from adaptlint.dataflow.symbols import Dim


class Spot(NamedTuple):
    """Equal modules of one place in the tree: `name` below its parent, what is `said` of them, and what is `below`."""

    name: str
    said: str
    below: tuple[Spot, ...]


class _Node:
    """One module while the tree is built."""

    __slots__ = ("children", "said")

    def __init__(self) -> None:
        self.said = ""
        self.children: dict[str, _Node] = {}


def tree(flow: Flow) -> list[str]:
    """Lines of an indented tree with shapes; names stand in it as the model spells them. Reasons follow, each once."""
    lines = [f"{flow.model_class}  ({flow.attn}, forward from {flow.source})"]
    lines += [f"  {name}: {_shape(dims)}" for name, dims in flow.inputs.items()]
    lines += [f"  -> {name} {_shape(dims)}" for name, dims in flow.outputs.items()]
    root = spots(flow)
    if ROOT in flow.unknown:
        lines.append(f"  (the model itself) -> {root.said}")
    for depth, spot in _walk(root.below, 1):
        lines.append(f"{'  ' * depth}{spot.name} -> {spot.said}")
    return [*lines, *(f"{mark} {reason}" for reason, mark in _marks(flow).items())]


def dot(flow: Flow) -> list[str]:
    """Lines of a Graphviz digraph of the folded modules."""
    lines = ["digraph flow {", "  rankdir=LR;", '  node [shape=box, fontname="monospace"];']
    lines += [f"  n{number} [label={quoted(label)}];" for number, _, label in _nodes(flow)]
    lines += [f"  n{parent} -> n{number};" for number, parent, _ in _nodes(flow) if number]
    return [*lines, "}"]


def mermaid(flow: Flow) -> list[str]:
    """Lines of a Mermaid flowchart of the folded modules."""
    lines = ["flowchart LR"]
    lines += [f"  n{number}[{mermaid_quoted(label)}]" for number, _, label in _nodes(flow)]
    lines += [f"  n{parent} --> n{number}" for number, parent, _ in _nodes(flow) if number]
    return lines


def spots(flow: Flow) -> Spot:
    """The folded tree of the modules that the flow speaks of."""
    root = _Node()
    marks = _marks(flow)
    said = {path: ", ".join(map(_shape, shapes)) or "no tensor" for path, shapes in flow.modules.items()}
    said |= {path: f"? {marks[reason]}" for path, reason in flow.unknown.items()}
    for path, text in said.items():
        node = root
        for part in path.split(".") if path else []:
            node = node.children.setdefault(part, _Node())
        node.said = text
    return Spot("(model)", root.said, _folded(root.children))


def _folded(children: dict[str, _Node]) -> tuple[Spot, ...]:
    """Children as spots: equal ones with numbers for names as one, uncalled ones replaced by what is below them."""
    alike: dict[tuple[str, tuple[Spot, ...]], list[int]] = {}
    found: list[Spot] = []
    for name, child in children.items():
        spot = Spot(name, child.said, _folded(child.children))
        numbers = alike.setdefault((spot.said, spot.below), []) if _is_number(name) else []
        if not numbers:
            found.append(spot)
        if _is_number(name):
            numbers.append(int(name))
    lifted: list[Spot] = []
    for spot in found:
        numbers = alike[spot.said, spot.below] if _is_number(spot.name) else []
        name = f"{{{number_ranges(numbers)}}}" if len(numbers) > 1 else spot.name
        below = (one._replace(name=f"{name}.{one.name}") for one in spot.below)
        lifted += [spot._replace(name=name)] if spot.said else below
    return tuple(lifted)


def _is_number(name: str) -> bool:
    return name.isdecimal() and name.isascii() and len(name) < 9 and name == str(int(name))


def _walk(several: Sequence[Spot], depth: int) -> Iterator[tuple[int, Spot]]:
    for spot in several:
        yield depth, spot
        yield from _walk(spot.below, depth + 1)


def _nodes(flow: Flow) -> list[tuple[int, int, str]]:
    """Number, parent's number and label of every node; the model is 0 and its own parent."""
    nodes: list[tuple[int, int, str]] = []
    names = [f"{name} {_shape(dims)}" for name, dims in flow.outputs.items()]
    waiting = [(0, "", spots(flow))]
    reasons = {mark: reason for reason, mark in _marks(flow).items()}
    while waiting:
        parent, prefix, spot = waiting.pop()
        number = len(nodes)
        said = [f"? {reasons[spot.said[2:]]}"] if spot.said[:2] == "? " else [spot.said] if number else names
        path = f"{prefix}{spot.name}"
        nodes.append((number, parent, "\n".join([path, *said])))
        waiting += [(number, f"{path}." if number else "", one) for one in reversed(spot.below)]
    return nodes


def _marks(flow: Flow) -> dict[str, str]:
    """The reasons why modules are unknown, each with its mark: [1], [2] ..."""
    return {reason: f"[{number}]" for number, reason in enumerate(dict.fromkeys(flow.unknown.values()), start=1)}


def _shape(dims: Sequence[Dim]) -> str:
    return f"({', '.join(map(str, dims))})"
