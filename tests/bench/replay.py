"""`python -m tests.bench.replay`: what the replay of a healthy LoRA of Llama-3-8B costs, and its parts.

One layer at its real sizes on the CPU, as `adaptlint check ... --replay --all` runs it. It measures and prints.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from tests.replay.adapters import large

BAR_SECONDS, BAR_BYTES = 60.0, 4e9
PARTS = {"versions": "imports", "base": "build", "step": "load", "forward": "forwards, on and off", "done": "end"}


def main() -> int:
    """Run it once and print the parts; 1 if a bar does not hold."""
    with tempfile.TemporaryDirectory() as place:
        built = large(Path(place))
        record = Path(place) / "run.json"
        command = ["check", built.model, built.adapter, "--replay", "--all", "--quiet", "--record", str(record)]
        started = time.perf_counter()
        subprocess.run([sys.executable, "-m", "adaptlint", *command], check=True, stdout=subprocess.DEVNULL)
        spent = time.perf_counter() - started
        runs = json.loads(record.read_text())["runs"]
    peak = max(run["peak_memory"] for run in runs)
    for run in runs:
        print(f"{run['scale']}: {run['seconds']:.1f} s, {run['peak_memory'] / 1e9:.2f} GB")
        before = 0.0
        for kind, what in PARTS.items():
            if kind in run["times"]:
                print(f"  {what}: {run['times'][kind] - before:.1f} s")
                before = run["times"][kind]
    print(f"in all: {spent:.1f} s (bar {BAR_SECONDS:.0f} s), peak {peak / 1e9:.2f} GB (bar {BAR_BYTES / 1e9:.0f} GB)")
    return 0 if spent < BAR_SECONDS and peak < BAR_BYTES else 1


if __name__ == "__main__":
    sys.exit(main())
