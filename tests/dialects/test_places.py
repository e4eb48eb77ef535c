"""Adapters that lie elsewhere, and places not to wait at: pipes, devices, links, files without permission."""

from __future__ import annotations

import json
import multiprocessing
import os
import socket
import subprocess
import sys
import tempfile
import time
import zipfile
from collections.abc import Callable
from multiprocessing.connection import Connection
from pathlib import Path

import pytest

import adaptlint
from adaptlint.artefacts import Folder, Malformed, open_folder
from adaptlint.testing import Entry, build, read_recipe, write_safetensors
from tests.conftest import ROOT
from tests.recipes import QUERIES
from tests.test_rules import BASES, TARGET, TRANSFORMERS

MODEL = str(BASES / "tiny-llama")
CONFIG, WEIGHTS = "adapter_config.json", "adapter_model.safetensors"
SECONDS = 2.0


@pytest.fixture
def adapter(tmp_path: Path) -> Path:
    return Path(build(read_recipe(QUERIES), str(tmp_path), str(BASES)).adapter)


def checked(path: Path) -> dict[str, str]:
    """Messages by code; a check that takes long, or a rule that crashes, fails."""
    started = time.perf_counter()
    report = adaptlint.check(MODEL, str(path), targets=(TARGET,), transformers=TRANSFORMERS)
    assert time.perf_counter() - started < SECONDS
    assert not report.crashed, report.ledger
    return {finding.code: finding.message for finding in report.findings}


