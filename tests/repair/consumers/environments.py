"""Environments of the consumers, made once below .venv-releases, and scripts run there."""

from __future__ import annotations

import json
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

from tests.environments import ENVIRONMENTS

HERE = Path(__file__).parent
PINS = tomllib.loads((HERE / "pins.toml").read_text(encoding="utf-8"))


def python_of(name: str) -> str:
    """The interpreter of the environment that pins.toml has under this name."""
    place = ENVIRONMENTS / name
    python = place / "bin" / "python"
    if not (place / ".installed").exists():
        subprocess.run([sys.executable, "-m", "venv", str(place)], check=True)
        subprocess.run([str(python), "-m", "pip", "install", "-qq", *PINS[name]], check=True)
        (place / ".installed").touch()
    return str(python)


def played(name: str, script: str, question: Any) -> Any:
    """What a script of this folder answers, in JSON, to a question in JSON."""
    command = [python_of(name), "-W", "ignore", str(HERE / script)]
    done = subprocess.run(command, input=json.dumps(question), capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
    return json.loads(done.stdout.splitlines()[-1])
