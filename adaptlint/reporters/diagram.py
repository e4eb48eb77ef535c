"""A composition as boxes and lines with the shapes along them: positions for a drawing, from the report's own nodes."""

from __future__ import annotations

from collections.abc import Mapping

from adaptlint.findings import Report
from adaptlint.hints import Any
from adaptlint.named_tuple import NamedTuple
from adaptlint.reporters.showing import shown

WIDTH, HEIGHT, GAP_X, GAP_Y, MARGIN = 190, 52, 26, 74, 14
MOST_NODES = 60  # more than that is no drawing
BREAKS = "the forward breaks here"
LETTER = 8  # pixels
LONGEST = 80  # characters of a label
LINE = 24  # characters that fit into a box


class Box(NamedTuple):
    """A node: its upper left corner, a word and a name; `kind` is input, block, adapter, site or output."""

    x: int
    y: int
    kind: str
    title: str
    name: str


class Edge(NamedTuple):
    """Shapes on their way into a box; `conflict` has the words of what goes wrong there.

    Lines come from every one of `starts` and end in one point: what comes out of a composition comes from its leaves.
    """

    starts: tuple[tuple[int, int], ...]
    x: int
    y: int
    label: str
    conflict: str
    source: str
    end: str
    at_foot: bool

    @property
    def label_at(self) -> tuple[int, int]:
        """Where its label stands: in the middle of a line, below the box where lines from all leaves meet."""
        if self.at_foot:
            return self.x, self.y + HEIGHT + 18
        return (self.starts[0][0] + self.x) // 2, (self.starts[0][1] + self.y) // 2 + 4


class Diagram(NamedTuple):
    """A drawing of `width` x `height` whose left edge is at `left`."""

    left: int
    width: int
    height: int
    boxes: tuple[Box, ...]
    edges: tuple[Edge, ...]

    @property
    def broken(self) -> bool:
        """True if something goes wrong on one of its edges."""
        return any(edge.conflict for edge in self.edges)


def diagram(report: Report) -> Diagram | None:
    """The report's composition, with the model's inputs above and its outputs below; None where there is none."""
    drawn = report.composition
    nodes = {str(node["id"]): node for node in _listed(drawn, "nodes")}
    if not nodes or len(nodes) > MOST_NODES:
        return None
    links = [(str(e["from"]), str(e["to"]), e.get("dims"), e.get("conflict")) for e in _listed(drawn, "edges")]
    root = next(iter(nodes))
    shapes = report.shapes or {}
    for end, key in (("inputs", "inputs"), ("outputs", "outputs")):
        told = shapes.get(key)
        if isinstance(told, Mapping) and told:
            nodes[end] = {"id": end, "kind": end, "adapter": ", ".join(map(str, told))}
            first = next(iter(told.values()))
            links.insert(0, ("inputs", root, first, None)) if end == "inputs" else links.append(
                (root, "outputs", first, None)
            )
    return _placed(nodes, links, root)


def _listed(drawn: Mapping[str, object] | None, name: str) -> list[dict[str, Any]]:
    found = (drawn or {}).get(name)
    return [entry for entry in found if isinstance(entry, dict)] if isinstance(found, (list, tuple)) else []


def _placed(nodes: dict[str, dict[str, Any]], links: list[tuple[str, str, Any, Any]], root: str) -> Diagram:
    """A tree from the root down, leaves side by side; what comes in stands above, what goes out or breaks below."""
    children: dict[str, list[str]] = {}
    for source, end, _, _ in links:
        if source in nodes and end in nodes and source != "inputs" and end not in ("outputs", "site"):
            children.setdefault(source, []).append(end)
    top = 1 if "inputs" in nodes else 0
    spots: dict[str, tuple[float, int]] = {}
    leaves = [0]

    def place(node: str, level: int) -> float:
        if node in spots:
            return spots[node][0]
        spots[node] = (0.0, level)
        columns = [place(child, level + 1) for child in children.get(node, ())]
        if columns:
            column = (columns[0] + columns[-1]) / 2
        else:
            column = float(leaves[0])
            leaves[0] += 1
        spots[node] = (column, level)
        return column

    place(root, top)
    deepest = max(level for _, level in spots.values())
    below = [name for name in ("site", "outputs") if name in nodes]
    centre = spots[root][0]
    for number, name in enumerate(below):
        spots[name] = (centre + (number - (len(below) - 1) / 2) * 1.1, deepest + 1)
    if top:
        spots["inputs"] = (centre, 0)
    ends = [name for name in spots if name != "inputs" and name not in below and not children.get(name)]
    return _drawn(nodes, links, spots, ends)


