"""The verdict for AdapterHub's library: adapters loaded one after the other, on shapes, until one raises."""

from __future__ import annotations

import os
from collections.abc import Sequence

from adaptlint.bases import BaseProblem
from adaptlint.dataflow.flow_problem import FlowProblem
from adaptlint.findings import Fact, Fault, RaisedError, StepResult, Verdict
from adaptlint.graph import Adapter, Scene
from adaptlint.named_tuple import NamedTuple
from adaptlint.runtimes.adapters.composing import tell
from adaptlint.runtimes.adapters.forwards import Forwards
from adaptlint.runtimes.adapters.hub_adapter import hub_name
from adaptlint.runtimes.adapters.loads import HubLoads
from adaptlint.runtimes.adapters.release import HubRelease, is_modelled, newest
from adaptlint.runtimes.peft.refusal import NotModelled, Refusal
from adaptlint.runtimes.prediction import Prediction, Request

TARGET = "adapters"
AS_LOADED = ("hub-shared-not-saved", "hub-prompt-renamed")
"""What is drawn at random with every load, in a member and in what it is held against: no fault of a composition."""
PLACELESS = ("hub-method-without-place", "adapter-has-no-site")
"""One fault, told of the load and of the forward."""


class Ended(NamedTuple):
    """How the loads ended: the outcome is that of the first step that is not "works"."""

    steps: tuple[StepResult, ...]
    outcome: str
    stage: str | None = None
    error: RaisedError | None = None


def predict_hub(scene: Scene, version: str | None, request: Request) -> Prediction:
    """What `adapters.init` and one `load_adapter(folder, load_as=name)` for each of the scene's adapters do."""
    text = version or _release_beside(request.python)
    release = HubRelease(text)
    blank = Verdict(TARGET, text, request.transformers or release.transformers, "unknown")
    doubt = _doubt(scene, text)
    base = scene.known_base
    if doubt is not None or base is None:
        return Prediction(blank, (doubt._replace(target=TARGET, decides=True),) if doubt else ())
    why = ""
    forwards = Forwards(base, text, request)
    try:
        graph = forwards.places()
    except FlowProblem as problem:
        graph, why = None, str(problem).rstrip(".")
    if graph is None:
        facts: dict[str, Fact] = {"class": base.model_class, "asked": text}
        if why:
            facts["why"] = why
        fault = Fault("hub-base-not-recorded", facts=facts, target=TARGET, decides=True)
        return Prediction(blank, (fault, *_unreadable(scene, release)))
    loads = HubLoads(base, graph, release)
    ended, request = load_fusions(loads, load_all(loads, scene.adapters), request)
    verdict = blank._replace(
        outcome=ended.outcome,
        stage=ended.stage,
        error=ended.error,
        steps=ended.steps,
        missing_keys=tuple(sorted(loads.missing)),
        unexpected_keys=tuple(sorted(loads.unexpected)),
        left_at_init=tuple(loads.left),
        ignored=tuple(loads.ignored),
        mismatched_keys=tuple(loads.mismatched),
        warned=loads.warned,
    )
    return _composed(scene, loads, verdict, request, forwards)


def _composed(scene: Scene, loads: HubLoads, loaded: Verdict, request: Request, forwards: Forwards) -> Prediction:
    """The verdict with one forward of what is loaded, which counts where the loads themselves went well."""
    base = scene.known_base
    if base is None or loaded.outcome not in ("works", "wrong"):
        return Prediction(loaded, tuple(loads.faults), frozenset({"hub"}))
    told = tell(base, loads, scene.adapters, request, forwards)
    verdict, before = loaded._replace(steps=(*loaded.steps, *told.steps)), tuple(loads.faults)
    if request.compose is not None and all(fault.reason in AS_LOADED for fault in before if fault.decides):
        before = tuple(fault._replace(decides=False) for fault in before)
        verdict = verdict._replace(outcome="works", stage=None)
    if verdict.outcome == "works" or told.outcome in ("fails", "unknown"):
        verdict = verdict._replace(outcome=told.outcome, stage=told.stage, error=told.error)
    placeless = {fault.adapter for fault in before if fault.reason == PLACELESS[0]}
    known = {hub_name(adapter) for adapter in scene.adapters if adapter.name in placeless}
    new = (fault for fault in told.faults if fault.reason != PLACELESS[1] or fault.facts.get("name") not in known)
    faults = (*before, *(fault._replace(target=TARGET) for fault in new))
    return Prediction(verdict, faults, frozenset({"hub", "composed"}), told.shapes, told.composition)


