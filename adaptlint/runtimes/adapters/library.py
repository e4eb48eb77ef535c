"""Faults of the library itself: forwards that `adapters.init` changes before any adapter is active (library.toml)."""

from __future__ import annotations

from adaptlint import tables
from adaptlint.bases import Base
from adaptlint.dataflow.flow_graph import FlowGraph
from adaptlint.findings import Fact, Fault
from adaptlint.runtimes.adapters.release import HubRelease

FAULTS = "runtimes/adapters/library.toml"
DECIDES = {"wrapping-changes-model": True, "cache-never-filled": False}  # the second is about more than one forward


def faults_of_library(base: Base, release: HubRelease, graph: FlowGraph) -> list[Fault]:
    """What this release does to the model under this backend and mask, whatever is loaded into it."""
    masked = "attention_mask" in graph.inputs
    found = []
    for row in tables.load()[FAULTS]["fault"]:
        if base.model_type not in row["models"] or not release.reached(row["since"]):
            continue
        if "until" in row and release.reached(row["until"]):
            continue
        if row.get("backend", graph.backend) != graph.backend or row.get("masked", masked) is not masked:
            continue
        facts: dict[str, Fact] = {"what": row["what"], "release": release.text, "help": row["help"]}
        found.append(Fault(row["reason"], facts=facts, decides=DECIDES[row["reason"]]))
    return found
