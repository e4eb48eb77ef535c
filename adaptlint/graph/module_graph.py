"""The base as a networkx DiGraph, made on demand for analysis and export; no check needs it."""

from __future__ import annotations

from collections.abc import Iterator

from adaptlint.bases.module import KINDS
from adaptlint.findings import range_numbers
from adaptlint.hints import TYPE_CHECKING, Any
from adaptlint.named_tuple import NamedTuple

if TYPE_CHECKING:
    import networkx

    from adaptlint.bases import Base

ROOT = ""  # the path of the model itself

_RANGE_LETTERS = frozenset("0123456789-,")


class Knot(NamedTuple):
    """One node of a folded tree: `path` writes equal siblings as `{0-31}`.

    `name` is the last part of the path; `depth` is 0 for the model itself; `siblings` equal modules are folded here,
    and with repetition further up `total` modules in all.
    """

    path: str
    name: str
    depth: int
    siblings: int
    total: int
    cls: str
    kind: str
    params: dict[str, tuple[int, ...]]


def knots(tree: dict[str, Any]) -> Iterator[Knot]:
    """The nodes of a folded tree (`Base.tree`), parents before children."""
    yield from _below(tree, Knot(ROOT, "", 0, 1, 1, "", "", {}))


def _below(node: dict[str, Any], place: Knot) -> Iterator[Knot]:
    params = {param: tuple(shape) for param, shape in node.get("params", {}).items()}
    cls: str = node["class"]
    yield place._replace(cls=cls, kind=node.get("kind", cls if cls in KINDS else ""), params=params)
    for written, child in node.get("children", {}).items():
        siblings = len(range_numbers(written)) if _RANGE_LETTERS.issuperset(written) else 1
        name = f"{{{written}}}" if siblings > 1 else written.removeprefix("=")
        path = f"{place.path}.{name}" if place.path else name
        yield from _below(child, Knot(path, name, place.depth + 1, siblings, place.total * siblings, "", "", {}))


def folded_path(tree: dict[str, Any], path: str) -> str:
    """The path of the knot that a module belongs to: `layers.3.fc` -> `layers.{0-31}.fc`; KeyError for no module."""
    node, parts = tree, []
    for part in path.split(".") if path else []:
        written = _child(node, part)
        many = _RANGE_LETTERS.issuperset(written) and len(range_numbers(written)) > 1
        parts.append(f"{{{written}}}" if many else part)
        node = node["children"][written]
    return ".".join(parts)


def _child(node: dict[str, Any], part: str) -> str:
    for written in node.get("children", {}):
        if _RANGE_LETTERS.issuperset(written):
            if part.isdecimal() and int(part) in range_numbers(written):
                return str(written)
        elif written.removeprefix("=") == part:
            return str(written)
    raise KeyError(part)


def module_graph(base: Base, *, folded: bool = False) -> networkx.DiGraph:
    """Modules as nodes under their dotted paths ("" is the model), with parameter shapes and ties.

    Node attributes: `cls`, `kind`, `params` ({name: shape}), `count` (1 unless `folded`). Edge attributes: `contains`
    (parent to child) and `ties` ([(parameter, parameter)], from the owner of the one that `named_parameters()` yields
    to the owner of the other). With `folded` one node stands for all equal siblings and its path has `{0-31}` in it.
    """
    import networkx

    graph = networkx.DiGraph(model=base.ref, model_class=base.model_class or "", source=base.source)
    if folded:
        for knot in knots(base.tree):
            graph.add_node(knot.path, cls=knot.cls, kind=knot.kind, params=knot.params, count=knot.total)
    else:
        for module in (base.root, *base.modules):
            graph.add_node(module.path, cls=module.cls, kind=module.kind, params=module.params, count=1)
    for path in list(graph):
        if path != ROOT:
            graph.add_edge(path.rpartition(".")[0], path, contains=True, ties=[])
    for first, other in base.ties:
        start, end = (_owner(base, name, folded) for name in (first, other))
        if start is None or end is None:  # a lock written by hand may tie what is not there
            continue
        if not graph.has_edge(start, end):
            graph.add_edge(start, end, contains=False, ties=[])
        graph.edges[start, end]["ties"].append((first, other))
    return graph


def _owner(base: Base, parameter: str, folded: bool) -> str | None:
    """The node whose parameter this is, under the path that `named_modules()` has for it."""
    path = parameter.rpartition(".")[0]
    if path == ROOT:
        return ROOT
    module = base.by_path.get(path)
    if module is None:
        return None
    return folded_path(base.tree, module.path) if folded else module.path
