"""What stands on the first axis of a module's input: PEFT shares out that axis among the rows' adapters."""

from __future__ import annotations

from adaptlint.bases import Base
from adaptlint.dataflow.flow_graph import FlowGraph
from adaptlint.dataflow.propagate import Moved, propagate
from adaptlint.dataflow.symbols import probes
from adaptlint.named_tuple import NamedTuple
from adaptlint.runtimes.prediction import Request

BACKENDS = ("sdpa", "eager")


class FirstAxis(NamedTuple):
    """Its size, whether that is the batch and whether all that it depends on was asked for; how many axes there are."""

    size: int
    is_batch: bool
    certain: bool
    axes: int


class FirstAxes:
    """The first axes of one forward's modules; `unsure` says why they are not known, "" where they are.

    The graph is looked for when the first module is asked about. Modules give as many rows as they are given: linear
    layers, embeddings and convolutions, which are the ones that adapters stand at.
    """

    __slots__ = ("_asked", "_base", "_batches", "_request", "_walks", "unsure")

    def __init__(self, base: Base, request: Request, rows: int) -> None:
        self._base = base
        self._request = request
        self._asked = {"batch": request.batch or rows, "seq": request.seq, "decoder_seq": request.decoder_seq}
        self._walks: list[Moved] = []  # two with the sizes that were asked for, two with none
        self._batches: list[int | None] = []  # of the two walks with none
        self.unsure = ""

    def at(self, path: str) -> FirstAxis | None:
        """The axis at a module; None where it is not called, or where nothing is known (`unsure`)."""
        if not self._walks and not self.unsure:
            self._walk()
        if any(path in moved.unknown for moved in self._walks):
            self.unsure = f"what {path} is given"
        found = [shapes[0] for moved in self._walks if (shapes := moved.modules.get(path)) and shapes[0]]
        if not found or len(found) < len(self._walks):
            return None
        sizes = [shape[0] for shape in found]
        return FirstAxis(sizes[0], sizes[2:] == self._batches, sizes[0] == sizes[1], len(found[0]))

    def _walk(self) -> None:
        graph = self._graph()
        if graph is None:
            return
        given = {name: size for name, size in self._asked.items() if size and name in graph.symbols}
        free = probes(graph.symbols, graph.constants)[:2]
        self._batches = [sizes.get("batch") for sizes in free]
        vectors = [*probes(graph.symbols, graph.constants, given)[:2], *free]
        self._walks = [propagate(graph, sizes) for sizes in vectors]

    def _graph(self) -> FlowGraph | None:
        """A shipped graph, else one of the cache or recorded now."""
        from adaptlint.dataflow.load import FlowProblem, load_flow
        from adaptlint.dataflow.shipped import shipped_graph

        backends = (self._request.attn,) if self._request.attn else BACKENDS
        for backend in backends:
            graph = shipped_graph(self._base, backend)
            if graph is not None:
                return graph
        try:
            return load_flow(self._base.ref, self._base.asked, "eager", cache=self._request.cache)[0]
        except FlowProblem as problem:
            self.unsure = str(problem).rstrip(".")
        return None
