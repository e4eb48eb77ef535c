"""Globs over folders and module paths."""

from __future__ import annotations

import pytest

from adaptlint.settings.globs import covers, inside


@pytest.mark.parametrize(
    ("pattern", "path"),
    [
        ("adapters/fr", "adapters/fr"),
        ("adapters/*", "adapters/fr/checkpoint-100"),
        ("adapters/**/last", "adapters/last"),
        ("adapters/**/last", "adapters/fr/2024/last"),
        ("**", "anything/at/all"),
        ("*-draft", "adapters/fr-draft"),
        ("fr", "adapters/fr/last"),
        ("run-[0-9]/x", "run-3/x"),
        ("./adapters/", "adapters/fr"),
    ],
)
def test_covered(pattern: str, path: str) -> None:
    assert covers(pattern, path)


@pytest.mark.parametrize(
    ("pattern", "path"),
    [
        ("adapters/fr", "adapters/fr2"),
        ("adapters/fr", "old/adapters/fr"),
        ("adapters/*/last", "adapters/last"),
        ("./fr", "adapters/fr"),
        ("fr", "french"),
        ("**/last", "adapters/first"),
    ],
)
def test_not_covered(pattern: str, path: str) -> None:
    assert not covers(pattern, path)


@pytest.mark.parametrize(
    ("pattern", "module", "fits"),
    [
        ("model.layers.*.mlp", "model.layers.3.mlp.up_proj", True),
        ("model.layers.{0-2,7}.self_attn.{q_proj,v_proj}", "model.layers.7.self_attn.v_proj", True),
        ("model.layers.{0-2,7}.self_attn.{q_proj,v_proj}", "model.layers.3.self_attn.v_proj", False),
        ("model.layers.{0-2}", "model.layers.2.mlp", True),
        ("model.layers.{0-2}", "model.layers.20.mlp", False),
        ("q_proj", "model.layers.2.self_attn.q_proj", True),
        ("q_proj", "model.layers.2.self_attn.q_proj_2", False),
    ],
)
def test_modules(pattern: str, module: str, fits: bool) -> None:
    assert covers(pattern, module, ".") is fits


def test_no_pattern_takes_long() -> None:
    """`**` many times over is the classical way to make a matcher go through every split of a path."""
    assert not covers("/".join(["**", "a"] * 60), "/".join(["a"] * 59 + ["b"] * 400))


def test_paths_are_seen_from_the_root() -> None:
    assert inside("/here", "/here/a/b") == "a/b"
    assert inside("/here/deep", "/here/a") == "/here/a"
