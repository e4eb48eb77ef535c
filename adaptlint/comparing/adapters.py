"""Two adapters: configs field by field, tensors by name, shape, type and bytes."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator, Mapping

from adaptlint import tables
from adaptlint.artefacts import BITS, Document, Folder, TensorFile
from adaptlint.comparing.words import LOADS, RETRAIN, SAME_OUTPUT, UNKNOWN, Difference, listed, sides
from adaptlint.drafts.bytes import piece_bytes
from adaptlint.drafts.draft import pieces_of
from adaptlint.drafts.words import Piece
from adaptlint.graph.scene import CONFIG, WEIGHTS
from adaptlint.hints import Any
from adaptlint.repair.config_edits import usual_values
from adaptlint.runtimes.peft.mending import adapted_modules

FIELDS = "comparing/fields.toml"
EXACT = {("F16", "F32"), ("BF16", "F32"), ("F16", "F64"), ("BF16", "F64"), ("F32", "F64")}
Pieces = Mapping[str, Piece]


def settings_of(folder: Folder) -> dict[str, Any] | None:
    """The config's object; None where it cannot be read or is none of PEFT's."""
    document = folder.json(CONFIG)
    value = document.value if isinstance(document, Document) else None
    return value if isinstance(value, dict) and "peft_type" in value else None


def tensors_of(folder: Folder) -> Pieces | None:
    """The tensors by name; None where the bytes of one cannot be pointed at."""
    name = next((name for name in WEIGHTS if name in folder.names), None)
    file = folder.tensors(name) if name else None
    pieces = pieces_of(file) if isinstance(file, TensorFile) else None
    return None if pieces is None else {piece.name: piece for piece in pieces}


def config_differences(old: dict[str, Any], new: dict[str, Any], tensors: tuple[Pieces, Pieces]) -> list[Difference]:
    """One difference per field; a field that is not there has its default value."""
    table = tables.load()[FIELDS]
    usual = usual_values(old) if old["peft_type"] == new["peft_type"] else {}
    groups = {field: group for group in table["group"] for field in group["fields"]}
    found = []
    for field in sorted({*old, *new}):
        one, other = (given.get(field, usual.get(field)) for given in (old, new))
        if _meant(one) == _meant(other):
            continue
        category, reason = _field_category(field, groups, table, usual, _same_places(old, tensors))
        before, after = sides(old, new, field)
        found.append(Difference(category, "config", field, before, after, reason))
    return found


def _field_category(
    field: str, groups: Mapping[str, Any], table: Mapping[str, Any], usual: Mapping[str, Any], same_places: bool
) -> tuple[str, str]:
    places = table["places"]
    if field in places["fields"]:
        return (SAME_OUTPUT, places["same"]) if same_places else (RETRAIN, places["other"])
    if field in groups:
        return groups[field]["category"], groups[field]["reason"]
    if usual and field not in usual:
        return SAME_OUTPUT, "no release of PEFT has this field"
    return UNKNOWN, "what it changes is not known here"


def _same_places(old: dict[str, Any], tensors: tuple[Pieces, Pieces]) -> bool:
    prefix = "lora_" if old["peft_type"] == "LORA" else ""
    one, other = ({*adapted_modules(pieces, prefix)} if prefix else set() for pieces in tensors)
    return bool(one) and one == other


def _meant(value: Any) -> Any:
    """Lists of names are sets to PEFT."""
    if isinstance(value, list) and all(isinstance(item, str) for item in value):
        return sorted(set(value))
    return value


def tensor_differences(old: Pieces, new: Pieces) -> list[Difference]:
    """Names, shapes, types and bytes; tensors that differ in the same way are told as one, layers folded."""
    groups: dict[tuple[str, str, str, str], list[str]] = {}

    def note(category: str, one: str, other: str, reason: str, name: str) -> None:
        groups.setdefault((category, one, other, reason), []).append(name)

    renamed = _renamed(old, new)
    for name in old:
        if name not in new and name not in renamed:
            note(RETRAIN, described(old[name]), "not there", "a part of the adapter is gone", name)
    for name, to in renamed.items():
        note(UNKNOWN, name, to, "the same bytes under another name; whether it arrives there depends on the base", name)
    for name in new:
        if name not in old and name not in renamed.values():
            note(RETRAIN, "not there", described(new[name]), "a part of the adapter is new", name)
    for name in old.keys() & new.keys():
        for category, reason in _one_tensor(old[name], new[name]):
            note(category, described(old[name]), described(new[name]), reason, name)
    return [
        Difference(category, "tensor", listed(names), one, other, reason, len(names))
        for (category, one, other, reason), names in _merged(groups).items()
    ]


def _merged(groups: dict[tuple[str, str, str, str], list[str]]) -> dict[tuple[str, str, str, str], list[str]]:
    """Renamed tensors as one group; the others as they are."""
    merged: dict[tuple[str, str, str, str], list[str]] = {}
    for (category, one, other, reason), names in groups.items():
        if category == UNKNOWN:
            known = next((key for key in merged if key[0] == UNKNOWN), (category, one, other, reason))
            merged.setdefault(known, []).extend(names)
        else:
            merged[category, one, other, reason] = sorted(names)
    return merged


def _one_tensor(old: Piece, new: Piece) -> Iterator[tuple[str, str]]:
    if old.shape != new.shape:
        yield RETRAIN, "matrices of another size: what goes on from the old ones cannot go on from these"
    elif old.dtype != new.dtype:
        if (old.dtype, new.dtype) in EXACT:
            yield LOADS, "a wider type; the numbers themselves were not compared"
        else:
            yield LOADS, "another type rounds the numbers"
    elif digest(old) != digest(new):
        yield LOADS, "other numbers"


def _renamed(old: Pieces, new: Pieces) -> dict[str, str]:
    """Tensors with the same bytes under a name that only the other side has."""
    gone, come = [old[n] for n in old if n not in new], [new[n] for n in new if n not in old]
    if not gone or not come:
        return {}
    by_digest: dict[tuple[object, ...], list[str]] = {}
    for piece in come:
        by_digest.setdefault((piece.dtype, piece.shape, digest(piece)), []).append(piece.name)
    found = {piece.name: by_digest.get((piece.dtype, piece.shape, digest(piece)), []) for piece in gone}
    return {name: names[0] for name, names in found.items() if len(names) == 1}


def digest(piece: Piece) -> bytes:
    """SHA-256 of a tensor's bytes, read in chunks."""
    hashed = hashlib.sha256()
    for chunk in piece_bytes(piece):
        hashed.update(chunk)
    return hashed.digest()


def described(piece: Piece) -> str:
    """Type and shape."""
    return f"{piece.dtype} {list(piece.shape)}" if piece.dtype in BITS else piece.dtype


def is_adapter(path: str) -> bool:
    """True for a folder with an adapter's config or weights."""
    return any(os.path.lexists(os.path.join(path, name)) for name in (CONFIG, *WEIGHTS))
