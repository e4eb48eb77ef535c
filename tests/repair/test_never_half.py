"""Killed at any moment, out of space, or beside a writer: the whole old or the whole new folder stands."""

from __future__ import annotations

import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from adaptlint.repair import Outcome, RepairError, Wish, repair
from tests.conftest import ROOT
from tests.repair.cases import LLAMA, copied, files_of, made

KILLED = -signal.SIGKILL
DRIVER = """
import os, shutil, signal, sys
source, model, folder = sys.argv[1:]
from adaptlint.repair import Wish, repair
EVENTS = ("open", "os.mkdir", "os.rename", "os.link", "os.remove", "os.rmdir", "os.chmod", "os.listdir", "os.scandir",
          "ctypes.dlsym", "ctypes.dlopen")
last, seen = 0, 0
def watch(event, args):
    global seen
    if last and event in EVENTS:
        seen += 1
        if seen == last:
            os.kill(os.getpid(), signal.SIGKILL)
sys.addaudithook(watch)
repair(Wish(source, model))  # everything is imported and cached
ended, number = None, 0
while ended != 0:
    number += 1
    place = os.path.join(folder, str(number), "adapter")
    shutil.copytree(source, place)
    child = os.fork()
    if not child:
        last = number
        repair(Wish(place, model, in_place=True))
        os._exit(0)
    ended = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    print(number, ended)
"""


@pytest.fixture(scope="module")
def broken(tmp_path_factory: pytest.TempPathFactory) -> tuple[str, Path]:
    """A base, and an adapter with a wrapper in its keys and further files beside."""
    folder = tmp_path_factory.mktemp("broken")
    built = made(folder, LLAMA, {"op": "rename", "match": "^", "to": "_orig_mod."})
    adapter = Path(built.adapter)
    (adapter / "README.md").write_text("# mine\n")
    (adapter / "runs").mkdir()
    (adapter / "runs" / "log.txt").write_text("loss 1.0\n" * 100)
    return built.model, adapter


def standing(place: Path, old: dict[str, bytes], new: dict[str, bytes]) -> str:
    """Which of the two folders stands; a repaired one has its whole backup beside it."""
    files = files_of(place)
    assert files in (old, new)
    backups = [path for path in place.parent.iterdir() if path.name.startswith(f"{place.name}.backup")]
    if files == new:
        assert [files_of(path) for path in backups] == [old]
    assert all(files_of(path) == old for path in backups)
    return "new" if files == new else "old"


def test_killed_at_every_step_of_a_repair_in_place(broken: tuple[str, Path], tmp_path: Path) -> None:
    model, source = broken
    old = files_of(source)
    command = [sys.executable, "-c", DRIVER, str(source), model, str(tmp_path)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True, timeout=120)
    rows = [line.split() for line in done.stdout.splitlines()]
    assert len(rows) > 30
    assert {int(status) for _, status in rows[:-1]} == {KILLED}
    whole = tmp_path / rows[-1][0] / "adapter"
    new = files_of(whole)
    assert new != old
    ends = [standing(tmp_path / number / "adapter", old, new) for number, _ in rows]
    assert ends == sorted(ends, reverse=True)  # the old ones, then the new ones
    assert set(ends) == {"old", "new"}
    for number in ("1", rows[len(ends) - ends.count("new") - 1][0], rows[-2][0]):
        place = tmp_path / number / "adapter"
        repair(Wish(str(place), model, in_place=True))
        assert files_of(place) == new


def test_killed_at_random_times(broken: tuple[str, Path], tmp_path: Path) -> None:
    model, source = broken
    old = files_of(source)
    whole = repair(Wish(str(source), model, output=str(tmp_path / "whole")))
    assert isinstance(whole, Outcome)
    new = files_of(tmp_path / "whole")
    command = [sys.executable, "-m", "adaptlint", "fix", "adapter", "--base", model, "--in-place"]
    for number, wait in enumerate((0.12, 0.16, 0.2, 0.24, 0.3)):
        place = copied(source, tmp_path / str(number) / "adapter")
        with subprocess.Popen(
            command, cwd=place.parent, env={"PYTHONPATH": str(ROOT)}, stdout=subprocess.DEVNULL
        ) as run:
            time.sleep(wait)
            run.kill()
        standing(place, old, new)


