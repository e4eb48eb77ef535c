"""The part of docs/replay.md that is made from the records of fixtures/runs."""

from __future__ import annotations

from adaptlint.replay import records
from adaptlint.replay.decide import described
from adaptlint.replay.observed import observed
from tests.conftest import ROOT
from tests.replay.stories import Chapter, chapters

DOC = ROOT / "docs" / "replay.md"
HEAD = "| record | beside it | seconds | what the library did |\n| --- | --- | --- | --- |\n"
CUT = 160


def replay_page() -> str:
    """docs/replay.md with its table of records."""
    return DOC.read_text(encoding="utf-8").partition(HEAD)[0] + HEAD + "".join(map(row, chapters()))


def row(chapter: Chapter) -> str:
    """One record: with which releases, how long, and what was seen."""
    name = chapter.name
    entries = records.read_record(str(chapter.record))
    decisive = entries[-1]
    seen = " ".join(described(observed(decisive)).split()).replace("|", "\\|")
    said = seen if len(seen) <= CUT else seen[:CUT] + "..."
    beside = f"transformers {decisive['versions']['transformers']}"
    spent = sum(entry["seconds"] for entry in entries)
    return f"| [{name}](../fixtures/runs/{name}.json) | {beside} | {spent:.0f} | {said} |\n"
