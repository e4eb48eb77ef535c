"""The verdict about adapters that are set active together, or one after the other, in AdapterHub's library."""

from __future__ import annotations

from collections.abc import Mapping

from adaptlint.bases import Base
from adaptlint.dataflow.flow_graph import FlowGraph
from adaptlint.dataflow.flow_problem import FlowProblem
from adaptlint.findings import Fault, RaisedError, StepResult
from adaptlint.graph import Adapter
from adaptlint.named_tuple import NamedTuple
from adaptlint.runtimes.adapters.afterwards import Used, faults_afterwards
from adaptlint.runtimes.adapters.composition import Block, leaf, read_composition, stack
from adaptlint.runtimes.adapters.forwards import Forwards
from adaptlint.runtimes.adapters.hub_adapter import hub_name
from adaptlint.runtimes.adapters.judging import Composed, Outcome, judge
from adaptlint.runtimes.adapters.library import fault_of_class, faults_of_library
from adaptlint.runtimes.adapters.loads import HubLoads
from adaptlint.runtimes.adapters.rows import Raised
from adaptlint.runtimes.adapters.telling import fault_of_error, fault_of_note
from adaptlint.runtimes.adapters.validation import check_composition
from adaptlint.runtimes.prediction import Request

USUAL = {"batch": 2, "seq": 6, "decoder_seq": 5}
"""Sizes of a forward where none are asked for and the composition implies none."""
ORDER = ("works", "unknown", "wrong", "fails")


class Told(NamedTuple):
    """What becomes of it, and of which forward; `shapes` and `composition` are parts of the JSON report."""

    outcome: str
    stage: str | None
    error: RaisedError | None
    faults: tuple[Fault, ...]
    judged: Judged | None = None
    shapes: Mapping[str, object] | None = None
    composition: Mapping[str, object] | None = None
    steps: tuple[StepResult, ...] = ()  # those of the plan that run the model


class Asked(NamedTuple):
    """The model, the conditions of its forward, and the folder and the report's name of each adapter."""

    base: Base
    loads: HubLoads
    folders: Mapping[str, str]
    request: Request
    forwards: Forwards
    names: Mapping[str, str]


class Judged(NamedTuple):
    """One forward that was walked through, and what of; `library` is what the library itself does to it."""

    outcome: Outcome
    graph: FlowGraph
    composed: Composed
    sizes: dict[str, int]
    library: tuple[Fault, ...]

    @property
    def ends(self) -> str:
        """How it ends, the library's own faults counted."""
        ends = self.outcome.outcome
        return "wrong" if ends == "works" and any(fault.decides for fault in self.library) else ends


def tell(base: Base, loads: HubLoads, adapters: tuple[Adapter, ...], request: Request, forwards: Forwards) -> Told:
    """The composition that was asked for; without one, each adapter alone."""
    folders = {hub_name(adapter): adapter.path for adapter in adapters}
    names = {hub_name(adapter): adapter.name for adapter in adapters}
    asked = Asked(base, loads, folders, request, forwards, names)
    if request.compose is not None:
        return _portrayed(_tell(asked, read_composition(request.compose)), request)
    told = [_tell(asked, stack(leaf(name))) for name in folders]
    worst = max(told, key=lambda each: ORDER.index(each.outcome))
    return _portrayed(worst, request)._replace(faults=tuple(fault for each in told for fault in each.faults))


def _portrayed(told: Told, request: Request) -> Told:
    """With what the report shows of the forward; nothing of one that was never walked."""
    if told.judged is None or not request.drawn:
        return told
    from adaptlint.runtimes.adapters.portrait import portrait_of

    outcome, graph, composed, sizes, _ = told.judged
    portrait = portrait_of(graph, composed, outcome, request, sizes)
    return told if portrait is None else told._replace(shapes=portrait.shapes, composition=portrait.composition)


def _tell(asked: Asked, setup: Block) -> Told:
    release = asked.loads.release.version
    refused = _refused(asked, setup, release)
    if refused is not None and not _unbuilt(asked):
        fault = fault_of_error(Outcome("fails", (refused.kind, refused.text), None, "", (), {}), setup, {})
        return Told("fails", "compose", RaisedError(refused.kind, refused.text), (fault,))
    try:
        worst = _worst(asked, setup)
    except Raised as raised:
        fault = fault_of_class(asked.base, asked.loads.release, asked.request.attn or "", raised)
        return Told("fails", "forward", RaisedError(raised.kind, raised.text), (fault,))
    except FlowProblem as told:
        return Told("unknown", None, None, (_unsure(str(told).rstrip("."), setup),))
    if worst is None:
        problem = f"no recorded forward of {asked.base.model_class} under these conditions is at hand"
        return Told("unknown", None, None, (_unsure(problem, setup),))
    return _and_then(_told(worst), worst, asked)


def _unbuilt(asked: Asked) -> bool:
    """Whether the class refuses the backend as it is made, before any composition can be set."""
    from adaptlint.runtimes.peft.backends import SAYS

    try:
        next(iter(asked.forwards), None)
    except Raised as raised:
        return any(words in raised.text for words in SAYS.values())
    except FlowProblem:
        pass
    return False


