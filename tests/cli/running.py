"""The real command line in a process of its own."""

from __future__ import annotations

import os
import pty
import select
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))


def adaptlint(
    *arguments: str, cwd: str | os.PathLike[str] | None = None, env: Mapping[str, str] | None = None
) -> subprocess.CompletedProcess[str]:
    """Run `python -m adaptlint` with these arguments; colours and cache as given in `env`, else none and the user's."""
    plain = {name: value for name, value in os.environ.items() if name not in ("FORCE_COLOR", "NO_COLOR", "COLUMNS")}
    plain["PYTHONPATH"] = os.pathsep.join(filter(None, [ROOT, os.environ.get("PYTHONPATH")]))
    return subprocess.run(
        [sys.executable, "-m", "adaptlint", *arguments],
        cwd=cwd,
        env={**plain, **(env or {})},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


def on_a_terminal(command: list[str], cwd: Path, columns: int, **env: str) -> str:
    """What a program writes to stdout and stderr when both are a terminal."""
    ours, theirs = pty.openpty()
    settings = {k: v for k, v in os.environ.items() if k not in ("NO_COLOR", "FORCE_COLOR")}
    settings |= {"PYTHONPATH": str(ROOT), "TERM": "xterm", "COLUMNS": str(columns), **env}
    process = subprocess.Popen(command, cwd=cwd, env=settings, stdin=theirs, stdout=theirs, stderr=theirs)
    os.close(theirs)
    said = b""
    while process.poll() is None or select.select([ours], [], [], 0)[0]:
        if select.select([ours], [], [], 0.1)[0]:
            try:
                said += os.read(ours, 65536)
            except OSError:  # the other end is closed
                break
    os.close(ours)
    return said.decode()


def typed(command: list[str], keys: list[tuple[str, str]], cwd: Path, **env: str) -> list[str]:
    """What a program on a terminal of its own shows after each of these keys, until the text that is waited for."""
    ours, theirs = pty.openpty()
    settings = {**os.environ, "PYTHONPATH": str(ROOT), "TERM": "xterm", "COLUMNS": "100", **env}
    own = ["setsid", "--ctty", *command]
    process = subprocess.Popen(own, cwd=cwd, env=settings, stdin=theirs, stdout=theirs, stderr=theirs)
    os.close(theirs)
    shown = []
    try:
        for pressed, until in keys:
            os.write(ours, pressed.encode())
            shown.append(_heard(ours, until.encode()).decode(errors="replace"))
    finally:
        process.kill()
        process.wait()
        os.close(ours)
    return shown


def _heard(terminal: int, until: bytes) -> bytes:
    """What comes until `until` is among it, or nothing does for some seconds."""
    said = b""
    while until not in said and select.select([terminal], [], [], 10)[0]:
        try:
            said += os.read(terminal, 65536)
        except OSError:
            break
    return said
