"""The recorded forwards that one check asks about: which, and each looked for once."""

from __future__ import annotations

from collections.abc import Iterator

from adaptlint.bases import Base
from adaptlint.dataflow.flow_graph import FlowGraph
from adaptlint.runtimes.adapters.graphs import BACKEND, find_graph
from adaptlint.runtimes.adapters.rows import Raised
from adaptlint.runtimes.prediction import Request

MASKS = {"none": (False,), "padded": (True,), None: (True, False)}
BACKENDS = ("sdpa", "eager")  # what transformers takes without being asked, the first that the class has
CONTEXT = "hub.context"


class Forwards:
    """Those of a base that a release of the library has wrapped, under the conditions of a request."""

    def __init__(self, base: Base, release: str, request: Request) -> None:
        """`release` as in "1.3.0"."""
        self._base = base
        self._release = release
        self._request = request
        self._found: dict[tuple[str, bool], FlowGraph | None] = {}

    def places(self) -> FlowGraph | None:
        """One to read the library's layers from; those are there whether or not the forward itself raises.

        Under flash attention a class that a release does not replace passes by layers that it has (DistilBERT's
        prefixes in adapters 1.3.0): they are read from another backend's forward.
        """
        for masked in MASKS[self._request.mask]:
            for backend in self._backends() if self._request.attn in (None, *BACKENDS) else ():
                try:
                    graph = self._find(backend, masked)
                except Raised:
                    continue
                if graph is not None:
                    return graph
        return self._find(BACKEND, True)

    def __iter__(self) -> Iterator[FlowGraph]:
        """Each that may be meant. Raises Raised where the backend that was asked for has none."""
        for masked in MASKS[self._request.mask]:
            for backend in self._backends():
                try:
                    graph = self._find(backend, masked)
                except Raised:
                    if self._request.attn:
                        raise
                    continue  # transformers takes what the class has
                if graph is not None and _is_whole(graph):
                    yield graph
                    break

    def _backends(self) -> tuple[str, ...]:
        return (self._request.attn,) if self._request.attn else BACKENDS

    def _find(self, backend: str, masked: bool) -> FlowGraph | None:
        if (backend, masked) not in self._found:
            python = self._request.python
            self._found[backend, masked] = find_graph(self._base, self._release, backend, masked=masked, python=python)
        return self._found[backend, masked]


def _is_whole(graph: FlowGraph) -> bool:
    """Whether it is one from its inputs on with all that was noted there, and not a model's places alone."""
    return any(node.op == CONTEXT and "takes" in node.kwargs for template in graph.templates for node in template.nodes)