def _drawn(
    nodes: dict[str, dict[str, Any]],
    links: list[tuple[str, str, Any, Any]],
    spots: dict[str, tuple[float, int]],
    leaves: list[str],
) -> Diagram:
    """Boxes in columns and levels as pixels; what leaves the tree at its foot leaves from all of its `leaves`."""
    least = min(column for column, _ in spots.values())
    most = max(column for column, _ in spots.values())
    deepest = max(level for _, level in spots.values())

    def corner(name: str) -> tuple[int, int]:
        column, level = spots[name]
        return MARGIN + int((column - least) * (WIDTH + GAP_X)), MARGIN + level * (HEIGHT + GAP_Y)

    boxes = []
    for name, (_, _) in spots.items():
        node = nodes[name]
        kind = str(node.get("kind") or "")
        told = node.get("adapter") or node.get("module") or ""
        known = kind if kind in ("inputs", "outputs", "adapter", "site") else "block"
        boxes.append(Box(*corner(name), known, _cut(kind), _cut(str(told))))
    edges = []
    for source, end, dims, conflict in links:
        if source in spots and end in spots:
            said = shown(str(conflict or BREAKS)) if conflict or end == "site" else ""
            x, y = corner(end)
            at_foot = end in ("site", "outputs")
            ends = [corner(start) for start in (leaves if at_foot else [source])]
            starts = tuple((left + WIDTH // 2, upper + HEIGHT) for left, upper in ends)
            words = (_dims(dims)[:LONGEST], said, _name(nodes[source]), _name(nodes[end]))
            edges.append(Edge(starts, x + WIDTH // 2, y, *words, at_foot))
    halves = [(edge.label_at[0], (len(edge.label) + 2) * LETTER // 2 + MARGIN) for edge in edges]
    left = min([0, *(centre - half for centre, half in halves)])
    right = max([2 * MARGIN + int((most - least) * (WIDTH + GAP_X)) + WIDTH, *(c + half for c, half in halves)])
    height = 2 * MARGIN + deepest * (HEIGHT + GAP_Y) + HEIGHT + (24 if any(edge.at_foot for edge in edges) else 0)
    return Diagram(left, right - left, height, tuple(boxes), tuple(edges))


def _name(node: dict[str, Any]) -> str:
    return shown(" ".join(str(part) for part in (node.get("kind"), node.get("adapter") or node.get("module")) if part))


def _cut(text: str) -> str:
    text = shown(text)
    return text if len(text) <= LINE else text[: LINE - 1] + "\u2026"


def _dims(dims: Any) -> str:
    """Shapes as text: "[2*batch, seq, 768]"; several where an operation was given several; rows alone as "2 rows"."""
    if not isinstance(dims, (list, tuple)) or not dims:
        return ""
    if any(isinstance(dim, (list, tuple)) for dim in dims):
        return shown(" and ".join(_shape(dim) for dim in dims))
    if len(dims) == 1:
        return shown(f"{dims[0]} row{'' if dims[0] == 1 else 's'}")
    return shown(_shape(dims))


def _shape(dims: Any) -> str:
    return f"[{', '.join(map(str, dims))}]" if isinstance(dims, (list, tuple)) else str(dims)
