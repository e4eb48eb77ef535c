"""The copy on disk: a folder beside the place where it will stand, written and flushed whole, then renamed."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator

from adaptlint.artefacts.folders import allowed_roots, link_kind
from adaptlint.artefacts.opening import kind_of, open_regular
from adaptlint.artefacts.words import LIMITS, Malformed
from adaptlint.drafts.bytes import CHUNK, piece_bytes
from adaptlint.drafts.draft import Draft, file_head
from adaptlint.drafts.words import Piece, RepairError
from adaptlint.graph.scene import CONFIG

ZIP32 = 1 << 30  # bytes of an entry that need no zip64
DEPTH = 8  # folders within folders that are copied


def write_copy(draft: Draft, folder: str) -> list[str]:
    """Write the whole adapter as `draft` has it into the empty folder `folder`; the names of what was left out.

    Raises OSError, and RepairError for a source that changed meanwhile.
    """
    left = copy_tree(draft.folder.path, folder, draft.without | _own_files(draft))
    if draft.config is not None:
        _write(os.path.join(folder, CONFIG), [draft.config_text().encode()])
    if draft.pieces is not None:
        place = os.path.join(folder, draft.file)
        if draft.file.endswith(".safetensors"):
            _write(place, _all_bytes(file_head(draft.pieces, draft.metadata), draft.pieces))
        else:
            _write_archive(place, draft.pieces)
    shutil.copymode(draft.folder.path, folder)
    flush_folder(folder)
    return left


def _own_files(draft: Draft) -> frozenset[str]:
    config = {CONFIG} if draft.config is not None else set()
    return frozenset(config | ({draft.file} if draft.pieces is not None else set()))


def _all_bytes(head: bytes, pieces: tuple[Piece, ...]) -> Iterator[bytes]:
    yield head
    for piece in pieces:
        yield from piece_bytes(piece)


def copy_tree(source: str, target: str, without: frozenset[str], depth: int = 0) -> list[str]:
    """Copy the folder's files and folders, but for some names; links that stay inside count as what they lead to.

    What is no file or folder, or leads elsewhere, is left out, and told.
    """
    left: list[str] = []
    roots = allowed_roots(source)
    with os.scandir(source) as entries:
        listed = sorted(entries, key=lambda entry: entry.name)
    if len(listed) > LIMITS.folder_entries or depth > DEPTH:
        raise RepairError(f"{source} has too many entries or levels to be copied")
    for entry in listed:
        if depth == 0 and entry.name in without:
            continue
        place = os.path.join(target, entry.name)
        odd = link_kind(entry.path, roots) if entry.is_symlink() else ""
        kind = odd or kind_of(entry.stat().st_mode)
        if kind == "directory" and not entry.is_symlink():
            os.mkdir(place)
            left += [f"{entry.name}/{name}" for name in copy_tree(entry.path, place, without, depth + 1)]
            shutil.copymode(entry.path, place)
            flush_folder(place)
        elif kind:
            left.append(f"{entry.name} ({kind})")
        else:
            _write(place, _file_bytes(entry.path))
            shutil.copymode(entry.path, place)
    return left


def _write_archive(path: str, pieces: tuple[Piece, ...]) -> None:
    """A torch checkpoint of these tensors, which is written without torch."""
    from zipfile import ZIP_STORED, ZipFile, ZipInfo

    from adaptlint.artefacts.torch_writing import VERSION, member, state_dict_pickle

    with open(path, "xb") as stream:
        with ZipFile(stream, "w", ZIP_STORED) as archive:
            rows = ((piece.name, piece.dtype, piece.shape) for piece in pieces)
            archive.writestr(ZipInfo(member("data.pkl")), state_dict_pickle(rows))
            archive.writestr(ZipInfo(member("byteorder")), b"little")
            for number, piece in enumerate(pieces):
                with archive.open(ZipInfo(member(f"data/{number}")), "w", force_zip64=piece.size > ZIP32) as entry:
                    for chunk in piece_bytes(piece):
                        entry.write(chunk)
            archive.writestr(ZipInfo(member("version")), VERSION)
        stream.flush()
        os.fsync(stream.fileno())


def _file_bytes(path: str) -> Iterator[bytes]:
    descriptor = open_regular(path)
    if isinstance(descriptor, Malformed):
        raise RepairError(f"{path} cannot be read ({descriptor.reason.replace('-', ' ')})")
    with os.fdopen(descriptor, "rb") as stream:
        while data := stream.read(CHUNK):
            yield data


def _write(path: str, chunks: Iterator[bytes] | list[bytes]) -> None:
    with open(path, "xb") as stream:
        for chunk in chunks:
            stream.write(chunk)
        stream.flush()
        os.fsync(stream.fileno())


def flush_folder(path: str) -> None:
    """Make the names in a folder last through a power cut."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
