"""Which model of a runtime answers a request."""

from __future__ import annotations

from adaptlint.findings import Fault, Verdict
from adaptlint.graph import Scene
from adaptlint.runtimes.prediction import Prediction, Request

MODELLED = ("peft", "transformers", "adapters")
COMPOSED = "compositions are modelled for the targets adapters and peft"
FUSED = "fusion layers are those of the target adapters"


def predict(scene: Scene, request: Request) -> Prediction:
    """The verdict of the runtime that `request` names; "unknown" for a runtime without a model here."""
    name, _, version = request.target.partition("==")
    problem = _problem(name, request)
    if problem:
        fault = Fault("composition-not-modelled", facts={"problem": problem}, target=name, decides=True)
        return Prediction(Verdict(name, version, request.transformers or "", "unknown"), (fault,))
    if name == "peft":
        from adaptlint.runtimes.peft.predict import predict_peft

        return predict_peft(scene, version or None, request)
    if name == "transformers":
        from adaptlint.runtimes.peft.predict import predict_integration

        return predict_integration(scene, version or None, request)
    if name == "adapters":
        from adaptlint.runtimes.adapters.predict import predict_hub

        return predict_hub(scene, version or None, request)
    listed = f"{', '.join(MODELLED[:-1])} and {MODELLED[-1]}"
    fault = Fault(
        "target-not-modelled",
        facts={"problem": f"{name} is not modelled, {listed} are"},
        target=name,
        decides=True,
    )
    return Prediction(Verdict(name, version, request.transformers or "", "unknown"), (fault,))


def _problem(name: str, request: Request) -> str:
    """Why a composition cannot be told of the target; "" where it can."""
    if name == "adapters" or not request.composed:
        return ""
    if request.fusions:
        return FUSED
    return "" if name == "peft" else COMPOSED
