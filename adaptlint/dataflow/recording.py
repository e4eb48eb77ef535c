"""What one traced forward leaves, in order and whole: every operation of every layer, before it is folded."""

from __future__ import annotations

from adaptlint.dataflow.flow_graph import Guard, Node
from adaptlint.hints import Any
from adaptlint.named_tuple import NamedTuple

Place = tuple[str, int]
"""The layer that runs ("" between layers), and which call it is."""


class Recording(NamedTuple):
    """One forward at one set of sizes; nodes and guards as flow_graph.py has them, with indices into `nodes`.

    Beside {"a": node} stand the outputs one by one, as "o", for a layer that only sees them from outside.

    `places` and `guard_places` say in which call each node and guard came about; a module has what it returned, the
    number of nodes when it ended, and its place. The other fields are those of a FlowGraph.
    """

    model_class: str
    backend: str
    transformers: str
    inputs: dict[str, list[Any]]
    bounds: dict[str, Any]
    nodes: list[Node]
    places: list[Place]
    guards: list[Guard]
    guard_places: list[Place]
    modules: dict[str, tuple[list[tuple[int, int]], int, Place]]
    outputs: dict[str, tuple[int, int]]
    assumed: list[tuple[str, str]]
    constants: frozenset[int]

    def shapes(self) -> dict[str, list[tuple[int, ...]]]:
        """Path -> shapes of everything that the module returned."""
        return {path: [self.nodes[n].shapes[o] for n, o in refs] for path, (refs, _, _) in self.modules.items()}
