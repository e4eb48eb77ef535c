"""MultiTask(a, task_ids=[0, 1]): an adapter of several tasks, and the task of each row.

Source: PEFT 0.21.2, tuners/poly (router.py, layer.py), tuners/multitask_prompt_tuning/model.py and the forwards of
peft_model.py, run with ids, batches and bases of every kind.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from adaptlint import tables
from adaptlint.findings import Fact, Fault
from adaptlint.runtimes.adapters.composition import Block
from adaptlint.runtimes.peft.first_axes import FirstAxes
from adaptlint.runtimes.peft.refusal import NotModelled, Refusal
from adaptlint.runtimes.peft.release import PEFT
from adaptlint.runtimes.peft.run import Run
from adaptlint.runtimes.peft.settings import Settings
from adaptlint.runtimes.peft.together import set_active
from adaptlint.runtimes.prediction import Request

TABLE = "runtimes/peft/composed.toml"
DOUBTS = "runtimes/peft/doubts.toml"
POLY, PROMPTS = "POLY", "MULTITASK_PROMPT_TUNING"


def by_task(run: Run, block: Block, name: str, request: Request) -> list[Fault]:
    """What goes silently wrong in a forward with these `task_ids`; Refusal where it raises."""
    faults = set_active(run, (name,))
    given = block.setting("task_ids")
    ids = given if isinstance(given, list) else [given]
    settings, release, first = run.loaded[name], run.wrapped.release, run.loaded.get(run.first)
    if not release.variants_read or release.transformers < (5,) or first is None:
        raise _untold(str(block), "task_ids of this release, or of a model whose first adapter is gone")
    method = settings.method.peft_type
    if method not in (POLY, PROMPTS):
        facts: dict[str, Fact] = {"method": method, "name": name}
        return [*faults, Fault("tasks-of-no-adapter", adapter=name, facts=facts, decides=True)]
    task = first["task_type"]
    if method == PROMPTS and task not in tables.load()[PEFT]["task"]:
        return faults  # the prompts are never put before anything, which is told of the load
    _check_handed_on(run, settings, task, given)
    if method == PROMPTS:
        _check_prompts(settings, ids, request.batch or len(ids))
        return faults
    _check_layers(run, ids, request)
    return [*faults, *_negative(settings, name, ids)]


def _check_handed_on(run: Run, settings: Settings, task: str | None, given: object) -> None:
    """Whether there are ids, and the forward of the model's class gives them to what asks for them."""
    card, method = tables.load()[DOUBTS]["tasks"], settings.method.peft_type
    unread = task in card["kept"][method] if method == PROMPTS else task not in tables.load()[PEFT]["task"]
    bases = tables.load()[TABLE]["task_ids"]["around"]
    around = method == POLY and task == "CAUSAL_LM" and run.wrapped.base.config.get("model_type") in bases
    if unread or around or given is None:
        facts: dict[str, Fact] = {"method": method, "task": str(task)}
        reason = "tasks-not-given" if given is None else "tasks-not-handed-on"
        raise _refuse("ValueError", card["asks"][method], reason, settings, "task_type", facts)


def _check_prompts(settings: Settings, ids: Sequence[int], rows: int) -> None:
    """`MultitaskPromptEmbedding.forward`: rows of two tables, multiplied into the prompts of the batch."""
    tasks = settings["num_tasks"]
    outside = next((one for one in ids if not 0 <= one < tasks), None)
    if outside is not None:
        facts: dict[str, Fact] = {"id": outside, "tasks": tasks}
        raise _refuse("IndexError", "index out of range in self", "task-unknown", settings, "num_tasks", facts)
    if len(ids) not in (1, rows):  # one id is every row's
        facts = {"ids": len(ids), "rows": rows}
        match = f"The size of tensor a ({rows}) must match the size of tensor b ({len(ids)})"
        match = "doesn't match the broadcast shape" if rows == 1 else match
        raise _refuse("RuntimeError", match, "tasks-not-of-batch", settings, "num_tasks", facts)


def _check_router(settings: Settings, ids: Sequence[int]) -> None:
    """`PolyRouter.forward`: the largest id is asked about, and Python counts those below 0 from the end."""
    tasks = settings["n_tasks"]
    if max(ids) >= tasks:
        match = f"Only {tasks} tasks available. Found task id = {max(ids)}"
        raise _refuse("ValueError", match, "task-unknown", settings, "n_tasks", {"id": max(ids), "tasks": tasks})
    below = next((one for one in ids if one < -tasks), None)
    if below is not None:
        match = f"index {below} is out of bounds for dimension 0 with size {tasks}"
        raise _refuse("IndexError", match, "task-unknown", settings, "n_tasks", {"id": below, "tasks": tasks})


def _check_layers(run: Run, ids: Sequence[int], request: Request) -> None:
    """`Linear.forward`: a matrix for each id, multiplied with what the layer is given, row by row."""
    axes = FirstAxes(run.wrapped.base, request, len(ids))
    settings = run.loaded[run.wrapped.active]
    own = {path for path, site in run.wrapped.sites.items() if run.wrapped.active in site.adapters}
    called = [(m.path, axis) for m in run.wrapped.modules if m.path in own and (axis := axes.at(m.path))]
    if axes.unsure:
        raise _untold("task_ids", axes.unsure)
    if called:
        _check_router(settings, ids)
    for path, axis in called:
        _check_splits(settings, path, run.wrapped.by_path[path].params["weight"])
        if axis.axes != 3:
            match = "batch1 must be a 3D tensor"
            raise _refuse("RuntimeError", match, "tasks-at-flat-layer", settings, "target_modules", {}, path)
        if axis.size != len(ids):
            match = "Expected size for first two dimensions of batch2 tensor to be: "
            facts: dict[str, Fact] = {"ids": len(ids), "rows": axis.size if axis.certain else "another number"}
            raise _refuse("RuntimeError", match, "tasks-not-of-batch", settings, "n_tasks", facts, path)
        if not axis.is_batch:
            raise _untold("task_ids", f"what stands on the first axis of {path}")


def _check_splits(settings: Settings, path: str, weight: Sequence[int]) -> None:
    """The splits of a layer's features, put together again, have to be all of them."""
    splits = settings["n_splits"]
    if any(size % splits for size in weight):
        facts: dict[str, Fact] = {"splits": splits, "sizes": list(weight)}
        match = "is invalid for input of size"
        raise _refuse("RuntimeError", match, "splits-not-of-layer", settings, "n_splits", facts, path)


def _negative(settings: Settings, name: str, ids: Sequence[int]) -> Iterator[Fault]:
    row = next((row for row, one in enumerate(ids) if one < 0), None)
    if row is not None:
        facts: dict[str, Fact] = {"id": ids[row], "row": row, "instead": settings["n_tasks"] + ids[row]}
        yield Fault("task-counted-from-end", adapter=name, at=settings.where("n_tasks"), facts=facts, decides=True)


def _untold(composition: str, problem: str) -> NotModelled:
    return NotModelled("composition-not-told", facts={"composition": composition, "problem": problem})


def _refuse(
    type_name: str, match: str, reason: str, settings: Settings, field: str, facts: dict[str, Fact], module: str = ""
) -> Refusal:
    at = settings.where(field)
    return Refusal(type_name, match, reason, at=at, module=module, facts=facts, stage="forward")