LIMITED = """
import resource, sys
resource.setrlimit(resource.RLIMIT_FSIZE, (int(sys.argv[3]), int(sys.argv[3])))
from adaptlint.repair import Wish, repair
output = {"output": sys.argv[4]} if len(sys.argv) > 4 else {"in_place": True}
print(repair(Wish(sys.argv[1], sys.argv[2], cache=False, **output)).problem)
"""


@pytest.mark.parametrize("where", ["beside", "in place"])
def test_out_of_space(where: str, broken: tuple[str, Path], tmp_path: Path) -> None:
    model, source = broken
    place = copied(source, tmp_path / "adapter")
    old = files_of(place)
    more = [str(tmp_path / "fixed")] if where == "beside" else []
    command = [sys.executable, "-c", LIMITED, str(place), model, "4000", *more]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False, timeout=60)
    assert done.stdout == "the copy cannot be written: File too large\n", done.stderr
    assert files_of(place) == old
    assert [path.name for path in tmp_path.iterdir()] == ["adapter"]


def test_a_folder_that_is_written_to_meanwhile_is_left_alone(
    broken: tuple[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from adaptlint.repair import repairing

    model, source = broken
    place = copied(source, tmp_path / "adapter")
    prove = repairing.prove

    def slow(*arguments: object) -> object:
        (place / "checkpoint.txt").write_text("saved by a training that still runs")
        return prove(*arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(repairing, "prove", slow)
    outcome = repair(Wish(str(place), model, in_place=True))
    assert isinstance(outcome, Outcome)
    assert "was changed while" in outcome.problem
    assert files_of(place) == {**files_of(source), "checkpoint.txt": b"saved by a training that still runs"}
    assert [path.name for path in tmp_path.iterdir()] == ["adapter"]


def test_a_tensor_that_changes_on_the_way_is_noticed(
    broken: tuple[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from adaptlint.repair import repairing

    model, source = broken
    write = repairing.write_copy

    def careless(draft: object, folder: str) -> list[str]:
        left = write(draft, folder)  # type: ignore[arg-type]
        with open(f"{folder}/adapter_model.safetensors", "r+b") as stream:
            stream.seek(-3, 2)
            stream.write(b"\x55")
        return left

    monkeypatch.setattr(repairing, "write_copy", careless)
    outcome = repair(Wish(str(source), model, output=str(tmp_path / "fixed")))
    assert isinstance(outcome, Outcome)
    assert "has other bytes than" in outcome.problem
    assert list(tmp_path.iterdir()) == []


def test_a_second_repair_in_place_keeps_both_backups(broken: tuple[str, Path], tmp_path: Path) -> None:
    model, source = broken
    place = copied(source, tmp_path / "adapter")
    repair(Wish(str(place), model, in_place=True))
    shutil.copy(source / "adapter_model.safetensors", place / "adapter_model.safetensors")
    repair(Wish(str(place), model, in_place=True))
    assert sorted(path.name for path in tmp_path.iterdir()) == ["adapter", "adapter.backup", "adapter.backup-2"]
    assert files_of(tmp_path / "adapter.backup") == files_of(source)
    (place / "README.md").write_text("changed")
    assert (tmp_path / "adapter.backup-2" / "README.md").read_text() == "# mine\n"


def test_links_are_never_replaced_in_place(broken: tuple[str, Path], tmp_path: Path) -> None:
    model, source = broken
    place = copied(source, tmp_path / "adapter")
    (place / "README.md").unlink()
    (place / "README.md").symlink_to(place / "adapter_config.json")
    with pytest.raises(RepairError, match="is a link or no file"):
        repair(Wish(str(place), model, in_place=True))
    (tmp_path / "link").symlink_to(source)
    with pytest.raises(RepairError, match="is a link; name the folder"):
        repair(Wish(str(tmp_path / "link"), model, in_place=True))
