"""Recorded forwards of wrapped bases, put where checks look for them."""

from __future__ import annotations

import json
import os
from functools import cache

from adaptlint.bases import Base, load_base
from adaptlint.dataflow.flow_graph import read_graph
from adaptlint.runtimes.adapters.graphs import keep_graph
from tests.conftest import ROOT

GRAPHS = ROOT / "fixtures" / "hub"


def keep_graphs() -> None:
    """Put the graphs of fixtures/hub (RELEASE/BASE.CLASS.BACKEND.pad or none.json) into the cache that is in use."""
    _kept(os.environ.get("ADAPTLINT_CACHE", ""))


@cache
def _kept(_: str) -> None:
    for path in sorted(GRAPHS.glob("*/*.json")):
        name, cls, backend, mask = path.stem.split(".")
        base = load_base(str(ROOT / "fixtures" / "bases" / name), model_class=cls)
        graph = read_graph(json.loads(path.read_text()))
        assert isinstance(base, Base), base
        assert graph is not None
        keep_graph(graph, base, path.parent.name, backend, masked=mask == "pad")
