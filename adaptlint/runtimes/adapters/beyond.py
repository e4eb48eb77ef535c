"""What a composition meets beyond its forward: `generate`, and a training step with labels or with checkpoints.

Which releases and models have it is library.toml's `beyond`, run on 1.0.0, 1.1.1, 1.2.0 and 1.3.0; what has to be true
of a composition is `WHEN`. Where the plan names such a step its end is part of the verdict; else it is told beside it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping

from adaptlint import tables
from adaptlint.findings import Fact, Fault, RaisedError
from adaptlint.hints import Any
from adaptlint.named_tuple import NamedTuple
from adaptlint.runtimes.adapters.afterwards import Used
from adaptlint.runtimes.adapters.library import FAULTS
from adaptlint.runtimes.peft.plan import RUNS, Step, parse_plan

GENERATES = ("ForCausalLM", "LMHeadModel", "ForConditionalGeneration")
TRAINS = ("For", "LMHeadModel")  # what the names of classes have that take labels
BY_TOKEN = ("ForMaskedLM", "ForTokenClassification")
SHARED_OUT = ("lora", "bottleneck", "prefix")  # methods that heed the rows that BatchSplit and Parallel give them
USUAL = (
    Step("generate"),
    Step("generate", options=(("num_beams", "2"),)),
    Step("backward"),
    Step("backward", options=(("labels", "false"), ("checkpointing", "true"))),
)
Numbers = dict[str, Any]


class Situation(NamedTuple):
    """One step after a forward that works: `rows` are those of the first output, `mask` what was asked for."""

    step: Step
    used: Used
    sizes: Mapping[str, int]
    rows: int
    mask: str | None  # "none", "padded"; None where it was not asked: no padding

    def kinds(self, names: frozenset[str]) -> frozenset[str]:
        """The methods of these adapters."""
        return frozenset(part.kind for name in names for part in self.used.loads.parts.get(name, ()))

    @property
    def copies(self) -> int:
        """How often `generate` has each text."""
        return max(self.step.number("num_beams"), self.step.number("num_return_sequences"))


class Ended(NamedTuple):
    """How a step of the plan ends."""

    step: Step
    error: RaisedError
    fault: Fault


def steps_after(plan: str | None) -> tuple[tuple[Step, ...], Step | None]:
    """The plan's steps that run the model, and the first that is not followed here."""
    steps = parse_plan(plan) if plan else []
    other = next((step for step in steps if step.op not in RUNS and step.op != "load"), None)
    return tuple(step for step in steps if step.op in RUNS), other


def told_beside(used: Used, sizes: Mapping[str, int], rows: int, mask: str | None) -> Iterator[Fault]:
    """What the usual steps would raise, each cause once; none of it is about the forward."""
    found: dict[Fact, Fault] = {}
    for step in USUAL:
        ended = raised_in(Situation(step, used, sizes, rows, mask))
        if ended is not None:
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
        numbers = WHEN[row["when"]](situation)
        if numbers is None:
            continue
        error = RaisedError(row["error"], row["text"].format(**numbers))
        facts: dict[str, Fact] = {
            "step": _said(step),
            "release": used.loads.release.text,
            "composition": str(used.setup),
            "error_type": error.type,
            "error_message": error.match,
            "what": row["what"],
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


def _split(situation: Situation) -> Numbers | None:
    """Bottlenecks under Split, which get one token after the first; without a cache, one more than before."""
    for block in situation.used.setup.blocks():
        if block.kind == "Split" and "bottleneck" in situation.kinds(block.names()):
            length = 1 if _given(situation.step, "use_cache") else situation.sizes.get("seq", 0) + 1
            return {"length": length, "splits": block.sizes("splits")}
    return None


def _copied(situation: Situation) -> Numbers | None:
    """BatchSplit over texts that `generate` has more than once."""
    for block in situation.used.setup.blocks():
        if block.kind == "BatchSplit" and situation.copies > 1 and situation.kinds(block.names()) & {*SHARED_OUT}:
            sizes = block.sizes("batch_sizes")
            return {"rows": situation.sizes.get("batch", sum(sizes)) * situation.copies, "sizes": sizes}
    return None


def _channels(situation: Situation) -> Numbers | None:
    """Several channels: `generate` repeats the texts for them, and nothing beside the texts."""
    channels = situation.used.setup.channels
    if channels < 2:
        return None
    rows = situation.sizes.get("batch", 1) * situation.copies
    return {"rows": rows, "all": channels * rows}


def _positions(situation: Situation) -> Numbers | None:
    """ReFT at more than the first place: a new token beside a cache has one place alone."""
    parts = (part for name in situation.used.setup.names() for part in situation.used.loads.parts.get(name, ()))
    edits = any(part.kind == "reft" and part.config["prefix_positions"] > 1 for part in parts)
    return {} if _given(situation.step, "use_cache") and edits else None


def _tasks(situation: Situation) -> Numbers | None:
    """MultiTask, whose `task_ids` transformers does not let into `generate`."""
    return {} if any(block.kind == "MultiTask" for block in situation.used.setup.blocks()) else None


def _labels(situation: Situation) -> Numbers | None:
    """Outputs of every channel against labels of the texts."""
    return {} if _given(situation.step, "labels") and _is_repeated(situation) else None


def _prompted(situation: Situation) -> Numbers | None:
    """A label for every token, and outputs for a prompt too."""
    known = situation.used.loads.base.model_class or ""
    prompted = "prompt" in situation.kinds(situation.used.setup.names())
    return {} if prompted and _given(situation.step, "labels") and known.endswith(BY_TOKEN) else None


def _recomputed(situation: Situation) -> Numbers | None:
    """Rows that a block is given repeated already, where it repeated them itself the first time."""
    if not situation.step.option("checkpointing") or not _is_repeated(situation):
        return None
    return {} if situation.kinds(situation.used.setup.names()) & {"bottleneck", "prefix"} else None


def _checkpoints(situation: Situation) -> Numbers | None:
    """Checkpoints, whatever is active."""
    return {} if situation.step.option("checkpointing") else None


def _overwritten(situation: Situation) -> Numbers | None:
    """The same in models that write into what was computed before."""
    return {} if situation.step.option("checkpointing") and _is_repeated(situation) else None


def _is_repeated(situation: Situation) -> bool:
    channels = situation.used.setup.channels
    return channels > 1 and situation.rows == channels * situation.sizes.get("batch", 1)


def _given(step: Step, option: str) -> bool:
    """An option that is on unless it is said to be off."""
    return dict(step.options).get(option, "true").lower() == "true"


WHEN: dict[str, Callable[[Situation], Numbers | None]] = {
    "split": _split,
    "copied": _copied,
    "channels": _channels,
    "positions": _positions,
    "tasks": _tasks,
    "labels": _labels,
    "prompted": _prompted,
    "recomputed": _recomputed,
    "overwritten": _overwritten,
    "checkpoints": _checkpoints,
}