def load_all(loads: HubLoads, adapters: Sequence[Adapter]) -> Ended:
    """Load the adapters in order; what a forward with one of them does is for who composes them to say."""
    steps: list[StepResult] = []
    outcome, stage = "works", None
    for adapter in adapters:
        name = hub_name(adapter)
        try:
            fine = loads.load(adapter, name)
        except Refusal as refusal:
            loads.say([refusal.fault._replace(decides=True)], adapter)
            steps.append(StepResult("load", name, "fails", "load", refusal.error))
            return Ended(tuple(steps), "fails", "load", refusal.error)
        except NotModelled as gap:
            loads.say([gap.fault._replace(decides=True)], adapter)
            steps.append(StepResult("load", name, "unknown"))
            return Ended(tuple(steps), "unknown")
        steps.append(StepResult("load", name, "works" if fine else "wrong", None if fine else "load"))
        if not fine and outcome == "works":
            outcome, stage = "wrong", "load"
    return Ended(tuple(steps), outcome, stage)


def load_fusions(loads: HubLoads, ended: Ended, request: Request) -> tuple[Ended, Request]:
    """The fusion layers that are folders, after the adapters; the request then has their names."""
    if all(not os.path.isdir(text) for text in request.fusions) or ended.outcome not in ("works", "wrong"):
        return ended, request
    from adaptlint.runtimes.adapters.fusing import load_fusion

    names = []
    for text in request.fusions:
        if not os.path.isdir(text):
            names.append(text)
            continue
        shown = os.path.basename(os.path.normpath(text))
        try:
            name, fine = load_fusion(text, loads)
        except Refusal as refusal:
            loads.faults.append(refusal.fault._replace(target=TARGET, decides=True))
            step = StepResult("load", shown, "fails", "load", refusal.error)
            return Ended((*ended.steps, step), "fails", "load", refusal.error), request
        except NotModelled as gap:
            loads.faults.append(gap.fault._replace(target=TARGET, decides=True))
            return Ended((*ended.steps, StepResult("load", shown, "unknown")), "unknown"), request
        names.append(name)
        ended = ended._replace(steps=(*ended.steps, StepResult("load", name, "works" if fine else "wrong")))
        if not fine and ended.outcome == "works":
            ended = ended._replace(outcome="wrong", stage="load")
    return ended, request._replace(fusions=tuple(names))


def _release_beside(python: str | None) -> str:
    """The release of that interpreter, else the installed one if it was read, else the newest that was."""
    if python is not None:
        from adaptlint.runtimes.adapters.elsewhere import library_of

        return library_of(python)
    from adaptlint.bases import installed_versions

    installed = installed_versions([TARGET]).get(TARGET)
    return installed if installed and is_modelled(installed) else newest()


def _doubt(scene: Scene, version: str) -> Fault | None:
    """Why there is no verdict at all; None where there can be one."""
    if isinstance(scene.base, BaseProblem):
        return Fault(scene.base.reason, at=scene.base.at, facts=scene.base.facts)
    if not is_modelled(version):
        facts: dict[str, Fact] = {"asked": version, "newest": newest()}
        return Fault("hub-release-not-modelled", facts=facts)
    return None


def _unreadable(scene: Scene, release: HubRelease) -> list[Fault]:
    """Folders that the library does not take on any base."""
    from adaptlint.runtimes.adapters.hub_adapter import hub_parts, open_hub_config

    faults = []
    for adapter in scene.adapters:
        try:
            hub_parts(adapter, open_hub_config(adapter), release)
        except (Refusal, NotModelled) as problem:
            faults.append(problem.fault._replace(adapter=adapter.name, target=TARGET))
    return faults
