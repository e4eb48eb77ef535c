"""The calls of a shipped graph by the stack of layers that they are in: how deep another one is changes no number."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from adaptlint.dataflow.flow_graph import Ref, Run
from adaptlint.hints import Any

EACH = "each"


def unstacked(stacks: list[Any], outputs: dict[str, Any]) -> tuple[list[Run], dict[str, Ref]]:
    """A run for every call, whose template is not known yet.

    A stack is [prefix, [[layer, letter of the template, [value, ...]], ...]]; a value [stack, call, node, output], the
    call is -1 for a stack's last; ["own", -1, node, output] is of the call before in the same stack. A node below zero
    is counted from the end of its call's: layers of two kinds have as many operations as they like before it. A call
    that is EACH stands for a value of each call of a stack but its last.
    """
    starts = [sum(len(stack[1]) for stack in stacks[:number]) for number in range(len(stacks) + 1)]

    def ref(value: list[Any], own: int, at: int) -> Ref:
        stack, call, node, output = value
        if stack == "own":
            return starts[own] + at + call, node, output
        number = call if call >= 0 else starts[stack + 1] - starts[stack] + call
        return starts[stack] + number, node, output

    def each(given: list[Any]) -> Iterator[Any]:
        for stack, call, *rest in given:
            if call == EACH:
                yield from ([stack, number, *rest] for number in range(len(stacks[stack][1]) - 1))
            else:
                yield [stack, call, *rest]

    calls = [
        Run(0, prefix, layer, 1, 1, [ref(value, s, at) for value in each(given)], [])
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


def returned(refs: list[Any], given: int) -> list[Any]:
    """What a module returned; [EACH, n] stands for the values that its call, given so many, is given from -n."""
    return [one for ref in refs for one in ([[-n, 0] for n in range(ref[1], given + 1)] if ref[0] == EACH else [ref])]
