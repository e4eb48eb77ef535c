"""The weight file itself: pickles, shards, other file names."""

from __future__ import annotations

import os

from adaptlint.artefacts import Malformed, TensorFile
from adaptlint.drafts.draft import SAFETENSORS, Draft, pieces_of
from adaptlint.drafts.words import SAFE, UNSAFE
from adaptlint.graph.scene import CONFIG, WEIGHTS
from adaptlint.methods import PEFT_PREFIX
from adaptlint.repair.situation import Proposal, Situation
from adaptlint.repair.words import Step

TORCH = WEIGHTS[1]
INDEX = f"{SAFETENSORS}.index.json"
LORA = "lora_"


def take_in(situation: Situation) -> Proposal | None:
    """Weights in shards, or in a file that PEFT does not open, brought into the one that it does."""
    draft = situation.draft
    names = draft.folder.names
    if draft.pieces is not None or any(name in names or name in draft.folder.odd for name in WEIGHTS):
        return None
    if CONFIG not in names:
        return None
    if INDEX in names:
        file = draft.folder.tensors(INDEX)
        parts = [os.path.basename(part.path) for part in file.parts] if isinstance(file, TensorFile) else []
        said = f"join the {len(parts)} shards of {INDEX} into {SAFETENSORS}"
        return _brought(draft, file, [INDEX, *parts], said, SAFE)
    found = [name for name in names if name.endswith((".safetensors", ".bin", ".pt")) and _holds_lora(draft, name)]
    if len(found) != 1:
        return None
    said = f"give {found[0]} the name that PEFT opens, {SAFETENSORS}"
    return _brought(draft, draft.folder.tensors(found[0]), found, said, SAFE)


def unpickle(situation: Situation) -> Proposal | None:
    """A torch checkpoint as safetensors: its bytes are copied, its pickle is read and never run."""
    draft = situation.draft
    names = draft.folder.names
    if draft.pieces is not None or TORCH not in names or SAFETENSORS in names or SAFETENSORS in draft.folder.odd:
        return None
    said = f"write {TORCH} as {SAFETENSORS}, which needs no unpickling"
    return _brought(draft, draft.folder.tensors(TORCH), [TORCH], said, SAFE)


def _brought(
    draft: Draft, file: TensorFile | Malformed, replaced: list[str], said: str, safety: str
) -> Proposal | None:
    pieces = pieces_of(file) if isinstance(file, TensorFile) else None
    if not pieces or isinstance(file, Malformed):
        return None
    if file.others:
        others = ", ".join(file.others[:4])
        said, safety = f"{said}; {len(file.others)} entries that are no tensors stay behind ({others})", UNSAFE
    made = draft._replace(metadata=file.metadata).with_pieces(pieces, *replaced)
    return Proposal(Step("weights", safety, said, tidy=True), made)


def _holds_lora(draft: Draft, name: str) -> bool:
    file = draft.folder.tensors(name)
    return isinstance(file, TensorFile) and any(PEFT_PREFIX in key and LORA in key for key in file.tensors)
