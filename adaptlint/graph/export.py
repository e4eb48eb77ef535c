"""The module graph as text: tree, json, dot, graphml, mermaid.

Tree, dot and mermaid fold equal siblings into one (`layers.{0-31}`); json and graphml list every module.
"""

from __future__ import annotations

import json
from math import prod

from adaptlint.graph.labels import mermaid_quoted, plain, quoted
from adaptlint.graph.module_graph import knots, module_graph
from adaptlint.hints import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

    from adaptlint.bases import Base


def tree(base: Base) -> list[str]:
    """Lines of an indented tree with parameter shapes and ties. Names stand in it as the base spells them."""
    ties: dict[str, str] = {other: first for first, other in base.ties}
    roles = {base.input_embedding: "input embedding", base.output_embedding: "output embedding"}
    lines = [f"{base.model_class or base.record['tree']['class']}  ({_origin(base)})"]
    for knot in knots(base.tree):
        if knot.depth:
            times = f" x {knot.siblings}" if knot.siblings > 1 else ""
            line = f"{'  ' * knot.depth}{knot.name}: {knot.cls}{times}"
        else:
            line = "" if not knot.params else "  (itself)"
        line += "".join(f"  {param} {list(shape)}" for param, shape in knot.params.items())
        line += "".join(
            f"  = {ties[f'{knot.path}.{param}']}" for param in knot.params if f"{knot.path}.{param}" in ties
        )
        line += f"  ({roles[knot.path]})" if knot.depth and knot.path in roles else ""
        lines += [line] if line else []
    total = parameter_count(base)
    lines.append(f"{len(base.modules)} modules, {total:,} parameters" + (" (tied ones once)" if ties else ""))
    return lines


def parameter_count(base: Base) -> int:
    """How many numbers the parameters hold, tied ones once."""
    twice = {other for _, other in base.ties}
    return sum(prod(shape) for name, shape in base.parameters().items() if name not in twice)


def as_json(base: Base) -> str:
    """One object: what the base is, its ties, and every module with its shapes, in `named_modules()` order."""
    modules = [
        {
            "path": module.path,
            "class": module.cls,
            "kind": module.kind,
            "params": module.params,
            "buffers": module.buffers,
            "attrs": module.attrs,
        }
        for module in (base.root, *base.modules)
    ]
    document = {
        "model": base.ref,
        "model_type": base.model_type,
        "class": base.model_class,
        "source": base.source,
        "made_with": base.made_with,
        "input_embedding": base.input_embedding,
        "output_embedding": base.output_embedding,
        "parameters": parameter_count(base),
        "ties": [list(pair) for pair in base.ties],
        "modules": modules,
    }
    return json.dumps(document, indent=1)


def dot(base: Base) -> list[str]:
    """Lines of a Graphviz digraph of the folded modules; dashed edges are ties."""
    graph = module_graph(base, folded=True)
    numbers = {path: number for number, path in enumerate(graph)}
    lines = ["digraph model {", "  rankdir=LR;", '  node [shape=box, fontname="monospace"];']
    for path, node in graph.nodes(data=True):
        lines.append(f"  n{numbers[path]} [label={quoted(_label(path, node))}];")
    for start, end, edge in graph.edges(data=True):
        if edge["contains"]:
            lines.append(f"  n{numbers[start]} -> n{numbers[end]};")
        if edge["ties"]:
            lines.append(f"  n{numbers[start]} -> n{numbers[end]} [style=dashed, dir=none, label=tied];")
    return [*lines, "}"]


def mermaid(base: Base) -> list[str]:
    """Lines of a Mermaid flowchart of the folded modules; dotted edges are ties."""
    graph = module_graph(base, folded=True)
    numbers = {path: number for number, path in enumerate(graph)}
    lines = ["flowchart LR"]
    for path, node in graph.nodes(data=True):
        lines.append(f"  n{numbers[path]}[{mermaid_quoted(_label(path, node))}]")
    for start, end, edge in graph.edges(data=True):
        if edge["contains"]:
            lines.append(f"  n{numbers[start]} --> n{numbers[end]}")
        if edge["ties"]:
            lines.append(f"  n{numbers[start]} -. tied .- n{numbers[end]}")
    return lines


def graphml(base: Base) -> list[str]:
    """Lines of a GraphML document of every module; GraphML holds scalars, so shapes and ties are JSON texts in it."""
    import networkx

    graph = module_graph(base)
    for node in graph.nodes.values():
        node["params"] = json.dumps(node["params"])
        node["cls"], node["kind"] = plain(node["cls"]), plain(node["kind"])
    for edge in graph.edges.values():
        edge["ties"] = json.dumps(edge["ties"])
    graph.graph = {key: plain(value) for key, value in graph.graph.items()}
    named = networkx.relabel_nodes(graph, {path: plain(path) for path in graph})
    return list(networkx.generate_graphml(named))


def _label(path: str, node: Mapping[str, Any]) -> str:
    shapes = [f"{param} {list(shape)}" for param, shape in node["params"].items()]
    times = f" x {node['count']}" if node["count"] != 1 else ""
    return "\n".join([path or "(model)", f"{node['cls']}{times}", *shapes])


def _origin(base: Base) -> str:
    made = ", ".join(f"{name} {version}" for name, version in base.made_with.items())
    return ", ".join(part for part in (base.model_type, f"shapes from {base.source}", made) if part)
