"""The verdict for PEFT: the plan's steps run on shapes, one by one, until one raises."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from adaptlint.bases import Base
from adaptlint.findings import Fault, RaisedError, StepResult, Verdict
from adaptlint.graph import Scene
from adaptlint.runtimes.peft.config_file import open_config
from adaptlint.runtimes.peft.forward import forward_refusal
from adaptlint.runtimes.peft.loads import MismatchRefusal
from adaptlint.runtimes.peft.plan import Step, default_plan, parse_plan
from adaptlint.runtimes.peft.refusal import NotModelled, Refusal
from adaptlint.runtimes.peft.release import Release
from adaptlint.runtimes.peft.run import Run
from adaptlint.runtimes.peft.trust import doubts_about, release_of, transformers_of, unsure_of_base
from adaptlint.runtimes.peft.weights import open_weights
from adaptlint.runtimes.prediction import Prediction, Request

Ended = tuple[str, str | None, RaisedError | None]


def _unread(scene: Scene, target: str) -> Iterator[Fault]:
    """Files that cannot be opened: told also where there is no verdict to rest on them."""
    for adapter in scene.adapters:
        try:
            open_config(adapter)
            open_weights(adapter.folder)
        except (Refusal, NotModelled) as refusal:
            yield refusal.fault._replace(adapter=adapter.name, target=target)


def predict_peft(scene: Scene, version: str | None, request: Request) -> Prediction:
    """What `PeftModel.from_pretrained` and the plan's further steps do with the scene's adapters."""
    release = release_of(version)
    transformers = transformers_of(release, request, scene.known_base)
    blank = Verdict("peft", release, transformers, "unknown")
    return _predict(
        scene, request, Run, blank, Release(release, transformers), doubts_about(scene, release, transformers)
    )


def predict_integration(scene: Scene, version: str | None, request: Request) -> Prediction:
    """What `PreTrainedModel.load_adapter` does with them, in a release of transformers and with the PEFT beside it."""
    from adaptlint.runtimes.peft.integration import IntegratedRun, doubts_about_release

    release = release_of(None)
    transformers = version or transformers_of(release, request, scene.known_base)
    blank = Verdict("transformers", transformers, transformers, "unknown")
    doubts = doubts_about_release(transformers) or doubts_about(scene, release, transformers)
    return _predict(scene, request, IntegratedRun, blank, Release(release, transformers), doubts)


def _predict(
    scene: Scene, request: Request, door: type[Run], blank: Verdict, release: Release, doubts: list[Fault]
) -> Prediction:
    base, target = scene.known_base, door.target
    if base is None or doubts:
        told = [doubt._replace(target=target, decides=True) for doubt in doubts]
        return Prediction(blank, (*told, *_unread(scene, target)))
    names = [adapter.name for adapter in scene.adapters]
    plan = parse_plan(request.plan) if request.plan else default_plan(names, request.composed)
    unloaded = _load_of_base(base, release, request)
    if unloaded is not None:
        return _unloaded(blank, unloaded, plan, (*_unread(scene, target),))
    run = door(scene, base, release)
    steps, outcome, stage, error = _walk(run, plan)
    faults = list(run.faults)
    if outcome == "fails" and faults and faults[-1].decides:
        faults[-1] = faults[-1]._replace(repair=_promised(faults[-1], scene, base, door, release))
    drawn = None
    if outcome in ("works", "wrong"):
        (outcome, stage, error), drawn = _after(run, request, faults, (outcome, stage, error))
    gap = unsure_of_base(base, outcome, error, run.wrapped.release)
    if gap is not None:
        faults.append(gap._replace(target=target, decides=True))
        outcome, stage, error = "unknown", None, None
    verdict = blank._replace(
        outcome=outcome,
        stage=stage,
        error=error,
        steps=tuple(steps),
        missing_keys=tuple(sorted(run.missing)),
        unexpected_keys=tuple(sorted(run.unexpected)),
        left_at_init=tuple(run.left),
        ignored=tuple(run.ignored),
        mismatched_keys=tuple(run.mismatched),
        warned=run.warned,
    )
    return Prediction(verdict, tuple(faults), frozenset(run.reached), None, drawn)


def _after(run: Run, request: Request, faults: list[Fault], ended: Ended) -> tuple[Ended, Mapping[str, object] | None]:
    """How it ends after the plan: with the composition that was asked for, and a forward with what is active."""
    drawn = None
    actives: tuple[str, ...] = (run.wrapped.active,)
    if request.composed:
        from adaptlint.runtimes.peft.composed import compose, drawing

        run.reached.add("combined")
        before = len(run.faults)
        drawn, told = drawing(request), compose(run, request)
        faults += [*run.faults[before:], *(fault._replace(target=run.target) for fault in told.faults)]
        if ended[0] == "works" or told.outcome in ("fails", "unknown"):
            ended = told.outcome, told.stage, told.error
        actives = told.names
    elif ended[0] == "works":
        for fault in run.over_changed_base(actives):
            faults.append(fault._replace(target=run.target))
            ended = "wrong", "load", None
    for active in actives if ended[0] in ("works", "wrong") else ():
        run.wrapped.active = active
        idle = run.effects.get(active)
        if idle is not None:
            faults.append(idle._replace(adapter=active, target=run.target, decides=True))
            ended = ("wrong", "load", None) if ended[0] == "works" else ended
        ended = _forward(run, request, faults) or ended
    return ended, drawn


def _promised(fault: Fault, scene: Scene, base: Base, door: type[Run], release: Release) -> str:
    """How safe it is to mend the config that PEFT refuses; what the fault says already stays."""
    from adaptlint.runtimes.peft.mending import safety_of

    def works(mended: Scene) -> bool:
        return _walk(door(mended, base, release), default_plan([a.name for a in mended.adapters]))[1] == "works"

    return fault.repair or safety_of(fault, scene, base, works)


def _forward(run: Run, request: Request, faults: list[Fault]) -> Ended | None:
    """Outcome, stage and error of one forward where it changes them; what there is to say is put into `faults`."""
    active, target, ended = run.wrapped.active, run.target, None
    settings = run.loaded.get(active)
    try:
        refusal = forward_refusal(run.wrapped, active, run.loaded)
        if refusal is None and settings is not None and request.has_conditions:
            from adaptlint.runtimes.peft.conditions import condition_refusal

            run.reached.add("conditions")
            refusal = condition_refusal(run.wrapped.base, settings, request)
    except NotModelled as gap:
        faults.append(gap.fault._replace(adapter=active, target=target, decides=True))
        return "unknown", None, None
    if refusal is not None:
        faults.append(refusal.fault._replace(adapter=active, target=target, decides=True))
        return "fails", "forward", refusal.error
    if settings is not None and request.has_conditions:
        from adaptlint.runtimes.peft.conditions import condition_faults

        given = [each for each in run.scene.adapters if each.name == active]
        for fault in condition_faults(run.wrapped.base, given[0] if given else None, settings, request):
            faults.append(fault._replace(adapter=active, target=target))
            ended = ("wrong", "forward", None) if fault.decides else ended
    return ended


def _load_of_base(base: Base, release: Release, request: Request) -> Refusal | NotModelled | None:
    """What the load of the base itself raises with the backend that was asked for."""
    if request.attn is None:
        return None
    from adaptlint.runtimes.peft.backends import check_backend

    try:
        check_backend(base, release, request)
    except (Refusal, NotModelled) as problem:
        return problem
    return None


def _unloaded(
    blank: Verdict, problem: Refusal | NotModelled, plan: list[Step], unread: tuple[Fault, ...]
) -> Prediction:
    """The verdict where the base itself cannot be loaded as asked, or where that cannot be told."""
    faults = (problem.fault._replace(target=blank.target, decides=True), *unread)
    reached = frozenset({"conditions"})
    if isinstance(problem, NotModelled):
        return Prediction(blank, faults)
    steps = tuple(StepResult(step.op, step.name, "fails", "load", problem.error) for step in plan[:1])
    return Prediction(blank._replace(outcome="fails", stage="load", error=problem.error, steps=steps), faults, reached)


def _walk(run: Run, plan: list[Step]) -> tuple[list[StepResult], str, str | None, RaisedError | None]:
    """The steps in order; the outcome is the first that is not "works"."""
    steps: list[StepResult] = []
    outcome, stage = "works", None
    for step in plan:
        name = step.name
        try:
            fine = run.do(step)
        except Refusal as refusal:
            if not isinstance(refusal, MismatchRefusal):
                run.say([refusal.fault._replace(decides=True)], name)
            steps.append(StepResult(step.op, name, "fails", step.op, refusal.error))
            return steps, "fails", step.op, refusal.error
        except NotModelled as gap:
            run.say([gap.fault._replace(decides=True)], name)
            steps.append(StepResult(step.op, name, "unknown"))
            return steps, "unknown", None, None
        steps.append(StepResult(step.op, name, "works" if fine else "wrong", None if fine else step.op))
        if not fine and outcome == "works":
            outcome, stage = "wrong", step.op
    return steps, outcome, stage, None
