"""Faults of the library itself: forwards that `adapters.init` changes before any adapter is active.

What was measured is in library.toml. Attention that has lost its causal mask is seen in the recorded forward.
"""

from __future__ import annotations

from collections.abc import Iterator

from adaptlint import tables
from adaptlint.bases import Base
from adaptlint.dataflow.flow_graph import FlowGraph, path_in
from adaptlint.findings import Fact, Fault
from adaptlint.runtimes.adapters.release import HubRelease
from adaptlint.runtimes.adapters.rows import Raised

FAULTS = "runtimes/adapters/library.toml"
DECIDES = {"wrapping-changes-model": True, "cache-never-filled": False}  # the second is about more than one forward
ATTENTION = "scaled_dot_product_attention"
MASK = 3  # its place among the arguments


def faults_of_library(base: Base, release: HubRelease, graph: FlowGraph) -> list[Fault]:
    """What this release does to the model under this backend and mask, whatever is loaded into it."""
    masked = "attention_mask" in graph.inputs
    card = tables.load()[FAULTS]
    found = [*_sees_ahead(release, graph)] if base.model_type in card["causal"] else []
    for row in card["fault"]:
        if base.model_type not in row["models"] or not release.reached(row["since"]):
            continue
        if "until" in row and release.reached(row["until"]):
            continue
        if row.get("backend", graph.backend) != graph.backend or row.get("masked", masked) is not masked:
            continue
        facts: dict[str, Fact] = {"what": row["what"], "release": release.text, "help": row["help"]}
        found.append(Fault(row["reason"], facts=facts, decides=DECIDES[row["reason"]]))
    return found


def _sees_ahead(release: HubRelease, graph: FlowGraph) -> Iterator[Fault]:
    """The first call of torch's attention that is given neither a mask nor `is_causal` by a model that is causal."""
    for run in graph.runs:
        for node in graph.templates[run.template].nodes:
            unmasked = node.kwargs.get("attn_mask") is None and len(node.args) <= MASK
            if node.op == ATTENTION and unmasked and not node.kwargs.get("is_causal"):
                module = path_in(run.layer(0), node.module)
                facts: dict[str, Fact] = {"place": module, "source": node.source, "release": release.text}
                yield Fault("attention-not-causal", facts=facts, decides=True)
                return


def fault_of_class(base: Base, release: HubRelease, backend: str, raised: Raised) -> Fault:
    """A wrapped class that raises under a backend whatever is loaded into it."""
    facts: dict[str, Fact] = {
        "class": base.model_class or "the model",
        "backend": backend,
        "release": release.text,
        "error_type": raised.kind,
        "error_message": raised.text or "no text",
    }
    return Fault("wrapped-class-raises", facts=facts, decides=True)
