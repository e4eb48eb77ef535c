"""`python -m tests.hub.graph_releases record|verify`: the tables of each release, in an environment of its own.

An environment that is missing is made.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
from pathlib import Path

from tests.environments import HUB, environment

ROOT = Path(__file__).resolve().parents[2]


def main() -> None:
    """Every release in turn; the exit status is 1 where one of them fails."""
    parser = argparse.ArgumentParser()
    parser.add_argument("what", choices=["record", "verify"])
    parser.add_argument("types", nargs="*")
    parser.add_argument("--releases", nargs="*")
    parser.add_argument("--heads", action="store_true")
    asked = parser.parse_args()
    surroundings = {"PYTORCH_JIT": "0", "OMP_NUM_THREADS": "1", "PYTHONPATH": str(ROOT), "PYTHONDONTWRITEBYTECODE": "1"}
    options = [*(["--write"] if asked.what == "record" else []), *(["--heads"] if asked.heads else [])]
    failed = 0
    for release in asked.releases or HUB:
        python = environment("adapters", release)
        command = [python, "-W", "ignore", "-m", f"tests.hub.graph_{asked.what}", *asked.types, *options]
        failed |= subprocess.run(command, env={**os.environ, **surroundings}, cwd=ROOT, check=False).returncode != 0
    sys.exit(int(failed))


if __name__ == "__main__":
    main()
