"""Texts of the repository that are made by running it; `make pages` writes them anew."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Callable
from functools import partial
from itertools import groupby
from pathlib import Path

from adaptlint.catalogue import load_catalogue
from adaptlint.testing import Recipe, page_examples, read_recipe
from tests.conftest import ROOT
from tests.families.page import families_page
from tests.releases.prove import NEWEST, target_of
from tests.replay.page import replay_page
from tests.replay.wild import wild_page

VERIFIED = "## Verified on"
NAMES = {"peft": "PEFT", "transformers": "transformers", "adapters": "adapters"}
NOBODY = "Nothing: its examples get no verdict from a runtime, or stand on headers alone"
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


def verified(page: Path) -> str:
    """A rule page with its last section: which releases of the real libraries its examples were run with."""
    text = page.read_text(encoding="utf-8")
    body = text.partition(VERIFIED)[0].rstrip("\n")
    asked: dict[str, int] = {}
    for examples in page_examples(body).values():
        for recipe in map(read_recipe, examples):
            if is_proved(recipe):
                name, _, release = target_of(recipe).partition("==")
                asked[f"{NAMES[name]} {release}"] = asked.get(f"{NAMES[name]} {release}", 0) + 1
    by_hand = body.count("tests/test_rules_by_hand.py::")
    if by_hand:
        asked[f"PEFT {NEWEST}"] = asked.get(f"PEFT {NEWEST}", 0) + by_hand
    told = [f"{name} ({count} example{'' if count == 1 else 's'})" for name, count in sorted(asked.items())]
    return f"{body}\n\n{VERIFIED}\n\n{', '.join(told) or NOBODY}.\n"


def is_proved(recipe: Recipe) -> bool:
    """True if real PEFT can be asked: there is a verdict, and the base is more than headers."""
    if recipe.expect.get("outcome", "works") == "unknown":
        return False
    base = {} if isinstance(recipe.base, str) else recipe.base or {}
    files = set(base.get("files", ())) - {"tokenizer_config.json"}
    if files or {"tensors", "mutate", "lock"} & set(base) or str(recipe.base).endswith(".lock.json"):
        return False
    return not needs_a_kernel(recipe)


def needs_a_kernel(recipe: Recipe) -> bool:
    """True for flash attention, which no CPU has, but for what is raised before the kernels are looked for."""
    flash = recipe.check.get("attn") == "flash_attention_2"
    return flash and "does not support" not in recipe.expect.get("says", "")


PAGES = sorted(path for path in (ROOT / "rules").rglob("*.md") if path.name != "README.md")
TEXTS: dict[str, Callable[[], str]] = {
    "rules/README.md": index,
    "README.md": readme,
    "docs/families.md": families_page,
    "docs/replay.md": replay_page,
    "docs/found-in-the-wild.md": wild_page,
    **{str(page.relative_to(ROOT)): partial(verified, page) for page in PAGES},
}
