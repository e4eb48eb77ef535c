"""Tensors under other names than those that PEFT looks for."""

from __future__ import annotations

from adaptlint.drafts.draft import pieces_of
from adaptlint.drafts.words import UNSAFE
from adaptlint.repair.situation import Proposal, Situation
from adaptlint.repair.words import Step
from adaptlint.runtimes.peft.unmet import unmet_of
from adaptlint.runtimes.peft.wrappers import renaming_of


def rename_keys(situation: Situation) -> Proposal | None:
    """New names for the tensors that are of no use under theirs, by the known wrappers and renames."""
    draft, base, weights = situation.draft, situation.base, situation.draft.weights
    unmet = unmet_of(situation.scene, situation.question.request) if base is not None else None
    if unmet is None or base is None or weights is None or not unmet.stray:
        return None
    renaming = renaming_of(unmet.stray, unmet.wanted, base)
    pieces = draft.pieces or pieces_of(weights)
    if not renaming.names or pieces is None:
        return None
    if {*renaming.names.values()} & {piece.name for piece in pieces}:
        return None  # two tensors would have one name
    renamed = [piece._replace(name=renaming.names.get(piece.name, piece.name)) for piece in pieces]
    whole = not renaming.left or not unmet.certain
    safety = renaming.safety if whole else UNSAFE
    said = f"rename {len(renaming.names)} of {len(pieces)} tensors: {'; '.join(renaming.causes)}"
    return Proposal(Step("keys", safety, said), draft.with_pieces(renamed), blind=not unmet.certain)
