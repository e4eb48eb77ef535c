"""Releases as data: the table is whole, the code asks for nothing else, and saved modules do what each release did."""

from __future__ import annotations

import re

import pytest

from adaptlint import tables
from adaptlint.runtimes.peft.release import RELEASES, Release, is_modelled, parse_version, transformers_of_its_time
from adaptlint.runtimes.peft.saved_copies import Missing, SavedCopies
from tests.conftest import ROOT

CODE = "".join(path.read_text(encoding="utf-8") for path in (ROOT / "adaptlint" / "runtimes" / "peft").glob("*.py"))
FACTS = tables.load()[RELEASES]["fact"]
PUBLIC = {"card", "facts", "has", "has_field", "reached", "transformers", "version", "generating_is_inherited"}

# What the real releases did with two adapters, A saving "head" and B saving "pooler", step by step: load A, load B,
# set B, set A, leave disable_adapter. W: the output is that of the active adapter alone, S: it is not, E: ValueError.
SEEN = {
    "0.4.0": "WSWWW",
    "0.5.0": "WSWWW",
    "0.10.0": "WSWE",
    "0.11.1": "WSWWS",
    "0.14.0": "WSWWS",
    "0.15.2": "WSWWS",
    "0.17.1": "WSWWS",
    "0.18.0": "WWWWW",
    "0.21.2": "WWWWW",
}


def test_every_fact_has_a_source_and_is_asked_for() -> None:
    asked = set(re.findall(r"\brelease\.([a-z0-9_]+)", CODE)) - PUBLIC
    named = [row["name"] for row in FACTS]
    assert len(named) == len(set(named))
    assert asked == set(named)
    for row in FACTS:
        assert row["source"], row["name"]
        assert row["what"], row["name"]
        assert {"since", "until"} & set(row), row["name"]


@pytest.mark.parametrize(("version", "fact", "holds"), [
    ("0.13.2", "warns_missing", False),
    ("0.14.0", "warns_missing", True),
    ("0.14.0.dev0", "warns_missing", True),
    ("0.10.0", "set_needs_every_copy", True),
    ("0.11.0", "set_needs_every_copy", False),
    ("0.21.2", "maps_keys_from_model", True),
])  # fmt: skip
def test_facts_hold_between_their_releases(version: str, fact: str, holds: bool) -> None:
    assert getattr(Release(version, "5.23.0"), fact) is holds


def test_a_fact_may_need_a_transformers() -> None:
    assert Release("0.19.0", "5.0.0").converts_checkpoints
    assert not Release("0.19.0", "4.56.0").converts_checkpoints


def test_names_by_release() -> None:
    old, new = Release("0.11.1", "4.40.2"), Release("0.21.2", "5.23.0")
    assert old.has("fields", "use_dora")
    assert not old.has("fields", "exclude_modules")
    assert old.has("types", "VERA")
    assert not old.has("types", "TRAINABLE_TOKENS")
    assert not new.has("types", "BONE")
    assert Release("0.17.0", "4.51.3").has("types", "BONE")
    with pytest.raises(AttributeError, match="no fact"):
        _ = old.a_fact_that_nobody_wrote


@pytest.mark.parametrize(("version", "known"), [("0.3.0", False), ("0.4.0", True), ("0.21.9", True), ("0.22.0", False)])
def test_releases_that_were_read(version: str, known: bool) -> None:
    assert is_modelled(version) is known


def test_transformers_of_an_old_release() -> None:
    assert transformers_of_its_time("0.11.1") == "4.40.2"
    assert transformers_of_its_time("0.18.0") is None
    assert parse_version("no version") == ()


@pytest.mark.parametrize(("version", "seen"), SEEN.items())
def test_saved_modules_step_by_step(version: str, seen: str) -> None:
    release = Release(version, "4.51.3")
    copies = SavedCopies(release)
    copies.add("head", "A", "A", own=True)
    told = ["S" if copies.mixed("A") else "W"]
    copies.add("pooler", "B", "A", own=True)
    if release.saves_for_all:
        copies.add("head", "B", "A", own=False)
    told.append("S" if copies.mixed("A") else "W")
    for name in ("B", "A"):
        try:
            copies.activate(name)
        except Missing:
            told.append("E")
            break
        told.append("S" if copies.mixed(name) else "W")
    else:
        copies.enable()
        told.append("S" if copies.mixed("A") else "W")
    assert "".join(told) == seen
