"""Folders: what may be opened, what is only told, and nothing that hangs."""

from __future__ import annotations

import json
import os
import socket
from pathlib import Path

from adaptlint.artefacts import Document, Folder, Malformed, TensorFile, open_folder, read_json, read_tensors

from .galleries import DATA, safetensors, tensor


def opened(path: Path) -> Folder:
    folder = open_folder(str(path))
    assert isinstance(folder, Folder)
    return folder


def reason(found: object) -> str:
    assert isinstance(found, Malformed), found
    return found.reason


def test_listing_tells_files_from_odd_things(tmp_path: Path, monkeypatch: object) -> None:
    folder = tmp_path / "adapter"
    folder.mkdir()
    (tmp_path / "secret.json").write_text("{}")
    (folder / "adapter_config.json").write_text('{"r": 8}')
    (folder / "same.json").symlink_to("adapter_config.json")
    (folder / "outside.json").symlink_to("../secret.json")
    (folder / "dangling.json").symlink_to("nowhere.json")
    (folder / "loop.json").symlink_to("loop.json")
    (folder / "sub").mkdir()
    os.mkfifo(folder / "pipe.json")
    (folder / "device.safetensors").symlink_to("/dev/zero")
    here = os.getcwd()
    os.chdir(folder)
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind("socket")
        os.chdir(here)
        found = opened(folder)
    assert found.names == {"adapter_config.json": 8, "same.json": 8}
    assert found.odd == {
        "dangling.json": "symlink-dangling",
        "device.safetensors": "symlink-outside",
        "loop.json": "symlink-dangling",
        "outside.json": "symlink-outside",
        "pipe.json": "fifo",
        "socket": "socket",
        "sub": "directory",
    }
    assert isinstance(found.json("same.json"), Document)
    assert found.json("same.json") is found.json("same.json")
    assert reason(found.json("outside.json")) == "outside-folder"
    assert reason(found.json("dangling.json")) == "missing-file"
    assert reason(found.json("absent.json")) == "missing-file"
    assert reason(found.json("pipe.json")) == "not-a-regular-file"
    assert reason(found.tensors("sub")) == "not-a-regular-file"
    assert reason(found.json("../secret.json")) == "missing-file"


def test_single_files_that_are_none(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "a.safetensors")
    assert reason(read_tensors(str(tmp_path / "a.safetensors"))) == "not-a-regular-file"
    assert reason(read_tensors("/dev/zero")) == "not-a-regular-file"
    assert reason(read_json(str(tmp_path))) == "not-a-regular-file"
    assert reason(read_json(str(tmp_path / "none.json"))) == "missing-file"
    assert reason(read_json("a\0b")) == "unreadable-file"
    assert reason(open_folder(str(tmp_path / "none"))) == "missing-folder"
    assert reason(open_folder(str(tmp_path / "a.safetensors"))) == "not-a-folder"


def test_hub_cache_links_are_followed_to_blobs_only(tmp_path: Path) -> None:
    snapshot = tmp_path / "models--x--y" / "snapshots" / "abc" / "sub"
    blobs = tmp_path / "models--x--y" / "blobs"
    snapshot.mkdir(parents=True)
    blobs.mkdir()
    (blobs / "1234").write_text("{}")
    (tmp_path / "models--x--y" / "other").write_text("{}")
    (snapshot / "adapter_config.json").symlink_to("../../../blobs/1234")
    (snapshot / "other.json").symlink_to("../../../other")
    found = opened(snapshot)
    assert isinstance(found.json("adapter_config.json"), Document)
    assert reason(found.json("other.json")) == "outside-folder"


def test_shards_are_joined(tmp_path: Path) -> None:
    (tmp_path / "m-1.safetensors").write_bytes(safetensors({"a": tensor(), "spare": tensor(offsets=[4, 8])}, DATA * 2))
    (tmp_path / "m-2.safetensors").write_bytes(safetensors({"b": tensor("I32")}))
    index = tmp_path / "m.safetensors.index.json"
    index.write_text(json.dumps({"weight_map": {"b": "m-2.safetensors", "a": "m-1.safetensors"}}))
    file = opened(tmp_path).tensors("m.safetensors.index.json")
    assert isinstance(file, TensorFile)
    assert file.container == "sharded-safetensors"
    assert {name: row.dtype for name, row in file.tensors.items()} == {"b": "I32", "a": "F32"}
    assert file.home("b").path == str(tmp_path / "m-2.safetensors")
    assert file.excerpt(("b",)).startswith('"b": {"dtype": "I32"')
    assert file.place(("b",)) == file.home("b").place(("b",))
    assert isinstance(read_tensors(str(index)), TensorFile)


def test_broken_indexes(tmp_path: Path) -> None:
    (tmp_path / "m-1.safetensors").write_bytes(safetensors({"a": tensor()}))
    index = tmp_path / "m.safetensors.index.json"
    (tmp_path / "link.safetensors").symlink_to("/etc/passwd")
    reasons = {}
    for name, content in {
        "shard-missing": {"weight_map": {"a": "m-9.safetensors"}},
        "outside": {"weight_map": {"a": "../m-1.safetensors"}},
        "tensor-missing": {"weight_map": {"z": "m-1.safetensors"}},
        "no-map": {"metadata": {}},
        "linked-out": {"weight_map": {"a": "link.safetensors"}},
    }.items():
        index.write_text(json.dumps(content))
        reasons[name] = reason(opened(tmp_path).tensors("m.safetensors.index.json"))
    assert reasons == {
        "shard-missing": "missing-file",
        "outside": "shard-outside-folder",
        "tensor-missing": "shard-lacks-tensor",
        "no-map": "index-without-weight-map",
        "linked-out": "missing-file",
    }
