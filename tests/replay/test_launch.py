"""The real command line and real child processes: what ends badly is an observation, and the report stands."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from adaptlint.replay.conduct import base_of, job_of
from adaptlint.replay.launch import Limits, launch
from adaptlint.replay.plan import Run, Settings, plan
from tests.cli.running import ROOT, adaptlint
from tests.replay import adapters

pytest.importorskip("peft")


def without_torch(folder: Path) -> str:
    """The interpreter of an environment that has nothing."""
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(folder)], check=True)
    return str(folder / "bin" / "python")


@pytest.fixture(scope="module")
def bare(tmp_path_factory: pytest.TempPathFactory) -> str:
    return without_torch(tmp_path_factory.mktemp("bare") / "venv")


def told(text: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(text)
    return found


def deciding(report: dict[str, Any]) -> list[dict[str, Any]]:
    why = set(report["verdicts"][0]["why"])
    return [finding["replay"] for finding in report["findings"] if finding["fingerprint"] in why]


def test_check_replays_and_a_later_check_reads_the_record(tmp_path: Path) -> None:
    record = tmp_path / "run.json"
    given = [*adapters.arguments(adapters.IGNORED), "--format", "json"]
    done = adaptlint("check", *given, "--replay", "--record", str(record))
    assert done.returncode == 1, done.stderr
    assert "replay: peft" in done.stderr
    assert [mark["status"] for mark in deciding(told(done.stdout))] == ["confirmed"]
    (run,) = told(record.read_text())["runs"]
    assert (run["status"], run["scale"]) == ("done", "full")
    assert run["peak_memory"] > 10_000_000
    again = adaptlint("check", *given, "--with-run", str(record))
    assert told(again.stdout)["findings"] == told(done.stdout)["findings"]
    resumed = adaptlint("check", *given, "--replay", "--record", str(record), "--resume", "--python", "/nowhere/python")
    assert [mark["status"] for mark in deciding(told(resumed.stdout))] == ["confirmed"]  # nothing was left to run


def test_a_missing_library_is_an_observation(bare: str, tmp_path: Path) -> None:
    report = tmp_path / "report.json"
    adaptlint("check", *adapters.arguments(adapters.IGNORED), "--output", str(report))
    done = adaptlint("replay", str(report), "--python", bare, "--format", "json")
    assert done.returncode == 1
    (mark,) = deciding(told(done.stdout))
    assert mark["status"] == "inconclusive"
    assert "cannot import torch" in mark["observed"]
    assert told((tmp_path / "report.run.json").read_text())["runs"][0]["status"] == "refused"


@pytest.mark.parametrize(
    ("python", "said"), [("/nowhere/python", "cannot be started"), ("/bin/true", "without a word of a worker's")]
)
def test_a_wrong_interpreter_is_an_observation(python: str, said: str) -> None:
    given = [*adapters.arguments(adapters.IGNORED), "--format", "json", "--replay", "--python", python]
    done = adaptlint("check", *given)
    assert done.returncode == 1
    (mark,) = deciding(told(done.stdout))
    assert mark["status"] == "inconclusive"
    assert said in mark["observed"]


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="no /dev/full here")
def test_a_full_disk_costs_the_record_and_not_the_report(bare: str) -> None:
    given = [*adapters.arguments(adapters.IGNORED), "--format", "json", "--replay", "--python", bare]
    done = adaptlint("check", *given, "--record", "/dev/full")
    assert done.returncode == 1
    assert "No space left on device" in done.stderr
    assert deciding(told(done.stdout))


def test_a_run_that_takes_too_much_memory_is_ended() -> None:
    report = adapters.report(adapters.IGNORED)
    (run,) = (each for each in plan(report, base_of(report), Settings()) if isinstance(each, Run))
    heard: list[dict[str, Any]] = []
    ended = launch(sys.executable, job_of(report, run, Settings()), Limits(60.0, 40_000_000), heard.append)
    assert ended.status == "out-of-memory"
    assert "0.0 GB are allowed" in ended.detail
    assert "done" not in {event["event"] for event in heard}


def test_memory_that_runs_out_in_a_step_is_no_fault_of_the_adapter(monkeypatch: pytest.MonkeyPatch) -> None:
    """torch's own error, raised where PEFT loads: a healthy adapter's verdict stays open."""
    import torch

    from adaptlint.replay.worker import peft_run
    from adaptlint.replay.worker.running import conduct
    from adaptlint.replay.worker.telling import OutOfMemory
    from tests.replay.batch import Collected

    report = adapters.report(adapters.HEALTHY)
    (run,) = (each for each in plan(report, base_of(report), Settings(all=True)) if isinstance(each, Run))
    job = job_of(report, run, Settings(all=True))
    monkeypatch.setattr(peft_run, "observed_load", lambda *_: torch.empty(1 << 60))
    channel = Collected(job)
    with pytest.raises(OutOfMemory, match="allocate memory"):
        conduct(job, channel)
    assert "step" not in {event["event"] for event in channel.events}


def test_a_run_that_hangs_is_ended_by_the_clock() -> None:
    given = [*adapters.arguments(adapters.IGNORED), "--format", "json", "--replay", "--timeout", "1"]
    done = adaptlint("check", *given)
    assert done.returncode == 1
    (mark,) = deciding(told(done.stdout))
    assert mark["status"] == "inconclusive"
    assert mark["observed"].startswith("timeout:")


@pytest.fixture
def replaying(tmp_path: Path) -> Iterator[tuple[subprocess.Popen[str], int, Path]]:
    """A replay whose worker is under way: the process, the worker's number, the record."""
    record = tmp_path / "run.json"
    command = [sys.executable, "-m", "adaptlint", "check", *adapters.arguments(adapters.IGNORED)]
    command += ["--format", "json", "--replay", "--record", str(record)]
    settings = {**os.environ, "PYTHONPATH": ROOT}
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=settings, preexec_fn=heeding_ctrl_c
    ) as process:
        worker = worker_of(process.pid)
        yield process, worker, record
        process.kill()


