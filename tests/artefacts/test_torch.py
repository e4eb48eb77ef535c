"""Torch checkpoints: read without unpickling, with `torch.load(weights_only=True)`'s own answers."""

from __future__ import annotations

import io
import os
import random
from collections import OrderedDict
from pathlib import Path

import pytest

from adaptlint.artefacts import Malformed, TensorFile, read_tensors

from .galleries import Calls, pickled, rezipped, tar

torch = pytest.importorskip("torch")


def library(path: Path) -> tuple[str, str] | None:
    try:
        torch.load(path, weights_only=True, map_location="cpu")
    except Exception as error:
        return type(error).__name__, str(error)
    return None


def saved(value: object, legacy: bool = False) -> bytes:
    out = io.BytesIO()
    torch.save(value, out, _use_new_zipfile_serialization=not legacy)
    return out.getvalue()


def weights() -> dict[str, object]:
    base = torch.arange(24, dtype=torch.float32).reshape(4, 6)
    return {
        "a.lora_A.weight": base,
        "a.lora_B.weight": torch.zeros(3, 5, dtype=torch.bfloat16),
        "view": base[1:3, ::2],
        "turned": base.t(),
        "half": base.half()[2:],
        "scalar": torch.tensor(3, dtype=torch.int8),
        "empty": torch.empty(0, 3),
        "wide": torch.ones(2, dtype=torch.complex64),
        "f8": torch.ones(4).to(torch.float8_e4m3fn),
        "parameter": torch.nn.Parameter(torch.ones(2)),
    }


def broken() -> dict[str, bytes]:
    zipped, old = saved(weights()), saved({"a": torch.ones(4)}, legacy=True)
    large = saved({"a": torch.ones(40_000)})
    files = {
        "empty": b"",
        "one-byte": b"\x80",
        "text": b"hello",
        "lfs-pointer": b"version https://git-lfs.github.com/spec/v1\noid",
        "html": b"<!DOCTYPE html>",
        "zeros": b"\0" * 100,
        "zero-blocks": b"\0" * 4096,
        "tar": tar(),
        "plain-pickle": pickled({"a": 1}),
        "protocol-4": pickled({"a": 1}, 4),
        "zip-signature-alone": b"PK\x03\x04",
        "zip-without-version": rezipped(zipped, version=None),
        "zip-without-pickle": rezipped(zipped, data_pkl=None),
        "zip-without-storage": rezipped(zipped, data_0=None),
        "zip-storage-short": rezipped(zipped, data_0=b"1234"),
        "zip-byteorder": rezipped(zipped, byteorder=b"middle"),
        "zip-version-99": rezipped(zipped, version=b"99\n"),
        "zip-version-text": rezipped(zipped, version=b"x\n"),
        "zip-pickle-cut": rezipped(zipped, data_pkl=b"\x80\x02}q"),
        "system": saved({"a": Calls(os.system, "false")}),
        "eval": saved({"a": Calls(eval, "1")}),
        "system-legacy": saved({"a": Calls(os.system, "false")}, legacy=True),
        "a-class": saved({"a": Path("x")}),
        "numpy": saved({"a": torch.ones(1).numpy()}),
        "legacy-f8": saved({"a": torch.ones(4).to(torch.float8_e4m3fn)}, legacy=True),
        "legacy-cut": old[:-3],
        "legacy-count-cut": old[:-20],
        "legacy-pickle-cut": old[:60],
    }
    for size in (4, 21, 22, 500, 4096, 4097, 5000, 20_000, 100_000, len(large) - 1):
        files[f"cut-{size}"] = large[:size]
    for more in (5000, 70_000):
        files[f"appended-{more}"] = saved({"a": torch.ones(4)}) + b"\0" * more
    return files


BROKEN = broken()


def agree(path: Path) -> Malformed | TensorFile:
    ours, theirs = read_tensors(str(path)), library(path)
    if isinstance(ours, Malformed):
        if "library_type" in ours.facts:
            assert theirs is not None, ours
            assert ours.facts["library_type"] == theirs[0], theirs
            assert str(ours.facts["library_error"]) in theirs[1]
            assert str(ours.facts.get("library_detail", "")) in theirs[1]
    else:
        assert theirs is None, theirs
    return ours


@pytest.mark.parametrize("name", BROKEN)
def test_broken_checkpoint_as_torch_says(name: str, tmp_path: Path) -> None:
    path = tmp_path / "adapter_model.bin"
    path.write_bytes(BROKEN[name])
    ours = agree(path)
    assert isinstance(ours, Malformed)
    assert "library_type" in ours.facts


