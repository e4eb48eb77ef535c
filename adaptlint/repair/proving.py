"""The copy held against the original before it is kept: every tensor's bytes, every other file's, and the check."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator

from adaptlint.artefacts import Folder, Malformed, TensorFile, open_folder
from adaptlint.artefacts.opening import open_regular, read_at
from adaptlint.drafts.bytes import CHUNK, piece_bytes, turn
from adaptlint.drafts.draft import Draft, pieces_of
from adaptlint.drafts.foreign import read_foreign
from adaptlint.drafts.words import Piece, RepairError
from adaptlint.findings import Report
from adaptlint.graph.scene import CONFIG
from adaptlint.repair.plain_lora import take_apart
from adaptlint.repair.planning import Plan
from adaptlint.repair.situation import Question, Situation, worse


def prove(plan: Plan, question: Question, folder: str) -> tuple[int, Report]:
    """How many tensors of the copy in `folder` were held against the original, and the check of the copy.

    Raises RepairError where it cannot be kept.
    """
    copy = open_folder(folder)
    if isinstance(copy, Malformed):
        raise RepairError(f"the copy cannot be opened again ({copy.reason.replace('-', ' ')})")
    held = _same_tensors(plan.draft, copy)
    _same_files(plan.draft, copy)
    if plan.draft.peft is not None:
        _same_again(plan.draft.peft, copy, question)
    report = Situation(Draft(copy), question).report
    reason = worse(plan.before, report)
    if reason:
        raise RepairError(f"the copy is worse than the original: {reason}")
    codes = {finding.code for finding in report.findings}
    stayed = [code for step in plan.steps for code in step.about if code in codes]
    if stayed:
        raise RepairError(f"the copy still has {', '.join(stayed)}, which it should be without")
    return held, report


def _same_tensors(draft: Draft, copy: Folder) -> int:
    """Hash every tensor of the copy against the bytes that it was made of, under its old name in the old file."""
    if draft.pieces is None:
        return 0
    file = copy.tensors(draft.file)
    if not isinstance(file, TensorFile):
        raise RepairError(f"{draft.file} of the copy cannot be read again ({file.reason.replace('-', ' ')})")
    pieces = {piece.name: piece for piece in draft.pieces}
    written = pieces_of(file)
    if written is None or file.tensors.keys() != pieces.keys() or len(pieces) != len(draft.pieces):
        raise RepairError("the copy does not have the tensors that it should have")
    for made in written:
        name, piece = made.name, pieces[made.name]
        if (made.dtype, made.shape, made.size) != (piece.dtype, piece.shape, piece.size):
            raise RepairError(f"{name} of the copy has another type or shape")
        if _digest(made, piece.turned) != _digest(piece._replace(turned=False), turned=False):
            raise RepairError(f"{name} of the copy has other bytes than {piece.source} of the original")
    return len(pieces)


def _same_again(peft: Draft, copy: Folder, question: Question) -> None:
    """Read another library's copy back: the same matrices, byte by byte, and the same factor at each module."""
    base = Situation(peft, question).base
    back = read_foreign(Draft(copy), base) if base is not None else None
    if base is None or back is None or back.draft is None:
        said = back.refusal if back is not None else "it is not recognised"
        raise RepairError(f"the copy cannot be converted back ({said})")
    old, new = take_apart(peft, base), take_apart(back.draft, base)
    if old.modules.keys() != new.modules.keys():
        raise RepairError("the copy, converted back, is about other modules")
    for path, one in old.modules.items():
        other = new.modules[path]
        if old.scale(path) != new.scale(path):
            raise RepairError(f"the copy, converted back, scales {path} by another factor")
        for mine, theirs in ((one.first, other.first), (one.second, other.second)):
            if (mine.dtype, mine.shape) != (theirs.dtype, theirs.shape) or _contents(mine) != _contents(theirs):
                raise RepairError(f"the copy, converted back, has another {mine.name}")


def _contents(piece: Piece) -> bytes:
    """SHA-256 of a tensor's bytes in the order that its shape says."""
    digest = hashlib.sha256()
    for chunk in piece_bytes(piece):
        digest.update(chunk)
    return digest.digest()


def _digest(piece: Piece, turned: bool) -> bytes:
    """SHA-256 of a tensor's bytes as they lie in the file, or (`turned`) with its axes changed back."""
    digest = hashlib.sha256(piece.made)
    if piece.made:
        return digest.digest()
    for chunk in _chunks(piece.path, piece.start, piece.end, whole=turned):
        digest.update(turn(chunk, (piece.shape[1], piece.shape[0])) if turned else chunk)
    return digest.digest()


def _same_files(draft: Draft, copy: Folder) -> None:
    """Files that no repair is about are the same, byte by byte."""
    for name, size in draft.folder.names.items():
        if name in draft.without or (name == CONFIG and draft.config is not None):
            continue
        if name == draft.file and draft.pieces is not None:
            continue
        if copy.names.get(name) != size:
            raise RepairError(f"{name} is not in the copy as it was")
        old, new = os.path.join(draft.folder.path, name), os.path.join(copy.path, name)
        pairs = zip(_chunks(old, 0, size), _chunks(new, 0, size), strict=True)
        if any(one != other for one, other in pairs):
            raise RepairError(f"{name} of the copy has other bytes than the original")


def _chunks(path: str, start: int, end: int, whole: bool = False) -> Iterator[bytes]:
    descriptor = open_regular(path)
    if isinstance(descriptor, Malformed):
        raise RepairError(f"{path} cannot be read any more ({descriptor.reason.replace('-', ' ')})")
    try:
        step = max(end - start, 1) if whole else CHUNK
        for at in range(start, end, step):
            yield read_at(descriptor, at, min(step, end - at))
    finally:
        os.close(descriptor)
