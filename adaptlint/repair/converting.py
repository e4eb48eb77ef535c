"""Adapters of other libraries as PEFT's, where both compute the same numbers from the same matrices."""

from __future__ import annotations

from adaptlint.drafts.foreign import READERS, read_foreign
from adaptlint.drafts.words import SAFE
from adaptlint.repair.situation import Proposal, Situation
from adaptlint.repair.words import Step


def convert(situation: Situation) -> Proposal | None:
    """The adapter in PEFT's spelling, if it is one of MLX, AdapterHub's library or sd-scripts."""
    readers = {target.partition("==")[0] for target in situation.question.targets}
    if situation.base is None or not readers <= {*READERS}:
        return None
    found = read_foreign(situation.draft, situation.base)
    if found is None:
        return None
    if found.draft is None:
        step = Step("convert", SAFE, f"convert an adapter of {found.dialect} to PEFT")
        return Proposal(step, situation.draft, refusal=found.refusal)
    return Proposal(Step("convert", found.safety, found.said), found.draft)
