"""What a module returns of every layer (its hidden states), in a graph's table: said once, however many layers."""

from __future__ import annotations

from typing import Any

from adaptlint.dataflow.stacks import EACH

Given = list[list[Any]]


def handed_on(stacks: list[Any], templates: list[Any]) -> tuple[list[Any], list[Any]]:
    """Stacks and templates as `stacks.unstacked` and `stacks.returned` read them, with EACH where it can be said.

    That is so for a call between layers, the one of its template, whose last values are those of each call of a stack
    but its last, if modules alone return them, all in one go.
    """
    used = [template for _, calls in stacks for _, template, _ in calls]
    made, changed = [], dict(enumerate(templates))
    for prefix, calls in stacks:
        told = []
        for layer, template, given in calls:
            start = _of_each(given, stacks)
            nodes, guards, modules = templates[template]
            shorter = None
            if start < len(given) and not prefix and used.count(template) == 1 and not _takes(nodes + guards, start):
                shorter = _returning(modules, [[-1 - at, 0] for at in range(start, len(given))])
            if shorter is None:
                told.append([layer, template, given])
                continue
            stack, _, node, output = given[start]
            told.append([layer, template, [*given[:start], [stack, EACH, node, output]]])
            changed[template] = [nodes, guards, shorter]
        made.append([prefix, told])
    return made, [*changed.values()]


def _of_each(given: Given, stacks: list[Any]) -> int:
    """Where the values of each call of a stack but its last begin, which are the last of a call; their end if none."""
    final: list[Any] = given[-1] if given else ["own", 0]
    stack, _, *rest = final
    count = 0 if stack == "own" else len(stacks[stack][1]) - 1
    start = len(given) - count
    return start if given[start:] == [[stack, number, *rest] for number in range(count)] else len(given)


def _takes(value: Any, start: int) -> bool:
    """Whether an operation or a comparison takes a given value of this number or a later one."""
    if isinstance(value, dict):
        return ("n" in value and value["n"][0] < -start) or any(_takes(part, start) for part in value.values())
    if isinstance(value, list):
        return (value[:1] == ["size"] and value[1] < -start) or any(_takes(part, start) for part in value)
    return False


def _returning(modules: list[Any], values: list[Any]) -> list[Any] | None:
    """Modules with EACH for these values; None if one of them returns some otherwise."""
    told = []
    for path, refs in modules:
        if values[0] in refs:
            at = refs.index(values[0])
            if refs[at : at + len(values)] != values:
                return None
            refs = [*refs[:at], [EACH, -values[0][0]], *refs[at + len(values) :]]
        if any(value in refs for value in values):
            return None
        told.append([path, refs])
    return told
