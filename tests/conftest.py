"""Tests share one cache of base shapes, apart from the user's own, and never reach for the network's models."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parent.parent
PROOF = "test_real_peft_does_what_the_example_says"


def pytest_addoption(parser: pytest.Parser) -> None:
    """`--write-pages` accepts what the generated texts have become."""
    parser.addoption("--write-pages", action="store_true", help="write the generated texts anew")


def pytest_terminal_summary(terminalreporter: Any) -> None:
    """How many examples of the rule pages were run through real PEFT, and how many it agreed with."""
    seen = {
        how: sum(PROOF in report.nodeid for report in terminalreporter.getreports(how) if report.when == "call")
        for how in ("passed", "failed")
    }
    if sum(seen.values()):
        terminalreporter.write_line(f"examples that real PEFT agrees with: {seen['passed']} of {sum(seen.values())}")


@pytest.fixture(scope="session", autouse=True)
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A fresh cache folder for the whole run."""
    folder = tmp_path_factory.mktemp("cache")
    os.environ["ADAPTLINT_CACHE"] = str(folder)
    os.environ["HF_HUB_OFFLINE"] = "1"
    return folder


@pytest.fixture(scope="session")
def root() -> Path:
    """The checkout."""
    return ROOT
