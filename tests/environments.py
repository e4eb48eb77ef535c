"""Environments of other releases for the tests: what is in them is what `adaptlint replay --env` installs.

`python -m tests.environments FOLDER` makes one of the newest of HUB, which borrows.
"""

from __future__ import annotations

import subprocess
import sys
import sysconfig
from pathlib import Path

from adaptlint.replay.environments import wanted

ENVIRONMENTS = Path(__file__).resolve().parents[1] / ".venv-releases"
HUB = ("0.2.2", "1.0.0", "1.1.1", "1.2.0", "1.3.0")
"""Releases of AdapterHub's library that the tests play."""
PEFT = ("0.4.0", "0.5.0", "0.6.0", "0.10.0", "0.11.1", "0.14.0", "0.17.1")
"""Releases of PEFT; single examples speak of others, and no method's card does."""


def environment(library: str, release: str) -> str:
    """The interpreter of an environment that has this release, made once."""
    place = ENVIRONMENTS / (release if library == "peft" else f"{library}-{release}")
    python = place / "bin" / "python"
    if not any(place.glob(f"lib/*/site-packages/{library}-{release}.dist-info")):  # pip installs it after the rest
        requirements = wanted(f"{library}=={release}").requirements
        subprocess.run([sys.executable, "-m", "venv", str(place)], check=True)
        subprocess.run([str(python), "-m", "pip", "install", "-qq", *requirements], check=True)
    return str(python)


def borrowing(library: str, release: str, place: Path) -> None:
    """The same at `place` within seconds: what this interpreter has in a wanted release is lent, and not installed.

    The site-packages of this interpreter come last on the other's path, where pip counts what fits there as installed
    and leaves the rest alone.
    """
    subprocess.run([sys.executable, "-m", "venv", "--clear", "--without-pip", str(place)], check=True)
    (site,) = place.glob("lib/*/site-packages")
    (site / "borrowed.pth").write_text(sysconfig.get_path("purelib") + "\n", encoding="utf-8")
    pip = [sys.executable, "-m", "pip", "--python", str(place / "bin" / "python"), "--disable-pip-version-check"]
    subprocess.run([*pip, "install", "-qq", "--no-input", *wanted(f"{library}=={release}").requirements], check=True)


def transformers_of(release: str) -> str:
    """The release of transformers that stands beside a release of PEFT."""
    (pin,) = [each for each in wanted(f"peft=={release}").requirements if each.startswith("transformers==")]
    return pin.partition("==")[2]


if __name__ == "__main__":
    borrowing("adapters", HUB[-1], Path(sys.argv[1]))
