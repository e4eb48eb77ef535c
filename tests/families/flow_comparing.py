"""Where two recorded graphs differ, node by node: what no shape depends on is left out of both."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from adaptlint.dataflow.flow_graph import FlowGraph
from tests.dataflow.unfolding import apart
from tests.families.flow_trials import SCALE, WIDE, shaping

CASTS = ("to", "float", "type")
Sources = dict[int, int]


def different(ours: FlowGraph, live: FlowGraph) -> str:
    """Where two graphs first differ, call by call; "" nowhere. Scales, and what was assumed, are left out of both."""
    return difference(unfolded(ours), unfolded(live))


def unfolded(graph: FlowGraph) -> Any:
    """A graph with its calls' operations in the calls: layers that differ in a scale alone are folded otherwise."""
    calls, outputs = apart(graph.runs, graph.outputs)
    value = graph._replace(runs=[], outputs={}, assumed=[], constants=frozenset())
    told = json.loads(json.dumps(value.to_json(), default=str))
    sources: list[Sources] = []
    for nodes, _, modules in told["templates"]:
        for node in nodes:
            node[3:5] = shaping(node[0], *node[3:5])
            if node[0] == "dropout" and "p" in node[4]:
                node[4]["p"] = SCALE  # a rate of nothing may be written as a whole number
        sources.append(_sources(nodes))
        for module in modules:
            module[1] = [_source([*ref], sources[-1]) for ref in module[1]]
    templates = [
        [_uncast([nodes, guards], own), modules]
        for (nodes, guards, modules), own in zip(told.pop("templates"), sources, strict=True)
    ]
    given: list[list[list[int]]] = []

    def ref(call: int, node: int, output: int) -> list[int]:
        node, output = _source([node, output], sources[calls[call].template])
        if node >= 0 or call >= len(given):
            return [call, node, output]
        return given[call][-1 - node]

    for call in calls:
        given.append([ref(*one) for one in call.given])
    told["outputs"] = {name: ref(*one) for name, one in outputs.items()}
    told["calls"] = [
        [call.prefix, call.first, own, templates[call.template]] for call, own in zip(calls, given, strict=True)
    ]
    return told


def _sources(nodes: Sequence[Any]) -> Sources:
    """Node -> what it casts to another dtype of floats.

    Where that is the dtype already, torch gives the same tensor back, and who takes it later is recorded as taking the
    cast: a dtype is its user's choice, so that either is right.
    """
    found: Sources = {}
    for at, node in enumerate(nodes):
        if node[0] in CASTS and node[3] and isinstance(node[3][0], dict) and "n" in node[3][0]:
            n, output = node[3][0]["n"]
            if output == 0 and (node[0] == "float" or WIDE in json.dumps(node[3:5])):
                found[at] = found.get(n, n)
    return found


def _source(ref: list[int], sources: Sources) -> list[int]:
    return [sources.get(ref[0], ref[0]), ref[1]] if ref[1] == 0 else ref


def _uncast(value: Any, sources: Sources) -> Any:
    """Nodes and guards with every value named by what it was before it was cast."""
    if isinstance(value, list):
        if value[:1] == ["size"]:
            return ["size", *_source(value[1:3], sources), *value[3:]]
        return [_uncast(part, sources) for part in value]
    if isinstance(value, dict):
        if "n" in value:
            return {"n": _source(value["n"], sources)}
        return {key: _uncast(part, sources) for key, part in value.items()}
    return value


def difference(one: Any, other: Any, path: str = "") -> str:
    """Where two such first differ."""
    if one is other or one == other:
        return ""
    if one == SCALE and type(other) is int:  # a scale that a config has as a whole number
        return ""
    if type(one) is not type(other) or not isinstance(one, dict | list):
        return f"{path}: {json.dumps(one)[:70]} is {json.dumps(other)[:70]}"
    if isinstance(one, dict):
        if one.keys() != other.keys():
            return f"{path}: {sorted(one)} is {sorted(other)}"
        pairs = [(key, one[key], other[key]) for key in one]
    else:
        if len(one) != len(other):
            return f"{path}: {len(one)} entries are {len(other)}"
        pairs = [(str(at), *pair) for at, pair in enumerate(zip(one, other, strict=True))]
    return next((found for key, left, right in pairs if (found := difference(left, right, f"{path}.{key}"))), "")
