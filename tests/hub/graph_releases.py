"""`python -m tests.hub.graph_releases record|verify`: the tables of each release, in an environment of its own.

An environment that is missing is made; `--environments` is a folder that has some already.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tomllib
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PINS: dict[str, list[str]] = tomllib.loads(Path(__file__).with_name("pins.toml").read_text(encoding="utf-8"))


def python_of(release: str, environments: Path) -> Path:
    """The interpreter of a release's environment, which is made where it is missing."""
    place = environments / f"adapters-{release}"
    if not (place / ".installed").exists():
        subprocess.run([sys.executable, "-m", "venv", str(place)], check=True)
        pip = [str(place / "bin" / "pip"), "install", "-qq", "--disable-pip-version-check"]
        subprocess.run([*pip, *PINS[release]], check=True)
        (place / ".installed").touch()
    return place / "bin" / "python"


def main() -> None:
    """Every release in turn; the exit status is 1 where one of them fails."""
    parser = argparse.ArgumentParser()
    parser.add_argument("what", choices=["record", "verify"])
    parser.add_argument("types", nargs="*")
    parser.add_argument("--releases", nargs="*")
    parser.add_argument("--heads", action="store_true")
    parser.add_argument("--environments", type=Path, default=ROOT / ".venv-releases")
    asked = parser.parse_args()
    surroundings = {"PYTORCH_JIT": "0", "OMP_NUM_THREADS": "1", "PYTHONPATH": str(ROOT), "PYTHONDONTWRITEBYTECODE": "1"}
    options = [*(["--write"] if asked.what == "record" else []), *(["--heads"] if asked.heads else [])]
    failed = 0
    for release in asked.releases or PINS:
        python = str(python_of(release, asked.environments))
        command = [python, "-W", "ignore", "-m", f"tests.hub.graph_{asked.what}", *asked.types, *options]
        failed |= subprocess.run(command, env={**os.environ, **surroundings}, cwd=ROOT, check=False).returncode != 0
    sys.exit(int(failed))


if __name__ == "__main__":
    main()