def test_healthy_adapter_does_not_wake_the_room(adapter: Path) -> None:
    code = (
        f"import sys, adaptlint; adaptlint.check({MODEL!r}, {str(adapter)!r});"
        "print([m for m in sys.modules if 'dialects' in m or 'archives' in m or 'neighbours' in m])"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_last_checkpoint_is_named(adapter: Path) -> None:
    for number in (100, 1000, 500):
        inner = adapter.parent / "run" / f"checkpoint-{number}"
        inner.mkdir(parents=True)
        for name in (CONFIG, WEIGHTS):
            (inner / name).write_bytes((adapter / name).read_bytes())
    assert "checkpoint-1000" in checked(adapter.parent / "run")["AL011"]


def test_two_levels_down_is_not_looked_for(adapter: Path) -> None:
    (adapter.parent / "far" / "away").mkdir(parents=True)
    os.rename(adapter, adapter.parent / "far" / "away" / "adapter")
    assert list(checked(adapter.parent / "far")) == ["AL001"]


def test_link_to_an_adapter_elsewhere_is_not_followed(adapter: Path, tmp_path: Path) -> None:
    run = tmp_path / "run"
    run.mkdir()
    (run / "checkpoint-5").symlink_to(adapter)
    assert list(checked(run)) == ["AL001"]


@pytest.mark.parametrize("name", [CONFIG, WEIGHTS])
@pytest.mark.parametrize("kind", ["fifo", "device", "outside", "dangling", "directory", "socket"])
def test_what_is_no_file_is_told_at_once(
    adapter: Path, name: str, kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(adapter)  # a socket's path may have 108 bytes
    place = adapter / name
    real = tmp_path / "real"
    os.rename(place, real)
    made: dict[str, Callable[[], object]] = {
        "fifo": lambda: os.mkfifo(place),
        "device": lambda: place.symlink_to("/dev/zero"),
        "outside": lambda: place.symlink_to(real),
        "dangling": lambda: place.symlink_to(adapter / "nowhere"),
        "directory": place.mkdir,
        "socket": lambda: socket.socket(socket.AF_UNIX).bind(name),
    }
    made[kind]()
    found = checked(adapter)
    assert found.keys() & {"AL001", "AL002", "AL005"}, found


@pytest.mark.parametrize("kind", ["fifo", "device"])
def test_pipes_beside_and_below_are_not_waited_for(adapter: Path, kind: str) -> None:
    os.unlink(adapter / CONFIG)
    os.unlink(adapter / WEIGHTS)
    (adapter / "checkpoint-1").mkdir()
    for place in (adapter / "a.zip", adapter / "lora.safetensors", adapter / "checkpoint-1" / CONFIG):
        os.mkfifo(place) if kind == "fifo" else place.symlink_to("/dev/zero")
    assert list(checked(adapter)) == ["AL001"]


def _as_nobody(path: str, name: str, answer: Connection) -> None:
    if os.getuid() == 0:
        os.setgid(65534)
        os.setuid(65534)
    folder = open_folder(path)
    if isinstance(folder, Folder):
        file = folder.json(name) if name == CONFIG else folder.tensors(name)
        answer.send(file.reason if isinstance(file, Malformed) else "read")
    else:
        answer.send(folder.reason)


@pytest.mark.parametrize(
    ("name", "reason"), [(CONFIG, "unreadable-file"), (WEIGHTS, "unreadable-file"), (".", "unreadable-folder")]
)
def test_file_without_permission_is_told(name: str, reason: str) -> None:
    context = multiprocessing.get_context("fork")
    with tempfile.TemporaryDirectory() as top:  # pytest's own folders are closed to other users
        os.chmod(top, 0o755)  # noqa: S103
        adapter = Path(build(read_recipe(QUERIES), top, str(BASES)).adapter)
        (adapter / name).chmod(0)
        ours, theirs = context.Pipe()
        child = context.Process(target=_as_nobody, args=(str(adapter), name, theirs))
        child.start()
        assert ours.poll(30), "no answer"
        assert ours.recv() == reason
        child.join()
        (adapter / name).chmod(0o755)


@pytest.mark.parametrize("at", range(0, 400, 13))
def test_mangled_zip_is_no_crash(adapter: Path, at: int) -> None:
    with zipfile.ZipFile(adapter / "a.zip", "w") as archive:
        archive.write(adapter / CONFIG, CONFIG)
    whole = (adapter / "a.zip").read_bytes()
    for name in (CONFIG, WEIGHTS):
        os.unlink(adapter / name)
    cut = max(0, len(whole) - at)
    (adapter / "a.zip").write_bytes(whole[:cut] + b"\xff" * min(at, 7) + whole[cut + 7 :])
    assert checked(adapter).keys() <= {"AL001", "AL012"}


def test_names_are_bounded_and_escaped(adapter: Path) -> None:
    rows = [Entry(f"lora_unet_\x1b[31m{'x' * 200}_{number}.lora_down.weight", "F32", (1, 1)) for number in range(2000)]
    write_safetensors(str(adapter / WEIGHTS), rows)
    found = checked(adapter)
    assert list(found) == ["AL211"]
    assert len(found["AL211"]) < 1500


@pytest.mark.parametrize("unit", [".1", ".linear_proj.adapter_layer.", "unet.lora.", ".loras.a", "a", "transformer."])
def test_names_made_to_be_slow(adapter: Path, unit: str) -> None:
    write_safetensors(str(adapter / WEIGHTS), [Entry((unit * 3000)[:3000] + str(n), "F32", (1, 1)) for n in range(500)])
    assert checked(adapter).keys() <= {"AL203", "AL202", "AL211", "AL212"}


def test_folder_of_very_many_files(tmp_path: Path) -> None:
    run = tmp_path / "run"
    run.mkdir()
    for number in range(3_000):
        (run / f"{number}.zip").write_bytes(b"PK\x05\x06" + bytes(18))
    assert list(checked(run)) == ["AL001"]


@pytest.mark.parametrize("name", [WEIGHTS, "adapter_model.bin"])
def test_another_format_under_the_weights_name(adapter: Path, name: str) -> None:
    whole = (adapter / WEIGHTS).read_bytes()
    (adapter / WEIGHTS).unlink()
    (adapter / name).write_bytes(b"GGUF\x03" + bytes(60))
    assert list(checked(adapter)) == ["AL017"]
    with zipfile.ZipFile(adapter / name, "w") as archive:
        archive.writestr(WEIGHTS, whole)
    assert list(checked(adapter)) == ["AL012"]


def test_nothing_is_known_about_the_base(adapter: Path, tmp_path: Path) -> None:
    (adapter / CONFIG).write_text(json.dumps({"fine_tune_type": "lora", "lora_parameters": {}}))
    report = adaptlint.check(str(tmp_path / "no-such-base"), str(adapter), targets=(TARGET,))
    assert {"AL014", "AL901"} == {finding.code for finding in report.findings}


def test_broken_file_is_told_without_a_base(adapter: Path, tmp_path: Path) -> None:
    os.truncate(adapter / WEIGHTS, 0)
    report = adaptlint.check(str(tmp_path / "no-such-base"), str(adapter), targets=(TARGET,))
    assert {"AL002", "AL901"} == {finding.code for finding in report.findings}
    assert [verdict.outcome for verdict in report.verdicts] == ["unknown"]
