"""Safetensors headers: the same answer as the library, for sound files and broken ones."""

from __future__ import annotations

import random
from pathlib import Path

import pytest
from safetensors import SafetensorError, safe_open

from adaptlint.artefacts import Malformed, TensorFile, TensorRow, read_tensors

from .galleries import DATA, headers, safetensors, sound_headers, tensor

HEADERS, SOUND = headers(), sound_headers()


def library(path: Path) -> tuple[str, str] | None:
    from safetensors.torch import load_file

    try:
        load_file(path)
    except SafetensorError as error:
        return type(error).__name__, str(error)
    return None


def agree(path: Path) -> Malformed | TensorFile:
    """Our answer, after checking that the library gives the same."""
    ours, theirs = read_tensors(str(path)), library(path)
    if isinstance(ours, Malformed):
        assert theirs is not None, ours
        assert ours.facts["library_type"] == theirs[0]
        assert str(ours.facts["library_error"]) in theirs[1]
    else:
        assert theirs is None, theirs
        with safe_open(path, "pt") as opened:
            assert sorted(opened.keys()) == sorted(ours.tensors)
            for name, row in ours.tensors.items():
                view = opened.get_slice(name)
                assert (row.dtype, list(row.shape)) == (view.get_dtype(), view.get_shape())
    return ours


@pytest.mark.parametrize("name", HEADERS)
def test_broken_header_as_library_says(name: str, tmp_path: Path) -> None:
    path = tmp_path / "a.safetensors"
    path.write_bytes(HEADERS[name])
    assert isinstance(agree(path), Malformed)


@pytest.mark.parametrize("name", SOUND)
def test_odd_but_sound_header(name: str, tmp_path: Path) -> None:
    path = tmp_path / "a.safetensors"
    path.write_bytes(SOUND[name])
    assert isinstance(agree(path), TensorFile)


def test_row_place_excerpt_and_metadata(tmp_path: Path) -> None:
    content = safetensors(
        {"__metadata__": {"format": "pt"}, "ü.a": tensor(), "b": tensor("BF16", [2], [4, 8])}, DATA * 2
    )
    path = tmp_path / "a.safetensors"
    path.write_bytes(content)
    file = read_tensors(str(path))
    assert isinstance(file, TensorFile)
    assert file.metadata == {"format": "pt"}
    assert list(file.tensors) == ["ü.a", "b"]
    assert file.tensors["b"] == TensorRow("BF16", (2,), 4, 8)
    assert file.duplicates == ()
    place = file.place(("b",))
    assert place is not None
    entry = content[place.start_byte : place.end_byte]
    assert entry == b'"b": {"dtype": "BF16", "shape": [2], "data_offsets": [4, 8]}'
    assert file.excerpt(("b",)) == entry.decode()
    assert (place.line, place.column) == (1, content[8 : place.start_byte].decode().__len__() + 1)
    inside = file.place(("__metadata__", "format"))
    assert inside is not None
    assert content[inside.start_byte : inside.end_byte] == b'"format": "pt"'
    assert file.place(("c",)) is None
    assert content[file.data_start :] == DATA * 2


def test_repeated_name_is_told_and_last_wins(tmp_path: Path) -> None:
    first, last = (
        b'{"dtype":"I32","shape":[1],"data_offsets":[0,4]}',
        b'{"dtype":"F32","shape":[1],"data_offsets":[0,4]}',
    )
    path = tmp_path / "a.safetensors"
    path.write_bytes(safetensors(b'{"a":' + first + b',"a":' + last + b"}"))
    file = agree(path)
    assert isinstance(file, TensorFile)
    assert file.duplicates == ("a",)
    assert file.tensors["a"].dtype == "F32"
    assert file.excerpt(("a",)) == '"a":' + last.decode()


def test_fault_names_entry_and_place(tmp_path: Path) -> None:
    content = safetensors({"a": tensor(), "b": tensor("F7", offsets=[4, 8])}, DATA * 2)
    path = tmp_path / "a.safetensors"
    path.write_bytes(content)
    fault = read_tensors(str(path))
    assert isinstance(fault, Malformed)
    assert (fault.reason, fault.facts["tensor"], fault.facts["dtype"]) == ("header-dtype-unknown", "b", "F7")
    assert fault.place is not None
    assert content[fault.place.start_byte : fault.place.end_byte].startswith(b'"b": {"dtype": "F7"')


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("seven-bytes", "header-too-small"),
        ("empty", "empty-file"),
        ("lfs-pointer", "lfs-pointer"),
        ("html", "html-page"),
        ("torch-archive", "torch-checkpoint-named-safetensors"),
        ("trailing-data", "file-not-covered"),
        ("data-cut", "file-not-covered"),
        ("entry-size-too-small", "tensor-size-disagrees"),
        ("gap-in-second", "tensor-offsets-invalid"),
        ("length-beyond-file", "header-length-invalid"),
        ("length-beyond-limit", "header-too-large"),
        ("header-list", "header-not-an-object"),
        ("header-metadata-number", "header-metadata-invalid"),
    ],
)
def test_reasons(name: str, reason: str, tmp_path: Path) -> None:
    path = tmp_path / "a.safetensors"
    path.write_bytes(HEADERS[name])
    fault = read_tensors(str(path))
    assert isinstance(fault, Malformed)
    assert fault.reason == reason


def test_flipped_and_cut_files_agree_with_library(tmp_path: Path) -> None:
    rows = {f"base.layers.{i}.lora_A.weight": tensor("F16", [2, 2], [8 * i, 8 * i + 8]) for i in range(6)}
    sound = safetensors({"__metadata__": {"format": "pt"}, **rows}, b"\0" * 48)
    pieces = (b"{", b"}", b"[", b",", b":", b'"', b"-0", b"1e3", b"null", b"NaN", b"\\", b"\\ud800", b"\xff", b" ")
    rnd = random.Random(20)
    path = tmp_path / "a.safetensors"
    outcomes = set()
    for _ in range(600):
        content = bytearray(sound)
        at = rnd.randrange(len(content) - 48)
        kind = rnd.randrange(4)
        if kind == 0:
            content[at] = rnd.randrange(256)
        elif kind == 1:
            del content[at:]
        else:
            content[at : at + rnd.randrange(3)] = rnd.choice(pieces)
            if kind == 3:
                content[:8] = (len(content) - 56).to_bytes(8, "little")
        path.write_bytes(content)
        outcomes.add(getattr(agree(path), "reason", "sound"))
    assert {"sound", "header-not-json", "header-not-utf8", "header-length-invalid"} <= outcomes