@pytest.mark.parametrize("legacy", [False, True])
@pytest.mark.parametrize("ordered", [False, True])
def test_rows_are_those_of_torch(legacy: bool, ordered: bool, tmp_path: Path) -> None:
    value = OrderedDict(weights()) if ordered else weights()
    if legacy:
        value = type(value)(item for item in value.items() if item[0] != "f8")  # torch itself cannot read that back
    content = saved(value, legacy)
    path = tmp_path / "adapter_model.bin"
    path.write_bytes(content)
    file = agree(path)
    assert isinstance(file, TensorFile)
    assert file.container == ("torch-legacy" if legacy else "torch-zip")
    spelling = {
        torch.float32: "F32",
        torch.bfloat16: "BF16",
        torch.float16: "F16",
        torch.int8: "I8",
        torch.complex64: "C64",
        torch.float8_e4m3fn: "F8_E4M3",
    }
    loaded = torch.load(path, weights_only=True)
    assert list(file.tensors) == list(loaded)
    for name, row in file.tensors.items():
        assert (row.dtype, row.shape) == (spelling[loaded[name].dtype], tuple(loaded[name].shape))
        if loaded[name].is_contiguous() and loaded[name].numel():
            data = bytes(loaded[name].detach().reshape(-1).view(torch.uint8).numpy())
            assert content[row.start : row.end] == data
    assert file.tensors["view"].start == -1
    assert file.tensors["turned"][2:] == file.tensors["a.lora_A.weight"][2:]


def test_keys_without_tensors_are_told_apart(tmp_path: Path) -> None:
    path = tmp_path / "adapter_model.bin"
    path.write_bytes(saved({"a": torch.ones(2), "epoch": 3, "state": {"b": torch.ones(1)}, 5: "x"}))
    file = agree(path)
    assert isinstance(file, TensorFile)
    assert list(file.tensors) == ["a"]
    assert file.others == ("epoch", "state", "5")


def test_first_refused_name_is_told(tmp_path: Path) -> None:
    path = tmp_path / "adapter_model.bin"
    path.write_bytes(BROKEN["system"])
    fault = read_tensors(str(path))
    assert isinstance(fault, Malformed)
    assert (fault.reason, fault.facts["name"]) == ("pickle-dangerous-global", f"{os.system.__module__}.system")


def test_allowed_names_are_those_of_torch() -> None:
    from torch._weights_only_unpickler import _get_allowed_globals

    from adaptlint.artefacts.torch_globals import ALLOWED

    assert set(_get_allowed_globals()) == ALLOWED


def test_not_a_dict_and_safetensors_content(tmp_path: Path) -> None:
    from safetensors.torch import save

    path = tmp_path / "adapter_model.bin"
    path.write_bytes(saved([torch.ones(1)]))
    fault = agree(path)
    assert isinstance(fault, Malformed)
    assert (fault.reason, fault.facts["holds"]) == ("not-a-state-dict", "list")
    path.write_bytes(save({"a": torch.ones(1)}))
    fault = agree(path)
    assert isinstance(fault, Malformed)
    assert fault.reason == "safetensors-named-torch-checkpoint"


def test_bombs_are_refused_unread(tmp_path: Path) -> None:
    import zipfile

    path = tmp_path / "adapter_model.bin"
    sound = saved({"a": torch.ones(1)})
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as bomb, zipfile.ZipFile(io.BytesIO(sound)) as old:
        for info in old.infolist():
            bomb.writestr(info.filename, b"\0" * (80 << 20) if "data.pkl" in info.filename else old.read(info))
    fault = read_tensors(str(path))
    assert isinstance(fault, Malformed)
    assert fault.reason == "torch-record-too-large"
    nested = b"\x80\x02" + b"q\0".join([b")"] + [b"h\0h\0\x86"] * 60) + b"}" + b"h\0N" + b"s."
    path.write_bytes(rezipped(sound, data_pkl=nested))
    fault = read_tensors(str(path))
    assert isinstance(fault, Malformed)
    assert fault.reason == "pickle-not-understood"


@pytest.mark.parametrize("legacy", [False, True])
def test_flipped_pickles_never_raise_and_agree(legacy: bool, tmp_path: Path) -> None:
    sound = saved({"a.lora_A.weight": torch.ones(2, 3), "b": torch.zeros(2, dtype=torch.bfloat16)}, legacy)
    start = 0 if legacy else sound.index(b"\x80\x02")
    rnd = random.Random(7)
    path = tmp_path / "adapter_model.bin"
    outcomes = set()
    for _ in range(250):
        content = bytearray(sound)
        content[start + rnd.randrange(250)] = rnd.randrange(256)
        path.write_bytes(content)
        ours = read_tensors(str(path))
        if library(path) is None:
            assert isinstance(ours, TensorFile), ours
        outcomes.add(getattr(ours, "reason", "sound"))
    assert {"sound", "pickle-broken", "pickle-dangerous-global"} <= outcomes
