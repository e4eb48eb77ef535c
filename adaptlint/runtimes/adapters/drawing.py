"""A composition as text, from the report's own `composition` and `shapes`: tree, dot, mermaid, graphml.

Blocks hand rows to their adapters, adapters stand at sites, and a site's edge says what it gives; an operation whose
sides disagree is marked with both. Sites without an adapter of the composition are drawn where others of their kind
have one: their rows are those that nobody replicates.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from adaptlint.findings import Report
from adaptlint.graph.labels import mermaid_quoted, plain, quoted
from adaptlint.hints import Any
from adaptlint.named_tuple import NamedTuple

INPUT, OUTPUT, CONFLICT = "input", "output", "conflict"


class Spot(NamedTuple):
    """One box: its kind (input, output, conflict, site, adapter or a block's name) and what is written in it."""

    kind: str
    name: str
    depth: int = 0


class Line(NamedTuple):
    """From box to box, with what goes along it; a dashed one leads to a site that no adapter stands at."""

    start: str
    end: str
    said: str
    dashed: bool = False


class Drawn(NamedTuple):
    """Boxes by their ids, in the order of the forward, and the lines between them."""

    spots: dict[str, Spot]
    lines: list[Line]


def drawn(report: Report) -> Drawn:
    """The graph of a report that has a composition's shapes."""
    shapes: Any = report.shapes or {}
    told: Any = report.composition or {}
    spots: dict[str, Spot] = {}
    lines: list[Line] = []
    depths = {"0": 0}
    for name, dims in shapes["inputs"].items():
        spots[f"in.{name}"] = Spot(INPUT, name)
        lines.append(Line(f"in.{name}", "0", shape(dims)))
    for edge in told["edges"]:
        depths[edge["to"]] = depths[edge["from"]] + 1
    leaves: dict[str, list[str]] = {}
    for node in told["nodes"]:
        if node["kind"] == "site":
            continue
        spots[node["id"]] = Spot(node["kind"], node["adapter"] or node["kind"], depths[node["id"]])
        if node["adapter"]:
            leaves.setdefault(node["adapter"], []).append(node["id"])
    broken = [edge for edge in told["edges"] if edge["to"] == "site"]
    lines += [Line(e["from"], e["to"], f"rows {e['dims'][0]}") for e in told["edges"] if e not in broken]
    for number, site in enumerate(sites(shapes)):
        spots[f"site.{number}"] = Spot("site", f"{site['module'] or '(model)'} {site['kind']}")
        gives = " and ".join(map(shape, site["out"]))
        starts = [leaf for name in site["adapters"] for leaf in leaves.get(name, ())] or ["0"]
        lines += [Line(start, f"site.{number}", gives, not site["adapters"]) for start in starts]
    for name, dims in shapes["outputs"].items():
        spots[f"out.{name}"] = Spot(OUTPUT, name)
        lines.append(Line("0", f"out.{name}", shape(dims)))
    where = next((node["module"] for node in told["nodes"] if node["kind"] == "site"), "")
    for edge in broken:
        spots["conflict"] = Spot(CONFLICT, f"{where}: {edge['conflict']}")
        lines.append(Line("0", "conflict", sides(edge)))
    return Drawn(spots, lines)


def sites(shapes: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """The layers that are drawn."""
    kinds = {site["kind"] for site in shapes["sites"] if site["adapters"]}
    return [site for site in shapes["sites"] if site["kind"] in kinds]


def sides(edge: Mapping[str, Any]) -> str:
    """Both sides of what disagrees."""
    return " against ".join(map(shape, edge["dims"])) or "no tensor"


def shape(dims: Sequence[Any]) -> str:
    """`(2*batch, seq, 768)`."""
    return f"({', '.join(map(str, dims))})"


def about(report: Report) -> str:
    """What was composed, for whom, and how it ends."""
    verdict, subject = report.verdicts[0], report.subject
    conditions = ", ".join(part for part in (subject.model_class, subject.attn) if part)
    codes = dict.fromkeys(finding.code for finding in report.findings if finding.fingerprint in verdict.why)
    because = f" ({', '.join(codes)})" if codes else ""
    words = {"wrong": "runs, and is wrong", "unknown": "cannot tell"}
    ending = words.get(verdict.outcome, verdict.outcome)
    return f"{subject.compose}  ({verdict.target} {verdict.version}, {conditions}): {ending}{because}"


def tree(report: Report) -> list[str]:
    """Lines of an indented text: inputs, blocks and adapters with their rows, sites with what they give, the end."""
    found = drawn(report)
    said: dict[str, str] = {line.end: line.said for line in found.lines}
    shapes: Any = report.shapes
    lines = [about(report)]
    lines += [f"  {name}: {shape(dims)}" for name, dims in shapes["inputs"].items()]
    for at, spot in found.spots.items():
        if at[0] == "0":
            rows = f": {said[at]}" if spot.depth else ""
            lines.append(f"{'  ' * (spot.depth + 1)}{spot.name}{rows}")
    for site in sites(shapes):
        gives = " and ".join(map(shape, site["out"]))
        names = ", ".join(site["adapters"]) or "no adapter"
        lines.append(f"  {site['module'] or '(model)'}: {site['kind']} of {names} -> {gives}")
    lines += [f"  -> {name} {shape(dims)}" for name, dims in shapes["outputs"].items()]
    for at, spot in found.spots.items():
        if spot.kind == CONFLICT:
            error = report.verdicts[0].error
            lines += [f"  !! {spot.name}" if error is None else f"  !! {error.type} at {spot.name}", f"     {said[at]}"]
    return lines


def dot(report: Report) -> list[str]:
    """Lines of a Graphviz digraph; what breaks is red, a site without an adapter hangs on a dashed line."""
    found = drawn(report)
    numbers = {at: number for number, at in enumerate(found.spots)}
    lines = ["digraph composition {", "  rankdir=LR;", f"  label={quoted(about(report))};"]
    lines.append('  node [shape=box, fontname="monospace"];')
    for at, spot in found.spots.items():
        red = ", color=red" if spot.kind == CONFLICT else ""
        lines.append(f"  n{numbers[at]} [label={quoted(spot.name)}{red}];")
    for line in found.lines:
        looks = ", color=red" if line.end == CONFLICT else ", style=dashed" if line.dashed else ""
        lines.append(f"  n{numbers[line.start]} -> n{numbers[line.end]} [label={quoted(line.said)}{looks}];")
    return [*lines, "}"]


def mermaid(report: Report) -> list[str]:
    """Lines of a Mermaid flowchart; what breaks is a class of its own, a site without an adapter has a dotted line."""
    found = drawn(report)
    numbers = {at: number for number, at in enumerate(found.spots)}
    lines = ["flowchart LR"]
    lines += [f"  n{numbers[at]}[{mermaid_quoted(spot.name)}]" for at, spot in found.spots.items()]
    for line in found.lines:
        arrow = "-.->" if line.dashed else "-->"
        lines.append(f"  n{numbers[line.start]} {arrow}|{mermaid_quoted(line.said)}| n{numbers[line.end]}")
    if CONFLICT in found.spots:
        lines += ["  classDef conflict stroke:#d1242f,stroke-width:3px", f"  class n{numbers[CONFLICT]} conflict"]
    return lines


def graphml(report: Report) -> Iterator[str]:
    """Lines of a GraphML document: boxes with `kind` and `name`, lines with `dims`."""
    import networkx

    found = drawn(report)
    graph = networkx.DiGraph(name=plain(about(report)))
    for at, spot in found.spots.items():
        graph.add_node(plain(at), kind=plain(spot.kind), name=plain(spot.name))
    for line in found.lines:
        graph.add_edge(plain(line.start), plain(line.end), dims=plain(line.said), dashed=line.dashed)
    yield from networkx.generate_graphml(graph)
