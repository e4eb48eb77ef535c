"""One question about one runtime, and its answer."""

from __future__ import annotations

from typing import NamedTuple

from adaptlint.findings import Fault, Verdict
from adaptlint.graph import Scene

MODELLED = ("peft",)
COMPOSED = "compositions, attention backends and concrete inputs are not modelled"


class Request(NamedTuple):
    """A target as the user wrote it ("peft", "peft==0.21.2") and what goes with it."""

    target: str
    transformers: str | None = None
    plan: str | None = None
    composed: bool = False  # a composition, backend or concrete inputs were asked about


class Prediction(NamedTuple):
    """What the runtime will do, and the faults behind it; `why` of the verdict is filled in by the engine."""

    verdict: Verdict
    faults: tuple[Fault, ...]
    reached: frozenset[str] = frozenset()  # how far the runtime got: injected, weights, loaded


def predict(scene: Scene, request: Request) -> Prediction:
    """The verdict of the runtime that `request` names; "unknown" for a runtime without a model here."""
    name, _, version = request.target.partition("==")
    if request.composed:
        fault = Fault("composition-not-modelled", facts={"problem": COMPOSED}, target=name, decides=True)
        return Prediction(Verdict(name, version, request.transformers or "", "unknown"), (fault,))
    if name == "peft":
        from adaptlint.runtimes.peft.predict import predict_peft

        return predict_peft(scene, version or None, request)
    fault = Fault(
        "target-not-modelled",
        facts={"problem": f"{name} is not modelled, {', '.join(MODELLED)} is"},
        target=name,
        decides=True,
    )
    return Prediction(Verdict(name, version, request.transformers or "", "unknown"), (fault,))