def heeding_ctrl_c() -> None:
    """A shell starts what runs in its background with SIGINT ignored, and that is inherited: here it is not."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


def worker_of(parent: int) -> int:
    """The child process of a replay, once it is a worker."""
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        children = Path(f"/proc/{parent}/task/{parent}/children").read_text().split()
        for child in map(int, children):
            if b"start.py" in Path(f"/proc/{child}/cmdline").read_bytes():
                return child
        time.sleep(0.05)
    raise AssertionError("no worker was started")


def gone(pid: int) -> bool:
    """Whether a process has ended; one that nobody has waited for yet has, too."""
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline:
        try:
            if Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z":
                return True
        except (FileNotFoundError, ProcessLookupError):
            return True
        time.sleep(0.05)
    return False


LINUX = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="looks into /proc")
Replaying = tuple["subprocess.Popen[str]", int, Path]


@LINUX
def test_a_killed_worker_is_an_observation(replaying: Replaying) -> None:
    process, worker, record = replaying
    os.kill(worker, signal.SIGKILL)
    out, _ = process.communicate(timeout=60)
    assert process.returncode == 1
    (mark,) = deciding(told(out))
    assert (mark["status"], mark["observed"][:7]) == ("inconclusive", "killed:")
    assert told(record.read_text())["runs"][0]["status"] == "killed"


@LINUX
def test_a_killed_replay_takes_its_worker_along_and_leaves_a_record(replaying: Replaying) -> None:
    process, worker, record = replaying
    time.sleep(0.5)  # the worker has asked the kernel to be told
    process.kill()
    process.wait(timeout=60)
    assert gone(worker)
    (run,) = told(record.read_text())["runs"]
    assert run["status"] == "started"
    assert "while this ran" in run["detail"]


@LINUX
def test_ctrl_c_leaves_the_report_and_the_record(replaying: Replaying) -> None:
    process, worker, record = replaying
    process.send_signal(signal.SIGINT)
    out, _ = process.communicate(timeout=60)
    assert process.returncode == 130
    assert gone(worker)
    assert [mark["status"] for mark in deciding(told(out))] == ["inconclusive"]
    assert told(record.read_text())["runs"][0]["status"] == "interrupted"


@pytest.mark.parametrize("device", ["cuda", "cuda:1", "mps", "xpu"])
def test_a_device_that_torch_lacks_is_an_observation(device: str) -> None:
    torch = pytest.importorskip("torch")
    from adaptlint.replay.worker.running import has_device

    if torch.cuda.is_available() or torch.backends.mps.is_available() or torch.xpu.is_available():
        pytest.skip("there is a GPU")
    if device == "cuda":  # by the command line
        done = adaptlint(
            "check", *adapters.arguments(adapters.IGNORED), "--format", "json", "--replay", "--device", device
        )
        (mark,) = deciding(told(done.stdout))
        assert mark["status"] == "inconclusive"
        assert f"no device {device}" in mark["observed"]
        return
    seen: list[tuple[str, dict[str, Any]]] = []

    class Channel:
        def say(self, event: str, **facts: Any) -> None:
            seen.append((event, facts))

    load, threads = torch.load, torch.get_num_threads()
    try:
        assert not has_device({"device": device, "threads": threads, "memory": 0}, Channel())  # type: ignore[arg-type]
    finally:
        torch.load = load
    assert [(event, facts["reason"], facts["device"]) for event, facts in seen] == [("refused", "no-device", device)]


@pytest.mark.parametrize("device", ["cuda", "cuda:1"])
def test_a_gpu_is_asked_for_by_its_number(device: str) -> None:
    torch = pytest.importorskip("torch")
    from adaptlint.replay.worker.guards import steady

    if torch.cuda.is_available():
        pytest.skip("there is a GPU")
    with pytest.raises(AttributeError, match="_cuda_setDevice"):  # what a build for CPUs lacks: the name was no trouble
        steady(torch, 1 << 30, device)


@pytest.mark.parametrize(
    ("given", "said"),
    [
        (["--env", "peft==99"], "no pins are known"),
        (["--env", "peft==0.11.1", "--offline"], "--offline forbids"),
        (["--env", "peft==0.11.1", "--python", "python3"], "give one of them"),
        (["--device", "toaster"], "--device toaster"),
        (["--resume"], "--record PATH"),
    ],
)
def test_wrong_usage_is_told_and_nothing_is_run(given: list[str], said: str, tmp_path: Path) -> None:
    env = {"ADAPTLINT_CACHE": str(tmp_path)}
    done = adaptlint("check", *adapters.arguments(adapters.IGNORED), "--replay", *given, env=env)
    assert done.returncode == 2
    assert said in done.stderr


@pytest.mark.parametrize("text", ["", "{}", "[1]", '{"format": "adaptlint run record", "version": 1, "runs": [{}]}'])
def test_what_is_no_record_is_refused(text: str, tmp_path: Path) -> None:
    (tmp_path / "run.json").write_text(text)
    done = adaptlint("check", *adapters.arguments(adapters.IGNORED), "--with-run", str(tmp_path / "run.json"))
    assert done.returncode == 2
    assert "run record" in done.stderr
