"""`python -m tests.hub.compare BASES [EVERY] [--list]`: breaking, loading and judging for every release that is played.

BASES holds <base>/config.json and <base>/case_base.json.
"""

from __future__ import annotations

import json
import os
import sys
import tempfile
from pathlib import Path

from tests.environments import HUB
from tests.hub.agreement import told_of
from tests.hub.pack import packed
from tests.hub.prove import run


def main(bases: str, every: str = "10", listed: str = "") -> None:
    """Print the figures of each release."""
    with tempfile.TemporaryDirectory() as place:
        os.environ["ADAPTLINT_CACHE"] = str(Path(place) / "cache")
        for release in HUB:
            out = Path(place) / f"{release}.json"
            run(release, "tests.hub.breaking", bases, str(out), "--every", every)
            record = packed(json.loads(out.read_text()), Path(bases))
            print(f"adapters {release}", *told_of(record, listed == "--list"), sep="\n  ", flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
