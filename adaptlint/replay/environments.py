"""Environments of old releases: made once from known-good pins (`environments.toml`), kept in the user's cache."""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator

from adaptlint.hints import Any
from adaptlint.named_tuple import NamedTuple
from adaptlint.tables import cache_folder, load

MADE = "made"  # the file that says that an environment is whole
TOLD = 400  # characters of an installer's complaint


class EnvironmentRefused(Exception):
    """An environment cannot be had; the message says why and what to do instead."""


class Wanted(NamedTuple):
    """The release that an environment is asked for, and everything that is installed into it."""

    library: str
    version: str
    requirements: tuple[str, ...]

    @property
    def folder(self) -> str:
        """Where it is kept: a name of its own for every set of pins."""
        import zlib

        mark = zlib.crc32("\n".join(self.requirements).encode())
        python = f"{sys.version_info.major}.{sys.version_info.minor}"
        return os.path.join(cache_folder(), "environments", f"{self.library}-{self.version}-py{python}-{mark:08x}")


def wanted(requirement: str) -> Wanted:
    """`peft==0.14.0` with its pins. Raises EnvironmentRefused for what no row of the table holds."""
    library, equals, version = requirement.replace(" ", "").partition("==")
    rows = [row for row in rows_of(library) if equals and _among(version, row)]
    if rows:
        pins = tuple(pin.replace("{version}", version) for pin in rows[0]["requirements"])
        return Wanted(library, version, pins)
    known = ", ".join(f"{row['library']} {row['from']} to {row['to']}" for row in rows_of(library) or rows_of(""))
    raise EnvironmentRefused(
        f"no pins are known for {requirement!r}: --env takes LIBRARY==VERSION of {known}. For any other release make "
        "an environment yourself and name its interpreter with --python."
    )


def rows_of(library: str) -> list[dict[str, Any]]:
    """The rows of a library in the table, of all with ""."""
    rows: list[dict[str, Any]] = load()["replay/environments.toml"]["environment"]
    return [row for row in rows if library in ("", row["library"])]


def _among(version: str, row: dict[str, Any]) -> bool:
    numbers = _numbers(version)
    return numbers is not None and (_numbers(row["from"]) or ()) <= numbers <= (_numbers(row["to"]) or ())


def _numbers(version: str) -> tuple[int, ...] | None:
    parts = version.split(".")
    return (
        tuple(map(int, parts)) if all(part.isascii() and part.isdecimal() and len(part) < 6 for part in parts) else None
    )


def interpreter(requirement: str, offline: bool, say: Callable[[str], object]) -> str:
    """The interpreter of an environment with this release, made where there is none yet.

    `say` is told what takes minutes. Raises EnvironmentRefused.
    """
    asked = wanted(requirement)
    python = os.path.join(asked.folder, "bin", "python")
    if os.path.exists(os.path.join(asked.folder, MADE)) and os.path.exists(python):
        return python
    if offline:
        raise EnvironmentRefused(
            f"there is no environment of {requirement} in the cache, and --offline forbids to make one. Run once "
            "without --offline, or name an interpreter that has it with --python."
        )
    with _alone(asked.folder, lambda: say(f"another adaptlint is making the environment of {requirement}: waiting")):
        if not os.path.exists(os.path.join(asked.folder, MADE)):
            say(f"making an environment with {', '.join(asked.requirements)}: this takes minutes, once")
            _make(asked, requirement)
    return python


@contextlib.contextmanager
def _alone(folder: str, waiting: Callable[[], object]) -> Iterator[None]:
    """Nobody else makes this environment meanwhile.

    Installers inherit the lock: one that outlives an adaptlint which was killed keeps it until it has ended.
    """
    os.makedirs(os.path.dirname(folder), exist_ok=True)
    try:
        import fcntl
    except ImportError:  # a system without locks of this kind
        yield
        return
    with open(folder + ".lock", "w", encoding="utf-8") as lock:
        os.set_inheritable(lock.fileno(), True)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            waiting()
            fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _make(asked: Wanted, requirement: str) -> None:
    """A fresh environment, called whole only when everything is installed; with pip where uv cannot make it."""
    python, complaints = os.path.join(asked.folder, "bin", "python"), []
    uv = shutil.which("uv")
    quiet = ["-qq", "--disable-pip-version-check", "--no-input"]
    ways = [
        [[sys.executable, "-m", "venv", asked.folder], [python, "-m", "pip", "install", *quiet, *asked.requirements]]
    ]
    if uv:  # it knows nothing of indices that pip alone was told
        place = ["--quiet", "--python"]
        ways[:0] = [
            [[uv, "venv", *place, sys.executable, asked.folder],
             [uv, "pip", "install", *place, python, *asked.requirements]]
        ]  # fmt: skip
    for way in ways:
        shutil.rmtree(asked.folder, ignore_errors=True)
        complaint = next(filter(None, map(_complaint, way)), "")
        if not complaint:
            with open(os.path.join(asked.folder, MADE), "w", encoding="utf-8") as stream:
                stream.write("\n".join(asked.requirements) + "\n")
            return
        complaints.append(complaint)
    shutil.rmtree(asked.folder, ignore_errors=True)
    raise EnvironmentRefused(
        f"the environment of {requirement} could not be made ({'; '.join(complaints)}). Without a network name an "
        "interpreter that has it with --python."
    )


def _complaint(command: list[str]) -> str:
    """Why a command of an installer failed; "" where it did not."""
    try:
        done = subprocess.run(
            command, capture_output=True, text=True, errors="replace", check=False, close_fds=os.name == "nt"
        )
    except OSError as error:
        return f"{command[0]} cannot be run: {error.strerror}"
    if not done.returncode:
        return ""
    told = " ".join((done.stderr or done.stdout).split())[-TOLD:]
    return f"{os.path.basename(command[0])} ended with {done.returncode}: {told}"
