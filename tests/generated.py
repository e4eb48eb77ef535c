"""Texts of the repository that are made by running it; `make pages` writes them anew."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Callable
from itertools import groupby

from adaptlint.catalogue import load_catalogue
from tests.conftest import ROOT

RUN = re.compile(r"<!-- run: (.+?) -->\n```text\n.*?```\n", re.DOTALL)
PROGRAMS = {"make demo": ["adaptlint.testing.demo", "fixtures/stories/pruned-adapter"]}


def index() -> str:
    """rules/README.md: every rule by family."""
    lines = [
        "# Rules",
        "",
        "One page per rule; its path is its code and name. This index is generated (`make pages`).",
        "",
    ]
    rules = sorted(load_catalogue(), key=lambda rule: (rule.code[:3], rule.family, rule.code))
    for family, group in groupby(rules, key=lambda rule: rule.family):
        lines += [f"## {family}", "", "| code | rule | severity | consequence |", "| --- | --- | --- | --- |"]
        for rule in group:
            page = rule.path.removeprefix("rules/")
            lines.append(f"| [{rule.code}]({page}) | {rule.title} | {rule.severity} | {rule.consequence} |")
        lines.append("")
    return "\n".join(lines)


def readme() -> str:
    """README.md with the output of every command it shows; the one thing left out is how long it took."""
    return RUN.sub(lambda match: shown(match[1]), (ROOT / "README.md").read_text(encoding="utf-8"))


def shown(command: str) -> str:
    """A command's block in the README, with what it prints."""
    words = PROGRAMS.get(command) or command.split()
    done = subprocess.run([sys.executable, "-m", *words], cwd=ROOT, capture_output=True, text=True, check=False)
    output = re.sub(r"\d+ ms\b", "… ms", done.stdout.rstrip())
    return f"<!-- run: {command} -->\n```text\n{output}\n```\n"


TEXTS: dict[str, Callable[[], str]] = {"rules/README.md": index, "README.md": readme}
