"""One check from request to report."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from time import perf_counter

from adaptlint.artefacts import Document, Malformed, TensorFile
from adaptlint.artefacts.words import FLOATS
from adaptlint.bases import Base, BaseProblem, load_base
from adaptlint.catalogue import load_catalogue, select
from adaptlint.engine.arguments import refuse_wrong_arguments, refuse_wrong_composition, refuse_wrong_interpreter
from adaptlint.engine.claims import findings_of
from adaptlint.engine.ledger import Crash, checked_faults, ledger_of, reached
from adaptlint.engine.spots import Spots
from adaptlint.findings import AdapterSubject, Asked, Fault, Report, Subject, Verdict
from adaptlint.graph import Adapter, Scene
from adaptlint.graph.scene import weights_of
from adaptlint.hints import TYPE_CHECKING, Any, cast
from adaptlint.runtimes import Prediction, Request, predict

if TYPE_CHECKING:
    from adaptlint.engine.suppressing import Suppressions
    from adaptlint.settings.ignores import Ignore

AdapterArgument = str | os.PathLike[str] | tuple[str, str | os.PathLike[str]]


HUB = "adapters"  # AdapterHub's library, which reads folders of its own
TOLD_BY_CAUSE = ("no-tensor-arrives", "tensor-ignored", "two-weight-files")


def check(
    model: str | os.PathLike[str],
    adapters: AdapterArgument | Sequence[AdapterArgument],
    *,
    targets: Sequence[str] = ("peft",),
    transformers: str | None = None,
    model_class: str | None = None,
    task: str | None = None,
    compose: str | None = None,
    fusions: Sequence[str] = (),
    plan: str | None = None,
    attn: str | None = None,
    batch: int | None = None,
    seq: int | None = None,
    decoder_seq: int | None = None,
    mask: str | None = None,
    python: str | None = None,
    values: str = "none",
    select: Sequence[str] = (),
    ignore: Sequence[str] = (),
    ignores: Sequence[Ignore | Mapping[str, Any]] = (),
    baseline: str | os.PathLike[str] | None = None,
    severities: Mapping[str, str] | None = None,
    offline: bool = True,
    cache: bool = True,
    sites: bool = False,
    drawn: bool = True,
) -> Report:
    """Say what each target will do with the adapters on this base.

    `model` is a folder with config.json, a config.json, a shape lock or a hub id in the local cache; `adapters` one
    folder, or a list of folders or (name, folder) pairs in load order. Bad files become findings; ValueError is
    raised only for arguments that no file could mend (an unknown plan step, a bad `values`).

    `attn` is the backend that the base is loaded with (eager, sdpa, flash_attention_2, flex_attention), `batch`, `seq`
    and `decoder_seq` are the sizes of the forward, `mask` is "none" or "padded"; flash attention is judged for a
    machine that has its kernels. `compose` is an expression over the adapters' names for the targets `adapters` and
    `peft` ("Stack(a, b)"; "Arrow(a, b)" for `peft` alone), `fusions` are the fusion layers that AdapterHub's model will
    have, names or folders; `python` is an interpreter (or an environment's folder) whose `adapters` records the forward
    where none is at hand.
    With `sites` the report also says what becomes of each module; without `drawn` it has no `shapes` and no
    `composition`.

    `ignores` are tables as in the configuration (`{"rules": ["AL303"], "reason": "...", "adapter": "old/*"}`), and
    `baseline` is a file of known findings: what they name goes to the report's `suppressed` and leaves the verdict as
    it is. `severities` maps codes or names of rules to error, warning or note.
    """
    refuse_wrong_composition(compose, targets)
    refuse_wrong_interpreter(python, targets)
    refuse_wrong_arguments(values, attn, mask, {"batch": batch, "seq": seq, "decoder_seq": decoder_seq})
    started = perf_counter()
    given = tuple(Adapter(name, path, named) for name, path, named in adapters_given(adapters))
    opened = perf_counter()
    aside = _aside(ignores, baseline, severities, given)
    base = base_for(os.fspath(model), model_class, task, given, offline, cache)
    built = perf_counter()
    scene = Scene(os.fspath(model), base, given, values, task)
    sizes = (batch, seq, decoder_seq)
    request = Request("", transformers, plan, compose, tuple(fusions), attn, *sizes, mask, python, cache, drawn)
    predictions = [predict(scene, request._replace(target=target)) for target in targets]
    predicted = perf_counter()
    conditions = (attn, compose, _asked(scene, request, model_class))
    report = _report(scene, predictions, tuple(targets), conditions, select, ignore, aside)
    if sites and report.verdicts:
        report = _with_sites(report, scene, request._replace(target=targets[0]))
    ends = (("artefacts", opened), ("base", built), ("predict", predicted), ("rules", perf_counter()))
    times = zip((started, opened, built, predicted), ends, strict=True)
    return report._replace(phases=tuple((name, (end - start) * 1000) for start, (name, end) in times))


def _asked(scene: Scene, request: Request, model_class: str | None) -> Asked:
    """What makes the report again; a base that lies on this machine by its absolute path."""
    model = os.path.abspath(scene.model_ref) if os.path.exists(scene.model_ref) else scene.model_ref
    sizes = (request.batch, request.seq, request.decoder_seq, request.mask)
    words = (model_class, scene.task, request.transformers, request.plan)
    return Asked(model, *words, request.fusions, *sizes, scene.values)


def _with_sites(report: Report, scene: Scene, request: Request) -> Report:
    from adaptlint.engine.site_states import states_of

    return report._replace(sites=states_of(scene, request, report.verdicts[0]))


def _aside(
    ignores: Sequence[Ignore | Mapping[str, Any]],
    baseline: str | os.PathLike[str] | None,
    severities: Mapping[str, str] | None,
    given: Sequence[Adapter],
) -> Suppressions | None:
    """What is set aside or said at another severity; None where nobody asked."""
    if not (ignores or baseline or severities):
        return None
    from adaptlint.engine.suppressing import suppressions_of

    return suppressions_of(ignores, baseline, severities or {}, {adapter.name: adapter.path for adapter in given})


def check_scene(scene: Scene, request: Request, targets: Sequence[str]) -> Report:
    """The report on a scene that is put together already, by all rules; `request` is asked of each target in turn."""
    predictions = [predict(scene, request._replace(target=target)) for target in targets]
    conditions = (request.attn, request.compose, _asked(scene, request, None))
    return _report(scene, predictions, tuple(targets), conditions, (), (), None)


def base_for(
    model: str, model_class: str | None, task: str | None, given: Sequence[Adapter], offline: bool, cache: bool
) -> Base | BaseProblem:
    """The base as the class asked for, else as the adapter's task asks, else as its own config says."""
    implied = None if model_class or task else _task_of(given)
    base = load_base(model, model_class=model_class, task=task or implied, cache=cache, offline=offline)
    if implied and isinstance(base, BaseProblem) and base.reason == "base-class-unknown":
        return load_base(model, cache=cache, offline=offline)
    return base


def named_adapters(adapters: AdapterArgument | Sequence[AdapterArgument]) -> list[tuple[str, str]]:
    """Names and absolute paths in load order; unnamed: the first is "default", others take their folder's name."""
    return [(name, path) for name, path, _ in adapters_given(adapters)]


def adapters_given(adapters: AdapterArgument | Sequence[AdapterArgument]) -> list[tuple[str, str, bool]]:
    """The same with a third part: True for a name that was given."""
    one = isinstance(adapters, (str, os.PathLike)) or _is_pair(adapters)
    listed = cast("Sequence[AdapterArgument]", [adapters] if one else adapters)
    found: list[tuple[str, str, bool]] = []
    for index, adapter in enumerate(listed):
        if isinstance(adapter, tuple):
            found.append((adapter[0], os.path.abspath(adapter[1]), True))
            continue
        path = os.path.abspath(os.fspath(adapter))
        taken = [name for name, *_ in found]
        found.append(("default" if index == 0 else legal_name(os.path.basename(path), taken), path, False))
    return found


def _is_pair(adapters: object) -> bool:
    """True for one (name, folder) tuple; a list of two folders is a list."""
    return isinstance(adapters, tuple) and len(adapters) == 2 and all(isinstance(part, str) for part in adapters)


def legal_name(folder: str, taken: Sequence[str]) -> str:
    """A folder's name as an adapter name: no dots, not empty, not taken."""
    stem = folder.replace(".", "_") or "adapter"
    name, number = stem, 2
    while name in taken:
        name, number = f"{stem}_{number}", number + 1
    return name


def _task_of(adapters: Sequence[Adapter]) -> str | None:
    """The task type of the first adapter that states one; values that are no known task are PEFT's to refuse."""
    for adapter in adapters:
        task = adapter.given.get("task_type")
        if isinstance(task, str):
            return task
    return None


def _report(
    scene: Scene,
    predictions: Sequence[Prediction],
    targets: tuple[str, ...],
    conditions: tuple[str | None, str | None, Asked],
    chosen: Sequence[str],
    ignored: Sequence[str],
    aside: Suppressions | None,
) -> Report:
    rules = select(load_catalogue(), chosen, ignored)
    spots = Spots(scene)
    crashes: dict[str, Crash] = {}
    faults: list[Fault] = [fault for prediction in predictions for fault in prediction.faults]
    others = {prediction.verdict.target for prediction in predictions} - {HUB}
    for adapter in scene.adapters:
        if others and _is_strange(adapter, faults):
            from adaptlint.dialects import explain
            from adaptlint.engine.promises import promised

            faults = promised(explain(adapter, faults, others), scene, Request("", conditions[2].transformers), targets)
    findings = findings_of(rules, faults, checked_faults(rules, scene, crashes), spots, crashes, aside)
    phases = reached(predictions)
    if aside is not None:
        findings += findings_of(rules, aside.expired(), {}, spots, crashes)
        phases |= aside.held()
    verdicts = tuple(_with_why(prediction.verdict, findings) for prediction in predictions)
    ledger = ledger_of(rules, findings, scene, phases, crashes)
    subject = Subject(
        scene.model_ref,
        scene.base.model_type if isinstance(scene.base, Base) else None,
        scene.base.model_class if isinstance(scene.base, Base) else None,
        scene.base.source if isinstance(scene.base, Base) else None,
        tuple(_adapter_subject(adapter) for adapter in scene.adapters),
        targets,
        *conditions,
    )
    unchecked = not isinstance(scene.base, Base) or all(isinstance(a.folder, Malformed) for a in scene.adapters)
    from adaptlint import __version__

    told = next((prediction for prediction in predictions if prediction.composition is not None), None)
    drawn = (told.shapes, told.composition) if told is not None else (None, None)
    report = Report(__version__, subject, verdicts, findings, ledger, (), unchecked, *drawn)
    return report if aside is None else aside.applied(report)


def _is_strange(adapter: Adapter, faults: Sequence[Fault]) -> bool:
    """True where there is more to an adapter than the runtimes say; asked of every one, so it must cost nothing."""
    if (
        isinstance(adapter.folder, Malformed)
        or "peft_type" not in adapter.given
        or "config.json" in adapter.folder.names
    ):
        return True
    weights = weights_of(adapter)
    if not isinstance(weights, TensorFile):
        return True
    if any(fault.reason in TOLD_BY_CAUSE for fault in faults):
        return True
    from adaptlint.methods import PEFT_PREFIX

    first = next(iter(weights.tensors), PEFT_PREFIX)
    return not first.startswith(PEFT_PREFIX) or not {row.dtype for row in weights.tensors.values()} <= FLOATS


def _with_why(verdict: Verdict, findings: Sequence[object]) -> Verdict:
    from adaptlint.findings import Finding

    why = tuple(
        finding.fingerprint
        for finding in findings
        if isinstance(finding, Finding) and finding.decides and verdict.target in finding.targets
    )
    return verdict._replace(why=why)


def _adapter_subject(adapter: Adapter) -> AdapterSubject:
    given = adapter.given
    method, rank = given.get("peft_type"), given.get("r")
    if method is None and "config" in given:
        from adaptlint.runtimes.adapters.hub_adapter import is_hub_config, method_of, tensors_in

        if is_hub_config(given):
            return AdapterSubject(
                adapter.name, adapter.path, "adapterhub", *method_of(given["config"]), tensors_in(adapter)
            )
    weights = weights_of(adapter)
    tensors = len(weights.tensors) if isinstance(weights, TensorFile) else 0
    form = "peft" if isinstance(adapter.config, Document) and method is not None else "unknown"
    return AdapterSubject(
        adapter.name,
        adapter.path,
        form,
        method if isinstance(method, str) else None,
        rank if isinstance(rank, int) and not isinstance(rank, bool) else None,
        tensors,
    )
