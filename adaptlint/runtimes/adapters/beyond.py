"""What a composition meets beyond its forward: `generate`, and a training step with labels or with checkpoints.

Which releases and models have it is library.toml's `beyond`, run on 1.0.0, 1.1.1, 1.2.0 and 1.3.0 (0.2.2 is not told);
what has to be true of a composition is `WHEN`. Where the plan names such a step its end is part of the verdict; else it
is told beside it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping

from adaptlint import tables
from adaptlint.findings import Fact, Fault, RaisedError
from adaptlint.hints import Any
from adaptlint.named_tuple import NamedTuple
from adaptlint.runtimes.adapters.afterwards import Used
from adaptlint.runtimes.adapters.judging import Composed, Outcome
from adaptlint.runtimes.adapters.library import FAULTS
from adaptlint.runtimes.peft.plan import RUNS, Step, parse_plan

GENERATES = ("ForCausalLM", "LMHeadModel", "ForConditionalGeneration")
TRAINS = ("For", "LMHeadModel")  # what the names of classes have that take labels
BY_TOKEN = ("ForMaskedLM", "ForTokenClassification")
SHARED_OUT = ("lora", "bottleneck", "prefix")  # methods that heed the rows that BatchSplit and Parallel give them
IN_FRONT = ("invertible", "prompt")  # methods that stand before the layers
USUAL = (
    Step("generate"),
    Step("generate", options=(("num_beams", "2"),)),
    Step("backward"),
    Step("backward", options=(("labels", "false"), ("checkpointing", "true"))),
)
Numbers = dict[str, Any]
Row = Mapping[str, Any]


class Situation(NamedTuple):
    """One step after a forward that works: `mask` is what was asked for, `walked` the composition and that forward."""

    step: Step
    used: Used
    sizes: Mapping[str, int]
    mask: str | None  # "none", "padded"; None where it was not asked: no padding
    walked: tuple[Composed, Outcome]

    @property
    def rows(self) -> int:
        """Those of the first output; 0 where they are not known."""
        first = next(iter(self.walked[1].outputs.values()), ())
        return first[0] if first and isinstance(first[0], int) else 0

    def kinds(self, names: frozenset[str]) -> frozenset[str]:
        """The methods of these adapters."""
        return frozenset(part.kind for name in names for part in self.used.loads.parts.get(name, ()))

    @property
    def copies(self) -> int:
        """How often `generate` has each text."""
        return max(self.step.number("num_beams"), self.step.number("num_return_sequences"))


class Ended(NamedTuple):
    """How a step of the plan ends; without an error it is not known how."""

    step: Step
    error: RaisedError | None
    fault: Fault


def steps_after(plan: str | None) -> tuple[tuple[Step, ...], Step | None]:
    """The plan's steps that run the model, and the first that is not followed here."""
    steps = parse_plan(plan) if plan else []
    other = next((step for step in steps if step.op not in RUNS and step.op != "load"), None)
    return tuple(step for step in steps if step.op in RUNS), other


def told_beside(
    used: Used, sizes: Mapping[str, int], mask: str | None, walked: tuple[Composed, Outcome]
) -> Iterator[Fault]:
    """What the usual steps would raise, each cause once; none of it is about the forward."""
    found: dict[Fact, Fault] = {}
    for step in USUAL:
        ended = raised_in(Situation(step, used, sizes, mask, walked))
        if ended is not None and ended.error is not None:
            facts = ended.fault.facts
            before = found.setdefault(facts["what"], ended.fault)
            if before is not ended.fault:
                steps = f"{before.facts['step']}, {facts['step']}"
                found[facts["what"]] = before._replace(facts={**before.facts, "step": steps})
    yield from found.values()


def raised_in(situation: Situation, asked: bool = False) -> Ended | None:
    """What the step raises; None where nothing is known that it would."""
    step, used = situation.step, situation.used
    known = used.loads.base.model_class or ""
    words = GENERATES if step.op == "generate" else TRAINS
    if not any(word in known for word in words):
        return None
    for row in tables.load()[FAULTS]["beyond"]:
        if row["step"] != step.op or not _is_about(row, situation):
            continue
        numbers = WHEN[row["when"]](situation, row)
        if numbers is None:
            continue
        if row.get("unsure", False):
            return Ended(step, None, Fault("step-not-modelled", facts={"step": _said(step)}, decides=asked))
        error = RaisedError(row["error"].format(**numbers), row["text"].format(**numbers))
        facts: dict[str, Fact] = {
            "step": _said(step),
            "release": used.loads.release.text,
            "composition": str(used.setup),
            "error_type": error.type,
            "error_message": error.match,
            "what": row["what"].format(**numbers),
            "help": row["help"],
        }
        reason = "plan-step-raises" if asked else "beyond-forward-raises"
        return Ended(step, error, Fault(reason, facts=facts, decides=asked))
    return None


