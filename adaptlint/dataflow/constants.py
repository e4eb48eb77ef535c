"""Which recorded tensors hold one and the same number everywhere: a mask of ones that a model makes for itself."""

from __future__ import annotations

import operator
from collections.abc import Sequence

from adaptlint.dataflow.flow_graph import Node
from adaptlint.hints import Any

MADE = {"ones": 1, "ones_like": 1, "new_ones": 1, "zeros": 0, "zeros_like": 0, "new_zeros": 0}
UNCHANGED = (
    "__getitem__ all any bool clone contiguous detach expand float int long repeat reshape to type unsqueeze view"
)
KEPT = frozenset(UNCHANGED.split())
"""Operations after which the numbers are what they were; of ones and zeros alone `all` and `any` are too."""
COMPARED = {"__eq__": operator.eq, "eq": operator.eq, "__ne__": operator.ne, "ne": operator.ne}


def constant_at(nodes: Sequence[Node], place: tuple[int, int]) -> int | None:
    """The number that every element of this output is (booleans as 0 and 1); None where that is not certain."""
    index, output = place
    while output == 0:
        node = nodes[index]
        if _is_written(nodes, index):
            return None
        if node.op in MADE:
            return MADE[node.op]
        if not node.args or not isinstance(node.args[0], dict) or "n" not in node.args[0]:
            return None
        source = node.args[0]["n"]
        if node.op in COMPARED and len(node.args) > 1 and type(node.args[1]) in (int, float, bool):
            held = constant_at(nodes, source)
            return None if held is None else int(COMPARED[node.op](held, node.args[1]))
        if node.op not in KEPT:
            return None
        index, output = source
    return None


def _is_written(nodes: Sequence[Node], index: int) -> bool:
    """Whether some operation writes into it, as torch names those that do."""
    written: Any = {"n": [index, 0]}
    return any(
        node.args[:1] == [written] and (node.op == "__setitem__" or (node.op.endswith("_") and node.op[:1] != "_"))
        for node in nodes[index + 1 :]
    )
