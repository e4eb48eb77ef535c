"""What there is to say about a composition's forward: the rule that it breaks, and the facts behind it."""

from __future__ import annotations

from collections.abc import Mapping

from adaptlint.dataflow.calls import RAISE, FlowConflict
from adaptlint.findings import Fact, Fault
from adaptlint.runtimes.adapters.composition import Block
from adaptlint.runtimes.adapters.judging import Outcome
from adaptlint.runtimes.adapters.walk import Note

BY_TEXT = (
    ("hub.merged_lora", "Cannot use", "composition-at-fused-projection"),
    ("hub.merged_lora", "unhashable", "composition-at-fused-projection"),
    ("hub.lora", "cannot be multiplied", "stacked-widths-disagree"),
    ("hub.", "sum of batch_sizes", "split-sizes-disagree"),
    ("hub.", "sum of splits", "split-sizes-disagree"),
    ("hub.", "must be divisible", "split-sizes-disagree"),
    ("hub.", "is out of bounds for dimension 0", "split-sizes-disagree"),
    ("hub.", "NoneType", "adapter-absent-at-site"),
)
"""Layer, what its error says, and the rule; the first that fits."""
LAID_OUT = "is invalid for input of size"
MODEL = "the model"
SILENT = {
    "hub.lora": "rows-of-another-lora",
    "hub.merged_lora": "rows-of-another-lora",
    "hub.bottleneck": "rows-of-another-bottleneck",
    "hub.prefix": "prefixes-of-other-lengths",
    "hub.reft": "first-adapter-for-all-rows",
    "hub.prompt": "first-adapter-for-all-rows",
    "hub.invertible": "first-adapter-for-all-rows",
}
"""Layers whose rows are not what their own adapters alone would give, and the rule."""


def fault_of_error(outcome: Outcome, setup: Block, sizes: Mapping[str, int]) -> Fault:
    """Why the forward raises."""
    conflict, error = outcome.conflict, outcome.error or ("", "")
    facts: dict[str, Fact] = {
        "composition": str(setup),
        "error_type": error[0],
        "error_message": error[1] or "no text",
        "sizes": said(sizes),
    }
    if conflict is None:
        return Fault("composition-refused", facts=facts, decides=True)
    facts |= {"source": conflict.source, "operands": conflict.text or "nothing", "place": conflict.folded or MODEL}
    leak = next((note for note in outcome.notes if note.reason == "channels-leave-batch"), None)
    if leak is not None:
        facts |= _of_leak(leak)
    reason = _reason(conflict, error, leak is not None or (setup.channels > 1 and LAID_OUT in error[1]))
    return Fault(reason, module=conflict.folded, facts=facts, decides=True)


def _reason(conflict: FlowConflict, error: tuple[str, str], leaks: bool) -> str:
    for op, text, reason in BY_TEXT:
        if conflict.op.startswith(op) and text in error[1]:
            return reason
    if error[0] == "NotImplementedError":
        return "block-not-for-method"
    if error == ("AssertionError", ""):
        return "tasks-not-forwarded"
    if error[0] == "KeyError":
        return "fusion-layer-missing" if "," in error[1] else "adapter-absent-at-site"
    if not conflict.op.startswith("hub.") and (leaks or conflict.op == RAISE):
        return "channels-break-attention"
    return "composition-raises"


def fault_of_note(note: Note, setup: Block, sizes: Mapping[str, int]) -> Fault:
    """What is wrong though nothing raises."""
    facts: dict[str, Fact] = {"composition": str(setup), "sizes": said(sizes), "place": note.module or MODEL}
    facts |= {name: value for name, value in note.facts.items() if name != "op"}
    if note.reason == "channels-leave-batch":
        facts |= _of_leak(note)
    op = str(note.facts.get("op", ""))
    reason = SILENT[op] if note.reason == "rows of another adapter" else note.reason
    return Fault(reason, module=note.module, facts=facts, decides=note.decides)


def _of_leak(note: Note) -> dict[str, Fact]:
    return {
        "leak_module": note.module or MODEL,
        "leak_op": str(note.facts["op"]),
        "leak_source": str(note.facts["source"]),
        "leak_shape": str(tuple(note.facts["shape"])),
        "leak_usual": str(tuple(note.facts["usual"])),
    }


def said(sizes: Mapping[str, int]) -> str:
    """The sizes of a forward in words."""
    words = {"batch": "batch {}", "seq": "{} tokens", "decoder_seq": "{} tokens for the decoder"}
    return ", ".join(words[name].format(size) for name, size in sizes.items() if name in words) or "any sizes"
