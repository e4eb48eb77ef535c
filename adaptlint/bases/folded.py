"""A module list folded into a tree: equal siblings with numeric names are one entry, "0-31" or "0,2,4-30".

A node is a JSON object: class, kind (left out where the class implies it), params, buffers, attrs, children (left
out where empty). Child names that would read as ranges are written behind "=".
"""

from __future__ import annotations

from collections.abc import Iterable

from adaptlint.bases.module import KINDS, Module
from adaptlint.findings import number_ranges, range_numbers
from adaptlint.hints import Any

Node = dict[str, Any]
_RANGE_LETTERS = frozenset("0123456789-,")
_Row = tuple[str, str, str, dict[str, tuple[int, ...]], dict[str, tuple[int, ...]], dict[str, Any]]


def fold_modules(modules: Iterable[Module]) -> Node:
    """Modules in `named_modules()` order, the root (path "") first, as one folded tree."""
    root: Node = {}
    nodes: dict[str, Node] = {"": root}
    for module in modules:
        node = nodes.get(module.path)
        if node is None:
            parent, _, name = module.path.rpartition(".")
            node = nodes[module.path] = {}
            nodes[parent].setdefault("children", {})[name] = node
        node.update(_own_fields(module))
    _fold_node(root, {})
    return root


def expand_tree(tree: Node) -> list[Module]:
    """The inverse of `fold_modules`. Raises ValueError, KeyError or TypeError for a tree that is none."""
    return [Module(*row) for row in _rows(tree, {})]


def find_node(tree: Node, path: str) -> Node | None:
    """The entry of a module in a folded tree; None if there is none of that path."""
    node: Node | None = tree
    for name in path.split(".") if path else ():
        node = _child(node, name) if node is not None else None
    return node


def _child(node: Node, name: str) -> Node | None:
    children: dict[str, Node] = node.get("children", {})
    if not _RANGE_LETTERS.issuperset(name):
        return children.get("=" + name if name[0] == "=" else name)
    if name in children:
        return children[name]
    number = int(name) if name.isdecimal() else -1
    return next((one for ranges, one in children.items() if _has(ranges, number)), None)


def _has(ranges: str, number: int) -> bool:
    if not _RANGE_LETTERS.issuperset(ranges):
        return False
    ends = (run.partition("-") for run in ranges.split(","))
    return any(int(first) <= number <= int(last or first) for first, _, last in ends)


def count_modules(tree: Node, limit: int) -> int:
    """How many modules the tree unfolds to, without unfolding it; counting stops above `limit`.

    Raises TypeError, ValueError, KeyError, AttributeError or RecursionError for a tree that is none.
    """
    if not isinstance(tree["class"], str) or not isinstance(tree.get("kind", ""), str):
        raise TypeError("class and kind are names")
    for field in ("params", "buffers"):
        for shape in tree.get(field, {}).values():
            if any(type(size) is not int or size < 0 for size in shape):
                raise TypeError("a shape is a list of sizes")
    if not isinstance(tree.get("attrs", {}), dict):
        raise TypeError("attrs is an object")
    total = 1
    for name, child in tree.get("children", {}).items():
        copies = _copies(name) if _RANGE_LETTERS.issuperset(name) else 1
        if copies > limit:
            return copies
        total += copies * count_modules(child, limit)
        if total > limit:
            break
    return total


def _copies(ranges: str) -> int:
    """How many numbers "0-2,5" names. Raises ValueError."""
    copies = 0
    for run in ranges.split(","):
        first, _, last = run.partition("-")
        copies += int(last or first) - int(first) + 1
    return copies


def _own_fields(module: Module) -> Node:
    fields: Node = {"class": module.cls}
    if module.kind != _implied_kind(module.cls):
        fields["kind"] = module.kind
    if module.params:
        fields["params"] = {name: list(shape) for name, shape in module.params.items()}
    if module.buffers:
        fields["buffers"] = {name: list(shape) for name, shape in module.buffers.items()}
    if module.attrs:
        fields["attrs"] = module.attrs
    return fields


def _implied_kind(cls: str) -> str:
    return cls if cls in KINDS else ""


def _fold_node(node: Node, known: dict[str, int]) -> int:
    """Fold below `node` in place; the number is equal for equal subtrees."""
    children: dict[str, Node] = node.pop("children", {})
    numbers = {name: _fold_node(child, known) for name, child in children.items()}
    key = repr((node, list(numbers.items())))
    if children:
        node["children"] = _fold_children(children, numbers)
    return known.setdefault(key, len(known))


def _fold_children(children: dict[str, Node], numbers: dict[str, int]) -> dict[str, Node]:
    folded: dict[str, Node] = {}
    run: list[str] = []
    for name in [*children, ""]:
        if name.isdecimal() and str(int(name)) == name and (not run or int(run[-1]) < int(name)):
            run.append(name)
            continue
        groups: dict[int, list[str]] = {}
        for member in run:
            groups.setdefault(numbers[member], []).append(member)
        for members in groups.values():
            folded[number_ranges(map(int, members))] = children[members[0]]
        run = []
        if name:
            folded["=" + name if name[0] == "=" or _RANGE_LETTERS.issuperset(name) else name] = children[name]
    return folded


def _rows(node: Node, done: dict[int, list[_Row]]) -> list[_Row]:
    """Rows of `node` and all below it, paths relative to it."""
    rows = done.get(id(node))
    if rows is not None:
        return rows
    cls: str = node["class"]
    params = {name: tuple(shape) for name, shape in node.get("params", {}).items()}
    buffers = {name: tuple(shape) for name, shape in node.get("buffers", {}).items()}
    rows = [("", cls, node.get("kind", _implied_kind(cls)), params, buffers, node.get("attrs", {}))]
    for name, child in _ordered_children(node.get("children", {})):
        below = _rows(child, done)
        rows.append((name, *below[0][1:]))
        rows += [(f"{name}.{row[0]}", *row[1:]) for row in below[1:]]
    done[id(node)] = rows
    return rows


def _ordered_children(children: dict[str, Node]) -> list[tuple[str, Node]]:
    ordered: list[tuple[str, Node]] = []
    run: list[tuple[int, Node]] = []
    for name, child in children.items():
        if _RANGE_LETTERS.issuperset(name):
            run += [(number, child) for number in range_numbers(name)]
            continue
        if run:
            ordered += [(str(number), node) for number, node in sorted(run, key=_number)]
            run = []
        ordered.append((name[1:] if name[0] == "=" else name, child))
    if run:
        ordered += [(str(number), node) for number, node in sorted(run, key=_number)]
    return ordered


def _number(entry: tuple[int, Node]) -> int:
    return entry[0]
