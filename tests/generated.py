"""Texts of the repository that are made by running it; `make pages` writes them anew."""

from __future__ import annotations

import os
import re
import shlex
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable
from functools import partial
from itertools import groupby
from pathlib import Path

from adaptlint.catalogue import load_catalogue
from adaptlint.testing import Recipe, page_examples, read_recipe
from adaptlint.testing.demo import tell
from tests.api_page import api_page
from tests.conftest import ROOT
from tests.families.page import families_page
from tests.releases.prove import NEWEST, target_of
from tests.repair.page import repair_page
from tests.replay.page import replay_page
from tests.replay.wild import wild_page

VERIFIED = "## Verified on"
NAMES = {"peft": "PEFT", "transformers": "transformers", "adapters": "adapters"}
NOBODY = "Nothing: its examples get no verdict from a runtime, or stand on headers alone"
RUN = re.compile(r"<!-- run: (.+?) -->\n```text\n.*?```\n", re.DOTALL)
STEP = re.compile(
    r"<!-- file: (?P<file>.+?) -->\n```toml\n(?P<text>.*?)```\n|<!-- run: (?P<command>.+?) -->\n```text\n.*?```\n",
    re.DOTALL,
)
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


def formats() -> str:
    """docs/formats.md with the outputs of its commands, run beside the pruned adapter and the lock of its base."""
    story = ROOT / "fixtures" / "stories" / "pruned-adapter"
    with tempfile.TemporaryDirectory() as folder:
        shutil.copy(tell(str(story), folder).model, folder)
        return RUN.sub(
            lambda match: shown(match[1], folder), (ROOT / "docs" / "formats.md").read_text(encoding="utf-8")
        )


def tutorial() -> str:
    """docs/tutorial.md with the output of its commands, run one after the other in a folder of their own."""
    text = (ROOT / "docs" / "tutorial.md").read_text(encoding="utf-8")
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "fixtures").symlink_to(ROOT / "fixtures")

        def step(match: re.Match[str]) -> str:
            if match["file"]:
                (Path(folder) / match["file"]).write_text(match["text"], encoding="utf-8")
                return match[0]
            return shown(match["command"], folder)

        return STEP.sub(step, text)


def compositions() -> str:
    """docs/compositions.md with the outputs of its commands, run beside two LoRAs and the Llama that they are for."""
    with tempfile.TemporaryDirectory() as folder:
        built = tell(str(ROOT / "fixtures" / "stories" / "llama-parallel"), folder)
        shutil.copytree(built.model, Path(folder) / "llama-3-8b")
        (Path(folder) / "adapter").rename(Path(folder) / "a")
        page = (ROOT / "docs" / "compositions.md").read_text(encoding="utf-8")
        return RUN.sub(lambda match: shown(match[1], folder), page)


def shown(command: str, folder: str | Path = ROOT) -> str:
    """A command's block in a page, with what it prints."""
    words = PROGRAMS.get(command) or shlex.split(command.removeprefix("python -m "))
    settings = {**os.environ, "PYTHONPATH": str(ROOT)}
    command_line = [sys.executable, "-m", *words]
    done = subprocess.run(command_line, cwd=folder, env=settings, capture_output=True, text=True, check=False)
    if done.returncode not in (0, 1):
        raise RuntimeError(f"{command} ended with {done.returncode}: {done.stderr}")
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
    """True for flash attention, which no CPU has, but for what is raised before the kernels are called."""
    flash = recipe.check.get("attn") == "flash_attention_2"
    says = recipe.expect.get("says", "")
    return flash and "does not support" not in says and "_flash_attention_forward" not in says


PAGES = sorted(path for path in (ROOT / "rules").rglob("*.md") if path.name != "README.md")
TEXTS: dict[str, Callable[[], str]] = {
    "rules/README.md": index,
    "README.md": readme,
    "docs/compositions.md": compositions,
    "docs/families.md": families_page,
    "docs/formats.md": formats,
    "docs/repair.md": repair_page,
    "docs/tutorial.md": tutorial,
    "docs/api.md": api_page,
    "docs/replay.md": replay_page,
    "docs/found-in-the-wild.md": wild_page,
    **{str(page.relative_to(ROOT)): partial(verified, page) for page in PAGES},
}
