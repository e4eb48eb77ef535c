"""Patterns that keep `re` busy are told from those that only look alike."""

from __future__ import annotations

import re

import pytest

from adaptlint.patterns.backtracking import backtracks_on

PATHS = ["model.embed_tokens", "model.layers.0.self_attn.q_proj", "model.layers.0.mlp.down_proj", "lm_head"]


@pytest.mark.parametrize(
    "source",
    [
        r"((a|b|[a-z_.0-9])+)+X",
        r"(.*)*x",
        r"(?:\w+\.?)+!",
        r".*.*.*.*.*.*.*.*x",
        r"([^x]*[^y]*)*?Z",
        r"(?:[\w.]{2,}|[a-z.]+)*\d$",
    ],
)
def test_hostile_patterns_are_told(source: str) -> None:
    assert backtracks_on(source, PATHS) in PATHS


@pytest.mark.parametrize(
    "source",
    [
        r".*\.layers\.\d+\.(self_attn|mlp)\.(q|k|v)_proj",
        r"(?:.*\.)?(?:layers\.\d+\.)+(?:q_proj|v_proj)",
        r"([a-z_]+\.)*q_proj",
        r"(?:model\.|layers\.|\d+\.|self_attn\.)*q_proj$",
        r"^(?:(?!mlp).)*_proj$",
        r"(\w+\.)+\w+",
        r"(?:a{1,3}){2}",
        r"(",
    ],
)
def test_healthy_patterns_are_not(source: str) -> None:
    assert backtracks_on(source, PATHS) is None


@pytest.mark.parametrize("source", [r".*.*.*.*.*.*q_proj", r"(?:[a-z_0-9]+\.)*(?:q|v)_proj", r"(?:[^.]+\.?)*x"])
def test_the_walk_ends_as_re_does_where_it_ends(source: str, monkeypatch: pytest.MonkeyPatch) -> None:
    from adaptlint.patterns import backtracking

    monkeypatch.setattr(backtracking, "STEPS", 10**7)
    for name in ("a.b.q_proj", "q_proj", "a.v_proj", "abc"):
        walk = backtracking._Walk(name)
        tree = backtracking._tree(source)
        ended = walk.sequence(list(tree), 0, walk.is_over)(0)
        assert ended == (re.fullmatch(source, name) is not None)
