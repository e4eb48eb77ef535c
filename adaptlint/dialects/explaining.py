"""The cause in the place of its consequence: what PEFT missed is told as what is there."""

from __future__ import annotations

from collections.abc import Collection, Sequence

from adaptlint.artefacts import Malformed, TensorFile
from adaptlint.dialects.folders import insight_of
from adaptlint.dialects.recognising import readers_of
from adaptlint.dialects.tensors import narrow_dtypes, twin_that_differs, unprintable
from adaptlint.dialects.words import Insight
from adaptlint.findings import Fact, Fault
from adaptlint.graph import Adapter
from adaptlint.graph.scene import weights_of

UNANSWERED = "PEFT does not read it"
SILENT = "PEFT finds none of its own tensors in the file and goes on, so the model answers as the base does"


def explain(adapter: Adapter, faults: Sequence[Fault], targets: Collection[str] = ()) -> list[Fault]:
    """All faults, those of `adapter` told by their cause where one is found.

    A replaced fault keeps what the verdict rests on (`decides`, target, PEFT's error); what no runtime complained of
    is added, unless `targets` are such that read just that.
    """
    insight = insight_of(adapter)
    if insight is not None and targets and readers_of(insight.reason).issuperset(targets):
        insight = None
    told = list(faults) if insight is None else _with(insight, adapter, faults)
    weights = weights_of(adapter)
    if isinstance(weights, TensorFile):
        told += [fault._replace(adapter=adapter.name) for fault in narrow_dtypes(weights)]
        told = [unprintable(fault) if fault.adapter == adapter.name else fault for fault in told]
        told = [_twins(fault, adapter, weights) if fault.reason == "two-weight-files" else fault for fault in told]
    return told


def _with(insight: Insight, adapter: Adapter, faults: Sequence[Fault]) -> list[Fault]:
    """The faults with the one that `insight` explains told anew, or with the insight added where it is news."""
    mine = [fault for fault in faults if fault.adapter == adapter.name]
    if any(fault.reason in insight.explains for fault in mine):
        return [
            _told(insight, fault) if fault.adapter == adapter.name and fault.reason in insight.explains else fault
            for fault in faults
        ]
    if any(fault.reason in insight.unless for fault in mine):
        return list(faults)
    facts: dict[str, Fact] = {"raises": UNANSWERED, **insight.facts}
    return [*faults, Fault(insight.reason, adapter.name, at=insight.at, facts=facts)]


def _told(insight: Insight, fault: Fault) -> Fault:
    """What the runtime said, with what is really there."""
    error = fault.facts.get("error_type")
    raises = f"PEFT raises {error}" if isinstance(error, str) else SILENT
    facts: dict[str, Fact] = {**fault.facts, "raises": raises, **insight.facts}
    return fault._replace(reason=insight.reason, at=insight.at or fault.at, facts=facts, repair=insight.repair)


def _twins(fault: Fault, adapter: Adapter, weights: TensorFile) -> Fault:
    if fault.adapter != adapter.name or isinstance(adapter.folder, Malformed):
        return fault
    differs = twin_that_differs(weights, adapter.folder.tensors(str(fault.facts["unused"])))
    return fault if not differs else fault._replace(reason="weight-files-disagree", facts={**fault.facts, **differs})
