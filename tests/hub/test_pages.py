"""What releases of AdapterHub's library did with the examples about compositions, against the verdicts."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

import adaptlint
from adaptlint.testing import Recipe, build
from tests.hub.prove import RECORDS, cases
from tests.hub.recorded import keep_graphs
from tests.releases.prove import BASES, mark

TOLD: dict[str, Any] = json.loads(RECORDS.read_text())
COMPOSED = [pytest.param(key, recipe, id=key) for key, recipe in cases() if "compose" in recipe.check]


@pytest.mark.parametrize(("key", "recipe"), COMPOSED)
def test_outcome_and_error_are_the_library_s(key: str, recipe: Recipe, tmp_path: Path) -> None:
    record = TOLD[key]
    assert record["recipe"] == mark(recipe), "the example has changed: run `make prove-hub`"
    keep_graphs()
    built = build(recipe, str(tmp_path), str(BASES))
    (verdict,) = adaptlint.check(built.model, built.adapters, **recipe.check).verdicts
    assert verdict.outcome == record["outcome"]
    if "error" in record:
        assert verdict.error is not None
        assert verdict.error.type == record["error"]["type"]
        assert verdict.error.match in record["error"]["message"]


def test_an_empty_cache_is_told() -> None:
    assert TOLD["AL541-bad-1"]["cached"] == 0
    assert TOLD["AL541-good-1"]["cached"] > 0


@pytest.mark.parametrize(
    ("code", "what"),
    [
        ("AL537", "a has no part in the result"),
        ("AL544", "attention weights"),
        ("AL545", "cached step"),
        ("AL546", "merged"),
        ("AL547", "unmerged"),
        ("AL548", "merged"),
        ("AL549", "mask"),
        ("AL550", "generate raises IndexError"),
    ],
)
def test_what_one_forward_does_not_show_was_seen(code: str, what: str) -> None:
    assert what in TOLD[f"{code}-bad-1"]["afterwards"]
    assert what not in TOLD[f"{code}-good-1"].get("afterwards", ())
