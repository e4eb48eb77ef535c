"""docs/repair.md with what its commands print, run in a folder made for it."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from adaptlint import tables
from adaptlint.repair.repairing import NEVER
from tests.conftest import ROOT
from tests.repair.cases import LLAMA, made

PAGE = ROOT / "docs" / "repair.md"
RUN = re.compile(r"<!-- run: (.+?) -->\n```text\n.*?```\n", re.DOTALL)
TABLE = re.compile(r"<!-- table: never -->\n.*?<!-- end -->\n", re.DOTALL)


def repair_page() -> str:
    """The page as its commands print it now."""
    text = PAGE.read_text(encoding="utf-8")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name).resolve()
        lay_out(folder)
        text = RUN.sub(lambda found: shown(found[1], folder), text)
    return TABLE.sub(lambda _: never(), text)


def lay_out(folder: Path) -> None:
    """A base, a wider one, a broken adapter, and a newer one of the same training."""
    wrapped = [{"op": "rename", "match": "^", "to": "_orig_mod."}]
    named = [{"op": "rename", "match": r"\.weight$", "to": ".style.weight"}]
    broken = made(folder / "made", LLAMA, *wrapped, *named, trainer_note="tuesday")
    shutil.move(broken.adapter, folder / "adapter")
    shutil.move(made(folder / "made", LLAMA, lora_alpha=16).adapter, folder / "newer")
    shutil.copytree(broken.model, folder / "base")
    config = json.loads((folder / "base" / "config.json").read_text())
    (folder / "wider").mkdir()
    wider = {**config, "hidden_size": 64, "num_attention_heads": 8, "num_key_value_heads": 4}
    (folder / "wider" / "config.json").write_text(json.dumps(wider))


def shown(command: str, folder: Path) -> str:
    """A command's block with what it prints; the one thing left out is how long it took."""
    words = [sys.executable, "-m", *command.split()]
    environment = {"PYTHONPATH": str(ROOT), "PATH": "/usr/bin:/bin", "ADAPTLINT_CACHE": str(folder / ".cache")}
    done = subprocess.run(words, cwd=folder, env=environment, capture_output=True, text=True, check=False)
    assert not done.stderr, done.stderr
    return f"<!-- run: {command} -->\n```text\n$ {command}\n{done.stdout.rstrip()}\n```\n"


def never() -> str:
    """The reasons of the table, with the rules that they are about."""
    rows = [f"| {', '.join(row['codes'])} | {row['because']} |" for row in tables.load()[NEVER]["never"]]
    return "\n".join(
        ["<!-- table: never -->", "", "| findings | why |", "| --- | --- |", *rows, "", "<!-- end -->", ""]
    )
