"""One worker from start to end: a child process in a group of its own, under a clock and a memory limit."""

from __future__ import annotations

import contextlib
import json
import os
import selectors
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping

from adaptlint.hints import Any
from adaptlint.named_tuple import NamedTuple

WORKER = os.path.join(os.path.dirname(os.path.abspath(__file__)), "worker", "start.py")
TICK = 0.2  # seconds between two looks at the clock and at the memory
LONGEST_LINE = 8_000_000  # bytes of one observation
COMPLAINT = 2000  # characters of what a worker wrote to stderr that are kept
Event = dict[str, Any]
MEANING = {
    signal.SIGKILL: "it was killed (SIGKILL): a person, a job's limit, or the kernel because memory ran out",
    signal.SIGSEGV: "it crashed (SIGSEGV): native code of the library or of torch read where it may not",
    signal.SIGABRT: "it crashed (SIGABRT): native code of the library or of torch gave up",
    signal.SIGTERM: "it was told to end (SIGTERM)",
}


class Ended(NamedTuple):
    """How a worker ended: done, refused, failed, out-of-memory, timeout, crashed, killed or interrupted, and why."""

    status: str
    detail: str
    seconds: float


class Limits(NamedTuple):
    """Seconds, and bytes of resident memory (0: none is watched, as where tensors live on another device)."""

    timeout: float
    memory: int


def launch(python: str, job: Mapping[str, Any], limits: Limits, heard: Callable[[Event], object]) -> Ended:
    """Run one job; `heard` gets every observation as it comes. Raises KeyboardInterrupt after the worker is gone."""
    started = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="adaptlint-") as folder:
        path = os.path.join(folder, "job.json")
        try:
            with open(path, "w", encoding="utf-8") as stream:
                json.dump({**job, "parent": os.getpid()}, stream)
            child = _started(python, path)
        except OSError as error:
            return Ended("refused", f"{python} cannot be started: {error.strerror}.", 0.0)
        watch = _Watch(child, limits, heard, started)
        try:
            return watch.until_end()
        except BaseException:
            watch.kill()
            raise


def _started(python: str, path: str) -> subprocess.Popen[bytes]:
    """The worker; another interpreter is not given this one's search path."""
    settings = dict(os.environ)
    if os.path.realpath(python) != os.path.realpath(sys.executable) or python != sys.executable:
        for name in ("PYTHONPATH", "PYTHONHOME"):
            settings.pop(name, None)
    command = [python, "-W", "ignore", WORKER, path]
    return subprocess.Popen(
        command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=settings,
        start_new_session=True,
    )  # fmt: skip


class _Watch:
    """Reads what a worker says, and ends it when it passes a limit."""

    def __init__(
        self, child: subprocess.Popen[bytes], limits: Limits, heard: Callable[[Event], object], started: float
    ) -> None:
        self.child, self.limits, self.heard, self.started = child, limits, heard, started
        self.line, self.complaint = b"", b""
        self.events: dict[str, Event] = {}

    def until_end(self) -> Ended:
        """Everything that the worker says, then how it ended."""
        with selectors.DefaultSelector() as pipes:
            for stream in (self.child.stdout, self.child.stderr):
                if stream is not None:
                    pipes.register(stream, selectors.EVENT_READ)
            while pipes.get_map():
                for key, _ in pipes.select(TICK):
                    data = os.read(key.fd, 65536)
                    if not data:
                        pipes.unregister(key.fileobj)
                    elif key.fileobj is self.child.stdout:
                        self.hear(data)
                    else:
                        self.complaint = (self.complaint + data)[-COMPLAINT:]
                passed = self.passed()
                if passed is not None:
                    self.kill()
                    return passed
        self.child.wait()
        self.kill()  # what it may have started and left
        return self.ended()

    def hear(self, data: bytes) -> None:
        """Whole lines are observations; what is none is what a wrong program says."""
        *lines, self.line = (self.line + data).split(b"\n")
        if len(self.line) > LONGEST_LINE:
            self.line = b""
        for line in lines:
            with contextlib.suppress(ValueError):
                event = json.loads(line)
                if isinstance(event, dict) and isinstance(event.get("event"), str):
                    self.events[event["event"]] = event
                    self.heard(event)

    def passed(self) -> Ended | None:
        """The limit that was passed, if one was."""
        spent = time.monotonic() - self.started
        if spent > self.limits.timeout:
            return Ended("timeout", f"it had not ended after {self.limits.timeout:.0f} s and was killed", spent)
        held = resident(self.child.pid)
        if self.limits.memory and held > self.limits.memory:
            said = f"it held {held / 1e9:.1f} GB, {self.limits.memory / 1e9:.1f} GB are allowed, and was killed"
            return Ended("out-of-memory", said, spent)
        return None

    def kill(self) -> None:
        """The whole group, and nothing else; the worker is waited for."""
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self.child.pid, signal.SIGKILL)
        self.child.wait()
        for stream in (self.child.stdout, self.child.stderr):
            if stream is not None:
                stream.close()

    def ended(self) -> Ended:
        """What its last words and its exit status say."""
        spent, code = time.monotonic() - self.started, self.child.returncode
        if "refused" in self.events:
            return Ended("refused", refusal(self.events["refused"]), spent)
        if "failed" in self.events:
            error = self.events["failed"]["error"]
            said = f"{error['type']}: {error['message']}"
            return Ended("out-of-memory" if self.events["failed"].get("out_of_memory") else "failed", said, spent)
        if "done" in self.events:
            return Ended("done", "", spent)
        if code < 0:
            known = MEANING.get(signal.Signals(-code), f"it was ended by {signal.Signals(-code).name}")
            return Ended("killed" if -code in (signal.SIGKILL, signal.SIGTERM) else "crashed", known, spent)
        told = " ".join(self.complaint.decode("utf-8", "replace").split())[-300:] or "it said nothing"
        return Ended("crashed", f"it ended with status {code} without a word of a worker's: {told}", spent)


def refusal(event: Event) -> str:
    """Why a worker would not run, for people."""
    reason = event.get("reason")
    if reason == "library-missing":
        error = event["error"]
        return f"this interpreter cannot import {event['library']} ({error['type']}: {error['message']})"
    if reason == "other-release":
        found = event.get("found") or "none"
        return f"this interpreter has {event['library']} {found}, and the verdict is about {event['wanted']}"
    if reason == "weights":
        return f"the base's own weights cannot be read ({event['error']['message']})"
    return f"torch {event.get('torch', '')} of this interpreter has no device {event.get('device', '')}"


def resident(pid: int) -> int:
    """Bytes of memory that a process holds; 0 where that cannot be asked."""
    try:
        with open(f"/proc/{pid}/statm", "rb") as stream:
            return int(stream.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    except (OSError, IndexError, ValueError):
        return 0
