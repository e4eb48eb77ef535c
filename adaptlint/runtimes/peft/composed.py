"""AdapterHub's compositions in PEFT's ways of combining adapters (docs/decisions/0013-compositions-in-peft.md).

A name is `set_adapter`, a Stack several active adapters, an Average `add_weighted_adapter` with the type linear, and a
BatchSplit a mixed batch by `adapter_names`. Arrow, and MultiTask of one adapter with task_ids, are PEFT's own.
"""

from __future__ import annotations

from collections.abc import Iterator

from adaptlint import tables
from adaptlint.findings import Fact, Fault, RaisedError
from adaptlint.named_tuple import NamedTuple
from adaptlint.runtimes.adapters.composition import Block, drawn, leaf, read_composition
from adaptlint.runtimes.peft.refusal import NotModelled, Refusal
from adaptlint.runtimes.peft.run import Run
from adaptlint.runtimes.prediction import Request

TABLE = "runtimes/peft/composed.toml"
BASE = "__base__"  # PEFT's own word for a row without an adapter
ALONE = {
    "Stack": "what is active together are adapters and averages",
    "Average": "what is averaged are adapters",
    "BatchSplit": "each row has one adapter or average",
    "MultiTask": "it is an adapter that has tasks",
    "Arrow": "what is routed among are adapters, each loaded from its folder",
}


class Told(NamedTuple):
    """How it ends, up to the forward itself; `names`: the adapters whose forwards are asked for further faults."""

    outcome: str
    stage: str | None = None
    error: RaisedError | None = None
    faults: tuple[Fault, ...] = ()
    names: tuple[str, ...] = ()


def compose(run: Run, request: Request) -> Told:
    """Set the adapters active as the expression says, and judge one forward; the run's model is changed."""
    setup = read_composition(request.compose or "", in_peft=True)
    try:
        _check_words(setup)
        return _judged(run, setup, request)
    except Refusal as refusal:
        fault = refusal.fault._replace(decides=True)
        error = refusal.error if refusal.error.type else None
        return Told("fails", refusal.stage, error, (fault,))
    except NotModelled as gap:
        return Told("unknown", faults=(gap.fault._replace(decides=True),))


def drawing(request: Request) -> dict[str, object]:
    """The report's `composition`: its nodes, and on the edges the rows that each is given."""
    setup = read_composition(request.compose or "", in_peft=True)
    split = [block for block in setup.blocks() if block.kind == "BatchSplit"]
    rows = request.batch or (sum(split[0].sizes("batch_sizes")) if split else "batch")
    return {**drawn(setup, rows)}


def _check_words(setup: Block) -> None:
    """Refusal for a block that PEFT has nothing for, with what it has instead."""
    known = tables.load()[TABLE]["without_counterpart"]
    for block in setup.blocks():
        if block.kind in known and not (block.kind == "MultiTask" and len(block.children) == 1):
            _refuse_word(block, known[block.kind])


def _refuse_word(block: Block, instead: str) -> None:
    facts: dict[str, Fact] = {"block": block.kind, "composition": str(block), "instead": instead}
    raise Refusal("", "", "composition-without-counterpart", facts=facts, stage="compose")


def _judged(run: Run, setup: Block, request: Request) -> Told:
    faults: list[Fault] = []
    while setup.kind == "Stack" and len(setup.children) == 1:
        setup = setup.children[0]
    if setup.kind == "Arrow":
        from adaptlint.runtimes.peft.arrow import route

        experts = [name for child in setup.children for name in _single(child, "Arrow")]
        return _ended(route(run, setup, experts, request), "forward", tuple(experts))
    if setup.kind == "MultiTask":
        from adaptlint.runtimes.peft.tasks import by_task

        (name,) = _single(setup.children[0], "MultiTask")
        return _ended(by_task(run, setup, name, request), "forward", (name,))
    setup = _averaged(run, setup, faults)
    if setup.kind == "BatchSplit":
        from adaptlint.runtimes.peft.batches import mixed_batch

        rows = list(_rows(setup))
        faults += mixed_batch(run, rows, request)
        given = [run.over_changed_base(() if row == BASE else (row,)) for row in dict.fromkeys(rows)]
        faults += next(filter(None, given), [])
        names = tuple(name for name in dict.fromkeys(rows) if name in run.loaded)
        return _ended(faults, "forward", names)
    from adaptlint.runtimes.peft.together import set_active

    names = tuple(name for child in setup.children or (setup,) for name in _single(child, "Stack"))
    faults += set_active(run, names)
    if not any(fault.decides for fault in faults):
        faults += run.over_changed_base(names)
    return _ended(faults, "forward", tuple(name for name in dict.fromkeys(names) if name in run.loaded))


def _ended(faults: list[Fault], stage: str, names: tuple[str, ...]) -> Told:
    wrong = any(fault.decides for fault in faults)
    return Told("wrong" if wrong else "works", stage if wrong else None, None, tuple(faults), names)


def _averaged(run: Run, setup: Block, faults: list[Fault]) -> Block:
    """The same with every Average made into an adapter of its own, innermost first."""
    if not setup.kind:
        return setup
    children = tuple(_averaged(run, child, faults) for child in setup.children)
    setup = setup._replace(children=children)
    if setup.kind != "Average":
        return setup
    from adaptlint.runtimes.peft.averaging import average

    names = [name for child in children for name in _single(child, "Average")]
    return leaf(average(run, setup, names, faults))


def _single(block: Block, outer: str) -> Iterator[str]:
    """The name of an adapter; Refusal for what PEFT cannot put into a block of this kind."""
    if not block.kind:
        yield block.name
    elif block.kind == "Stack" and (len(block.children) == 1 or outer == "Stack"):
        for child in block.children:
            yield from _single(child, outer)
    else:
        _refuse_word(block, ALONE[outer])


def _rows(block: Block) -> Iterator[str]:
    """The adapter of every row, as `adapter_names` has them."""
    sizes = block.sizes("batch_sizes")
    if len(sizes) != len(block.children) or min(sizes) < 1:
        facts: dict[str, Fact] = {"sizes": sizes, "members": len(block.children), "composition": str(block)}
        raise Refusal("", "", "sizes-not-of-adapters", facts=facts, stage="compose")
    for child, size in zip(block.children, sizes, strict=True):
        if child.kind == "BatchSplit":
            _refuse_word(child, ALONE["BatchSplit"])
        for name in _single(child, "BatchSplit"):
            yield from [name] * size
