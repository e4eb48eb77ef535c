"""`python -m tests.dataflow.releases [RELEASE ...]`: a sample of the sweep on older releases of transformers.

Each release runs in an environment of its own, made the first time: those of tests/releases where they have it. The
counts go into docs/dataflow.md.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
from collections import Counter
from pathlib import Path

from adaptlint.dataflow.load import BACKENDS
from tests.dataflow.sweep import DOC, OLDER, RESULTS, Row, exceptions
from tests.environments import ENVIRONMENTS, PEFT, environment, transformers_of
from tests.releases.prove import ROOT

RELEASES = ("4.40.2", "4.46.3", "4.48.3", "4.51.3", "4.57.6")
SAMPLE = 40
HEAD = """
Classes drawn evenly from the Auto tables of each release (`make flow-sweep-releases`), swept as above. A class that
says itself that it does not support a backend is counted as refused.
"""


def interpreter(release: str) -> str:
    """The Python that has this release of transformers."""
    for peft in reversed(PEFT):
        if transformers_of(peft) == release:
            return environment("peft", peft)
    place = ENVIRONMENTS / f"transformers-{release}"
    python = place / "bin" / "python"
    if not (place / ".installed").exists():
        subprocess.run([sys.executable, "-m", "venv", str(place)], check=True)
        wanted = [f"transformers=={release}", "numpy<2", "torch==2.13.0", "safetensors"]
        subprocess.run([str(python), "-m", "pip", "install", "-qq", *wanted], check=True)
        (place / ".installed").touch()
    return str(python)


def rows_of(release: str, jobs: int, folder: Path) -> list[Row]:
    """The sweep's results in that release's environment."""
    told = folder / f"{release}.json"
    command = [interpreter(release), "-W", "ignore", "-m", "tests.dataflow.sweep", "--sample", str(SAMPLE)]
    subprocess.run(
        [*command, "--jobs", str(jobs), "--rows", str(told)],
        check=True,
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        stdout=subprocess.DEVNULL,
    )
    return [Row(**row) for row in json.loads(told.read_text())]


def table(release: str, rows: list[Row]) -> list[str]:
    """One line for each backend."""
    lines = []
    for backend in BACKENDS:
        found = Counter(row.result for row in rows if row.backend == backend)
        cells = " | ".join(str(found[result]) for result in RESULTS)
        lines.append(f"| {release} | {backend} | {sum(found.values())} | {cells} |")
    return lines


def main() -> None:
    """Sweep each release and write its part of the page."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("releases", nargs="*", default=RELEASES)
    parser.add_argument("--jobs", type=int, default=2)
    options = parser.parse_args()
    lines = [OLDER, HEAD, f"| transformers | backend | classes | {' | '.join(RESULTS)} |", "| --- " * 9 + "|"]
    reasons: list[str] = []
    with tempfile.TemporaryDirectory() as place:
        for release in options.releases:
            rows = rows_of(release, options.jobs, Path(place))
            lines += table(release, rows)
            reasons += ["", f"Not exact on {release}:", "", *exceptions(rows)[2:-1]]
    page = DOC.read_text(encoding="utf-8").partition(OLDER)[0]
    DOC.write_text(page + "\n".join([*lines, *reasons, ""]), encoding="utf-8")


if __name__ == "__main__":
    main()
