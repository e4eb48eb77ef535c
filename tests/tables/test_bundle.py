"""Tables are read once, cached under a fingerprint, and never believed when damaged."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import pytest

from adaptlint.tables import TableError, bundle, load
from adaptlint.tables.files import cache_folder, read_sealed, write_sealed

PAGE = '# A title\n\n```toml rule\nseverity = "error"\nneeds = ["config"]\n```\n\n## What it looks for\n'


@pytest.fixture
def checkout(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A checkout with one table and one page, and a cache of its own."""
    package = tmp_path / "adaptlint"
    (package / "methods").mkdir(parents=True)
    (package / "methods" / "lora.toml").write_text("rank = 8\n")
    (tmp_path / "rules" / "shape").mkdir(parents=True)
    (tmp_path / "rules" / "README.md").write_text("no card here\n")
    (tmp_path / "rules" / "shape" / "AL301-x.md").write_text(PAGE)
    monkeypatch.setattr(bundle, "PACKAGE", str(package))
    monkeypatch.setattr(bundle, "_loaded", None)
    monkeypatch.setenv("ADAPTLINT_CACHE", str(tmp_path / "cache"))
    return tmp_path


def fresh(monkeypatch: pytest.MonkeyPatch) -> Mapping[str, object]:
    monkeypatch.setattr(bundle, "_loaded", None)
    return load()


def test_tables_and_cards_by_path(checkout: Path) -> None:
    assert load() == {
        "methods/lora.toml": {"rank": 8},
        "rules/shape/AL301-x.md": {"title": "A title", "severity": "error", "needs": ["config"]},
        bundle.SHORT: {
            "rules/shape/AL301-x.md": {"grain": "", "needs": ["config"], "claim": [], "when": [], "reasons": []}
        },
    }


def test_an_edit_is_seen_and_an_unchanged_checkout_is_read_from_the_cache(
    checkout: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    load()
    (checkout / "adaptlint" / "methods" / "lora.toml").write_text("rank = 16 # longer\n")
    assert fresh(monkeypatch)["methods/lora.toml"] == {"rank": 16}
    monkeypatch.setattr(bundle, "compile_tables", None)
    assert fresh(monkeypatch)["methods/lora.toml"] == {"rank": 16}


@pytest.mark.parametrize("damage", [b"", b"{}", b"adaptlint-tables-1 00000000-1 2 00000000\n{}"])
def test_a_damaged_cache_is_made_anew(checkout: Path, monkeypatch: pytest.MonkeyPatch, damage: bytes) -> None:
    expected = load()
    (entry,) = (checkout / "cache").iterdir()
    for content in (damage, entry.read_bytes()[:-3]):
        entry.write_bytes(content)
        assert fresh(monkeypatch) == expected


def test_an_unwritable_cache_is_no_error(checkout: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (checkout / "cache").write_text("a file, not a folder")
    assert "methods/lora.toml" in fresh(monkeypatch)


@pytest.mark.parametrize(("name", "text"), [("t.toml", "= 1"), ("page.md", "# Title only\n")])
def test_a_broken_source_is_named(checkout: Path, name: str, text: str) -> None:
    path = checkout / name
    path.write_text(text)
    with pytest.raises(TableError, match=name):
        bundle.compile_tables({name: str(path)})


def test_a_shipped_bundle_is_believed_first(checkout: Path) -> None:
    shipped = checkout / "adaptlint" / "_rules"
    shipped.mkdir()
    (shipped / bundle.BUNDLE).write_bytes(bundle.compiled({"methods/lora.toml": {"rank": 1}, "other.toml": {}}))
    assert load() == {"methods/lora.toml": {"rank": 1}, "other.toml": {}}


def test_a_table_is_parsed_when_it_is_asked_for() -> None:
    tables = bundle.Tables(b'one.toml\t{"a": 1}\ntwo.toml\tnot json')
    assert set(tables) == {"one.toml", "two.toml"}
    assert tables["one.toml"] is tables["one.toml"] == {"a": 1}
    with pytest.raises(ValueError, match="Expecting value"):
        tables["two.toml"]


def test_sealed_entries(tmp_path: Path) -> None:
    path = str(tmp_path / "deep" / "entry")
    assert write_sealed(path, "label 1", b"body\nmore")
    assert read_sealed(path, "label 1") == b"body\nmore"
    assert read_sealed(path, "label 2") is None
    assert read_sealed(path + "x", "label 1") is None
    assert [entry.name for entry in (tmp_path / "deep").iterdir()] == ["entry"]


def test_the_cache_folder(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ADAPTLINT_CACHE", "/somewhere")
    assert cache_folder() == "/somewhere"
    monkeypatch.delenv("ADAPTLINT_CACHE")
    monkeypatch.setenv("XDG_CACHE_HOME", "/xdg")
    assert cache_folder() == "/xdg/adaptlint"


def test_the_checkouts_own_tables_load() -> None:
    tables = bundle.compile_tables(bundle.find_sources())
    assert tables["bases/names.toml"]["conv1d"]["leaves"]