def _and_then(told: Told, judged: Judged, asked: Asked) -> Told:
    """With what comes after a forward that works: the plan's own steps, else what the usual ones would raise."""
    if told.outcome != "works":
        return told
    from adaptlint.runtimes.adapters.beyond import Situation, raised_in, steps_after, told_beside

    used = Used(judged.composed.setup, asked.loads, judged.graph, asked.names)
    walked = judged.composed, judged.outcome
    done: list[StepResult] = []
    steps, other = steps_after(asked.request.plan)
    if other is not None:
        fault = Fault("step-not-modelled", facts={"step": other.op}, decides=True)
        return told._replace(outcome="unknown", faults=(*told.faults, fault))
    for step in steps:
        ended = raised_in(Situation(step, used, judged.sizes, asked.request.mask, walked), asked=True)
        if ended is not None and ended.error is None:
            return told._replace(outcome="unknown", faults=(*told.faults, ended.fault), steps=tuple(done))
        if ended is not None:
            done.append(StepResult(step.op, "", "fails", step.op, ended.error))
            faults = (*told.faults, ended.fault)
            return told._replace(outcome="fails", stage=step.op, error=ended.error, faults=faults, steps=tuple(done))
        done.append(StepResult(step.op, "", "works"))
    if steps:
        return told._replace(steps=tuple(done))
    return told._replace(faults=(*told.faults, *told_beside(used, judged.sizes, asked.request.mask, walked)))


def _worst(asked: Asked, setup: Block) -> Judged | None:
    """The worst of the forwards that may be meant, the first of its kind; None where none is at hand."""
    worst: Judged | None = None
    for graph in asked.forwards:
        judged = _judged(asked, setup, graph)
        if worst is None or ORDER.index(judged.ends) > ORDER.index(worst.ends):
            worst = judged
        if worst.ends == ORDER[-1]:
            break
    return worst


def _judged(asked: Asked, setup: Block, graph: FlowGraph) -> Judged:
    release, fusions = asked.loads.release.version, frozenset(asked.request.fusions)
    composed = Composed(setup, asked.loads.parts, asked.folders, release, fusions, _pool(asked.base, release))
    sizes = sizes_of(setup, asked.request, graph)
    library = (
        *faults_of_library(asked.base, asked.loads.release, graph),
        *faults_afterwards(Used(setup, asked.loads, graph, asked.names)),
    )
    return Judged(judge(graph, composed, sizes), graph, composed, sizes, library)


def _told(judged: Judged) -> Told:
    outcome, _, composed, sizes, library = judged
    setup = composed.setup
    if outcome.outcome == "fails" and outcome.error is not None:
        fault = fault_of_error(outcome, setup, sizes)
        return Told("fails", "forward", RaisedError(*outcome.error), (fault, *library), judged)
    if outcome.outcome == "unknown":
        return Told("unknown", None, None, (_unsure(outcome.unknown, setup), *library), judged)
    faults = (*(fault_of_note(note, setup, sizes) for note in outcome.notes), *library)
    wrong = any(fault.decides for fault in faults)
    return Told("wrong" if wrong else "works", "forward" if wrong else None, None, faults, judged)


def _refused(asked: Asked, setup: Block, release: tuple[int, ...]) -> Raised | None:
    """What setting it active raises (`set_active_adapters`)."""
    try:
        check_composition(setup, asked.base.model_type or "", release)
    except Raised as raised:
        return raised
    unknown = next((one.name for one in setup.leaves() if one.name not in asked.loads.parts), None)
    return None if unknown is None else Raised("ValueError", f"No adapter with name '{unknown}' found.")


def sizes_of(setup: Block, request: Request, graph: FlowGraph) -> dict[str, int]:
    """What was asked for, what the composition implies, else the usual."""
    asked = {"batch": request.batch, "seq": request.seq, "decoder_seq": request.decoder_seq}
    implied = implied_sizes(setup)
    return {name: asked.get(name) or implied.get(name) or USUAL.get(name, 1) for name in graph.symbols}


def implied_sizes(setup: Block) -> dict[str, int]:
    """The batch and the lengths that a composition asks for."""
    implied: dict[str, int] = {}
    for block in setup.blocks():
        if block.kind == "BatchSplit":
            implied.setdefault("batch", sum(block.sizes("batch_sizes")))
        elif block.setting("task_ids") is not None:
            implied.setdefault("batch", len(block.sizes("task_ids")))
        elif block.kind == "Split":
            implied.setdefault("seq", sum(block.sizes("splits")))
            implied.setdefault("decoder_seq", sum(block.sizes("splits")))
    return implied


def _pool(base: Base, release: tuple[int, ...]) -> tuple[int | None, int | None]:
    """Heads and width of a pool's prefixes, where a release does not take them from the keys.

    adapters 1.3.0, methods/prefix_tuning.py (`add_adapter`); before it, every head of the queries had its own.
    """
    config = base.resolved_config
    heads, keys = config.get("num_attention_heads"), config.get("num_key_value_heads")
    own = heads if isinstance(heads, int) and keys not in (None, heads) and release < (1, 3) else None
    hidden, width = config.get("hidden_size"), config.get("head_dim")
    if isinstance(hidden, int) and isinstance(heads, int) and heads and width not in (None, hidden // heads):
        return own, hidden // heads
    return own, None


def _unsure(problem: str, setup: Block) -> Fault:
    return Fault("composition-not-told", facts={"problem": problem, "composition": str(setup)}, decides=True)
