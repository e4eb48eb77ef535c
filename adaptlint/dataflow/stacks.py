"""The calls of a shipped graph by the stack of layers that they are in: how deep another one is changes no number."""

from __future__ import annotations

from collections.abc import Sequence

from adaptlint.dataflow.flow_graph import Ref, Run
from adaptlint.hints import Any


def unstacked(stacks: list[Any], outputs: dict[str, Any]) -> tuple[list[Run], dict[str, Ref]]:
    """A run for every call, whose template is not known yet.

    A stack is [prefix, [[layer, letter of the template, [value, ...]], ...]]; a value [stack, call, node, output], the
    call is -1 for a stack's last; ["own", -1, node, output] is of the call before in the same stack. A node below zero
    is counted from the end of its call's: layers of two kinds have as many operations as they like before it.
    """
    starts = [sum(len(stack[1]) for stack in stacks[:number]) for number in range(len(stacks) + 1)]

    def ref(value: list[Any], own: int, at: int) -> Ref:
        stack, call, node, output = value
        if stack == "own":
            return starts[own] + at + call, node, output
        number = call if call >= 0 else starts[stack + 1] - starts[stack] + call
        return starts[stack] + number, node, output

    calls = [
        Run(0, prefix, layer, 1, 1, [ref(value, s, at) for value in given], [])
        for s, (prefix, inner) in enumerate(stacks)
        for at, (layer, _, given) in enumerate(inner)
    ]
    return calls, {name: ref(value, len(stacks), 0) for name, value in outputs.items()}


def counted(calls: list[Run], outputs: dict[str, Ref], lengths: Sequence[int]) -> tuple[list[Run], dict[str, Ref]]:
    """Calls and outputs with every node counted from the beginning; `lengths`: how many nodes each call has."""

    def ref(value: Ref) -> Ref:
        call, node, output = value
        return value if node >= 0 else (call, lengths[call] + node, output)

    return [call._replace(given=[*map(ref, call.given)]) for call in calls], {
        name: ref(value) for name, value in outputs.items()
    }