def _is_about(row: Mapping[str, Any], situation: Situation) -> bool:
    base, reached = situation.used.loads.base, situation.used.loads.release.reached
    if "models" in row and base.model_type not in row["models"]:
        return False
    if base.model_type in row.get("but", ()):
        return False
    if "mask" in row and (situation.mask or "") not in row["mask"]:
        return False
    if row.get("beams", situation.step.number("num_beams") > 1) != (situation.step.number("num_beams") > 1):
        return False
    return reached(row["since"]) and not ("until" in row and reached(row["until"]))


def _said(step: Step) -> str:
    return "".join([step.op, *(f" {name}={value}" for name, value in step.options)])


def _split(situation: Situation, row: Row) -> Numbers | None:
    """Bottlenecks under Split, which get one token after the first; without a cache, one more than before."""
    for block in situation.used.setup.blocks():
        if block.kind == "Split" and "bottleneck" in situation.kinds(block.names()):
            length = 1 if _given(situation.step, "use_cache") else situation.sizes.get("seq", 0) + 1
            return {"length": length, "splits": block.sizes("splits")}
    return None


def _copied(situation: Situation, row: Row) -> Numbers | None:
    """BatchSplit over texts that `generate` has more than once."""
    for block in situation.used.setup.blocks():
        if block.kind == "BatchSplit" and situation.copies > 1 and situation.kinds(block.names()) & {*SHARED_OUT}:
            sizes = block.sizes("batch_sizes")
            return {"rows": situation.sizes.get("batch", sum(sizes)) * situation.copies, "sizes": sizes}
    return None


def _channels(situation: Situation, row: Row) -> Numbers | None:
    """Several channels: `generate` repeats the texts for them, and nothing beside the texts."""
    channels = situation.used.setup.channels
    if channels < 2:
        return None
    rows = situation.sizes.get("batch", 1) * situation.copies
    return {"rows": rows, "all": channels * rows}


def _uneven(situation: Situation, row: Row) -> Numbers | None:
    """The same where a mask of the texts cannot be laid out anew with a row for each channel (`view`)."""
    numbers = _channels(situation, row)
    if numbers is None or (places := numbers["rows"] * situation.sizes.get("seq", 0)) % numbers["all"] == 0:
        return None
    return {**numbers, "places": places}


def _positions(situation: Situation, row: Row) -> Numbers | None:
    """ReFT at more than the first place: a new token beside a cache has one place alone."""
    parts = (part for name in situation.used.setup.names() for part in situation.used.loads.parts.get(name, ()))
    edits = any(part.kind == "reft" and part.config["prefix_positions"] > 1 for part in parts)
    return {} if _given(situation.step, "use_cache") and edits else None


def _tasks(situation: Situation, row: Row) -> Numbers | None:
    """MultiTask, whose `task_ids` transformers does not let into `generate`."""
    return {} if any(block.kind == "MultiTask" for block in situation.used.setup.blocks()) else None


def _labels(situation: Situation, row: Row) -> Numbers | None:
    """Outputs of every channel against labels of the texts."""
    return {} if _given(situation.step, "labels") and _is_repeated(situation) else None


def _prompted(situation: Situation, row: Row) -> Numbers | None:
    """A label for every token, and outputs for a prompt too."""
    known = situation.used.loads.base.model_class or ""
    prompted = "prompt" in situation.kinds(situation.used.setup.names())
    return {} if prompted and _given(situation.step, "labels") and known.endswith(BY_TOKEN) else None


def _recomputed(situation: Situation, row: Row) -> Numbers | None:
    """Checkpoints that do not come out as they did: what is raised, and why."""
    if not situation.step.option("checkpointing"):
        return None
    from adaptlint.runtimes.adapters.recomputing import computed_again

    base, graph = situation.used.loads.base, situation.used.graph
    by_name = base.model_type in row.get("by_name", ())
    again = computed_again(graph, *situation.walked, situation.sizes, 0 if by_name else row["positions"])
    if again is None:
        return None
    return {"kind": again.kind, "text": again.text, **tables.load()[FAULTS]["recomputed"][again.how]}


def _checkpoints(situation: Situation, row: Row) -> Numbers | None:
    """Checkpoints, whatever is active."""
    return {} if situation.step.option("checkpointing") else None


def _in_front(situation: Situation, row: Row) -> Numbers | None:
    """Checkpoints behind adapters of their own that are trained, so that gradients go through what is computed anew."""
    return _checkpoints(situation, row) if situation.kinds(situation.used.setup.names()) & {*IN_FRONT} else None


def _is_repeated(situation: Situation) -> bool:
    channels = situation.used.setup.channels
    return channels > 1 and situation.rows == channels * situation.sizes.get("batch", 1)


def _given(step: Step, option: str) -> bool:
    """An option that is on unless it is said to be off."""
    return dict(step.options).get(option, "true").lower() == "true"


def _any(situation: Situation, row: Row) -> Numbers | None:
    """Whatever is active."""
    return {}


WHEN: dict[str, Callable[[Situation, Row], Numbers | None]] = {
    "split": _split,
    "copied": _copied,
    "channels": _channels,
    "positions": _positions,
    "tasks": _tasks,
    "labels": _labels,
    "prompted": _prompted,
    "recomputed": _recomputed,
    "any": _any,
    "checkpoints": _checkpoints,
    "front": _in_front,
    "uneven": _uneven,
}
