"""A recorded graph without looks at a tensor that nothing is made of: Python asked whether a token id is among them."""

from __future__ import annotations

from typing import Any

from adaptlint.dataflow.flow_graph import FlowGraph

LOOKS = ("__getitem__",)


def without_unread(graph: FlowGraph) -> FlowGraph:
    """Nodes that only look are left out where no node, guard, module or later call takes their result."""
    for number in range(len(graph.templates)):
        while (at := _unread(graph, number)) is not None:
            graph = _without(graph, number, at)
    return graph


def _unread(graph: FlowGraph, number: int) -> int | None:
    template = graph.templates[number]
    taken = _nodes([[node.args, node.kwargs] for node in template.nodes])
    taken |= _nodes([[guard.left, guard.right] for guard in template.guards])
    taken |= {n for _, refs in template.modules for n, _ in refs}
    for run in graph.runs:
        taken |= {ref[1] for ref in (*run.given, *run.then) if graph.runs[ref[0]].template == number}
    taken |= {ref[1] for ref in graph.outputs.values() if graph.runs[ref[0]].template == number}
    looks = (at for at, node in enumerate(template.nodes) if node.op in LOOKS and at not in taken)
    return next(looks, None)


def _without(graph: FlowGraph, number: int, gone: int) -> FlowGraph:
    def new(n: int) -> int:
        return n - 1 if n > gone else n

    def ref(given: Any) -> Any:
        own = graph.runs[given[0]].template == number
        return (given[0], new(given[1]) if own else given[1], given[2])

    template = graph.templates[number]
    nodes = [
        node._replace(args=_moved(node.args, gone), kwargs=_moved(node.kwargs, gone))
        for at, node in enumerate(template.nodes)
        if at != gone
    ]
    guards = [
        guard._replace(at=new(guard.at), left=_moved(guard.left, gone), right=_moved(guard.right, gone))
        for guard in template.guards
    ]
    modules = [(path, [(new(n), o) for n, o in refs]) for path, refs in template.modules]
    templates = [*graph.templates]
    templates[number] = template._replace(nodes=nodes, guards=guards, modules=modules)
    runs = [run._replace(given=[*map(ref, run.given)], then=[*map(ref, run.then)]) for run in graph.runs]
    outputs = {name: ref(given) for name, given in graph.outputs.items()}
    return graph._replace(templates=templates, runs=runs, outputs=outputs)


def _nodes(value: Any) -> set[int]:
    """The nodes whose results stand in arguments or in a guard's terms."""
    if isinstance(value, dict):
        own = {value["n"][0]} if "n" in value else {value["a"]} if "a" in value else set()
        return own.union(*map(_nodes, value.values()))
    if isinstance(value, list | tuple):
        own = {value[1]} if len(value) == 4 and value[0] == "size" else set()
        return own.union(*map(_nodes, value))
    return set()


def _moved(value: Any, gone: int) -> Any:
    """The same with the nodes behind the one that is gone counted one less."""
    if isinstance(value, dict) and "n" in value:
        n, o = value["n"]
        return {"n": [n - 1 if n > gone else n, o]}
    if isinstance(value, dict) and "a" in value:
        return {"a": value["a"] - 1 if value["a"] > gone else value["a"]}
    if isinstance(value, dict):
        return {name: _moved(part, gone) for name, part in value.items()}
    if isinstance(value, list | tuple) and len(value) == 4 and value[0] == "size":
        return ["size", value[1] - 1 if value[1] > gone else value[1], value[2], value[3]]
    return [_moved(part, gone) for part in value] if isinstance(value, list) else value
