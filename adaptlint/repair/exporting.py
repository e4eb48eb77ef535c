"""Adapters in the spelling of the library that is the target, where both compute the same numbers.

What is not exact is refused with the reason; the copy is converted back before it is kept (`proving.py`).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from adaptlint.bases import Base
from adaptlint.drafts.draft import Draft, ordered
from adaptlint.drafts.foreign import read_foreign
from adaptlint.drafts.words import SAFE, Inexact, Piece
from adaptlint.graph.scene import CONFIG, WEIGHTS
from adaptlint.hints import Any
from adaptlint.named_tuple import NamedTuple
from adaptlint.repair.plain_lora import PlainLora, take_apart
from adaptlint.repair.situation import Proposal, Situation
from adaptlint.repair.words import Step

LIBRARIES = {
    "adapters": ("adaptlint.repair.to_adapterhub", "AdapterHub's library"),
    "mlx-lm": ("adaptlint.repair.to_mlx", "MLX"),
    "sd-scripts": ("adaptlint.repair.to_kohya", "sd-scripts"),
    "diffusers": ("adaptlint.repair.to_diffusers", "sd-scripts"),
}
"""Target -> the module that writes what it reads, and whose files these are."""


class Written(NamedTuple):
    """The adapter as another library has it: its config (None for no such file), its file of tensors, and these."""

    config: Mapping[str, Any] | None
    file: str
    pieces: Sequence[Piece]
    metadata: Mapping[str, str]
    said: str
    safety: str = SAFE


Writer = Callable[[PlainLora, Base, str], Written]


def export(situation: Situation) -> Proposal | None:
    """The adapter as the one target reads it, if that is another library than the adapter's own."""
    draft, base = situation.draft, situation.base
    targets = situation.question.targets
    library, _, release = targets[0].partition("==")
    if library not in LIBRARIES or len(targets) > 1 or base is None or draft.peft is not None:
        return None
    room, whose = LIBRARIES[library]
    read = read_foreign(draft, base)
    if read is not None and read.dialect == whose:
        return None
    if read is None and "peft_type" not in draft.settings:
        return None
    what = f"convert {len(draft.weights.tensors) if draft.weights else 0} tensors of PEFT to {whose}"
    if read is not None:
        what = f"convert an adapter of {read.dialect} to {whose}"
    try:
        if read is not None and read.refusal:
            raise Inexact(read.refusal)
        plain = draft if read is None or read.draft is None else read.draft
        _refuse_broken(situation, plain)
        made = _written(room, take_apart(plain, base), base, release, draft)
    except Inexact as reason:
        return Proposal(Step("convert", SAFE, what), draft, refusal=str(reason))
    gone = plain.without | {*WEIGHTS} | ({CONFIG} if made.config is None else set())
    copy = draft._replace(
        config=made.config,
        pieces=ordered(made.pieces),
        metadata=made.metadata,
        without=frozenset(gone - {made.file}),
        file=made.file,
        peft=plain,
    )
    safety = made.safety if read is None or read.safety == SAFE else read.safety
    return Proposal(Step("convert", safety, f"{what}: {made.said}", tidy=True), copy)


def _written(room: str, lora: PlainLora, base: Base, release: str, draft: Draft) -> Written:
    from importlib import import_module

    write: Writer = import_module(room).write
    made = write(lora, base, release)
    if made.file in draft.folder.names or made.file in draft.folder.odd:
        raise Inexact(f"the folder has a file {made.file} already")
    return made


def _refuse_broken(situation: Situation, plain: Draft) -> None:
    """Raise Inexact unless PEFT itself makes of the adapter what was saved: a fault would be carried over unseen."""
    asked = Situation(plain, situation.question._replace(targets=("peft",)))
    for verdict in asked.report.verdicts:
        if verdict.outcome != "works":
            codes = ", ".join(dict.fromkeys(f.code for f in asked.report.findings if f.decides))
            raise Inexact(
                f"for PEFT itself its outcome on this base is {verdict.outcome} ({codes or 'no finding'});"
                " repair that first, with --target peft"
            )
