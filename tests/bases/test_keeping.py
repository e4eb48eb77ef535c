"""Locks and cache entries: whole or not believed, equal bytes for equal bases, no torch to read them."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from adaptlint.bases import Base, BaseProblem, families, installed_versions, load_base, store, write_lock

pytest.importorskip("transformers")


@pytest.fixture
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A cache of this test's own; what a shipped table answers is not built and not kept."""
    monkeypatch.setenv("ADAPTLINT_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(families, "FOLDER", str(tmp_path / "no-tables"))
    return tmp_path / "cache" / "bases"


def tiny(root: Path, **wanted: Any) -> Base:
    base = load_base(str(root / "fixtures" / "bases" / "tiny-llama" / "config.json"), **wanted)
    assert isinstance(base, Base), base
    return base


def test_a_lock_says_what_the_build_said(root: Path, tmp_path: Path) -> None:
    base = tiny(root, task="CAUSAL_LM")
    path = tmp_path / "tiny.lock.json"
    write_lock(base, str(path))
    first = path.read_bytes()
    write_lock(tiny(root, task="CAUSAL_LM"), str(path))
    assert path.read_bytes() == first
    assert len(first) < 6000
    lock = load_base(str(path), task="SEQ_CLS")
    assert isinstance(lock, Base)
    assert (lock.source, lock.made_with, lock.certain_kinds) == ("lock", base.made_with, True)
    assert lock.modules == base.modules
    assert lock.record == base.record
    assert lock.answers("AutoModelForCausalLM")
    assert not lock.answers("AutoModelForSequenceClassification")


def test_damaged_and_foreign_locks_are_refused(root: Path, tmp_path: Path) -> None:
    path = tmp_path / "tiny.lock.json"
    write_lock(tiny(root), str(path))
    whole = json.loads(path.read_text())

    def reason(value: Any) -> str:
        path.write_text(json.dumps(value))
        found = load_base(str(path))
        assert isinstance(found, BaseProblem)
        return found.reason

    assert reason({**whole, "version": 99}) == "lock-version-unknown"
    assert reason({**whole, "model_type": "other"}) == "lock-damaged"
    assert reason({key: value for key, value in whole.items() if key != "ties"}) == "lock-damaged"
    assert reason({"format": whole["format"], "version": 1, "checksum": "crc32:1edc1ec6"}) == "lock-damaged"
    path.write_text(json.dumps(whole)[:-40])
    assert load_base(str(path))[0] == "base-config-malformed"


def sealed(record: dict[str, Any]) -> dict[str, Any]:
    from adaptlint.bases.lock import LOCK_FORMAT, _checksum

    return {"format": LOCK_FORMAT, "version": 1, "checksum": _checksum(record), "asked": None, **record}


@pytest.mark.parametrize(
    ("tree", "reason"),
    [
        ({"class": "M", "children": {"0-99999999": {"class": "L"}}}, "base-too-large"),
        ({"class": 3}, "lock-malformed"),
        ({"class": "M", "params": {"w": [None]}}, "lock-malformed"),
    ],
)
def test_a_lock_made_in_bad_faith(tree: dict[str, Any], reason: str, root: Path, tmp_path: Path) -> None:
    path = tmp_path / "bad.json"
    path.write_text(json.dumps(sealed({**tiny(root).record, "tree": tree})))
    assert load_base(str(path))[0] == reason


def test_the_second_load_comes_from_the_cache(root: Path, own_cache: Path) -> None:
    assert tiny(root).source == "meta"
    again = tiny(root)
    assert again.source == "cache"
    assert again.modules == tiny(root, cache=False).modules
    assert tiny(root, task="SEQ_CLS").source == "meta"
    assert len(list(own_cache.iterdir())) == 2


def test_a_damaged_entry_is_a_miss_and_is_mended(root: Path, own_cache: Path) -> None:
    tiny(root)
    (entry,) = own_cache.iterdir()
    whole = entry.read_bytes()
    for damage in (
        b"",
        whole[:-1],
        whole.replace(b"q_proj", b"x_proj"),
        b"{}",
        b"\xff" * 50,
        whole.partition(b"\n")[0],
    ):
        entry.write_bytes(damage)
        assert tiny(root).source == "meta"
        assert entry.read_bytes() == whole
    other = entry.with_name("0" * 40 + entry.name[40:])
    other.write_bytes(whole)
    assert store.cached_record("0" * 40) is None


def test_without_the_libraries_the_newest_entry_is_used(
    root: Path, own_cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    base = tiny(root)
    key = store.base_key(base.config, None)
    for release in ("4.9.1", "4.46.0"):
        store.keep_record(key, {**base.record, "made_with": {"transformers": release, "torch": "2.4.0"}})
    monkeypatch.setattr(store, "installed_versions", lambda names: {})
    assert tiny(root).made_with == base.made_with
    for entry in own_cache.iterdir():
        if "_4." not in entry.name:
            entry.unlink()
    assert tiny(root).made_with["transformers"] == "4.46.0"


def test_a_warm_load_imports_nothing_heavy(root: Path, own_cache: Path) -> None:
    tiny(root)
    code = (
        "import sys; from adaptlint.bases import load_base; base = load_base(sys.argv[1]); base.modules; base.tree;"
        "heavy = {'torch','transformers','numpy','hashlib','dataclasses','inspect','logging','pathlib','tempfile',"
        "'importlib.metadata','tomllib'} & set(sys.modules); print(base.source, *heavy)"
    )
    config = root / "fixtures" / "bases" / "tiny-llama" / "config.json"
    folders = "|".join([str(root), *(entry for entry in sys.path if entry)])
    code = "import sys; sys.path[:0] = sys.argv.pop().split('|');" + code
    done = subprocess.run(
        [sys.executable, "-S", "-c", code, str(config), folders], capture_output=True, text=True, check=True
    )
    assert done.stdout.split() == ["cache"]


def test_what_a_table_answers_is_not_kept(root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ADAPTLINT_CACHE", str(tmp_path / "cache"))
    assert tiny(root).source == "shipped"
    assert not (tmp_path / "cache" / "bases").exists()


def test_installed_versions_are_those_of_the_metadata() -> None:
    from importlib.metadata import version

    found = installed_versions(["torch", "transformers", "no_such_thing"])
    assert found == {name: version(name).partition("+")[0] for name in ("torch", "transformers")}
