"""The bounded engine says what Python's `re` says, and hostile patterns cost it no time."""

from __future__ import annotations

import random
import re

import pytest

from adaptlint.patterns import UnboundedPattern, compile_pattern, is_plain

NAMES = [
    f"model.layers.{layer}.{block}.{leaf}"
    for layer in (0, 1, 10, 31)
    for block, leaf in (("self_attn", "q_proj"), ("mlp", "down_proj"), ("mlp.experts.3", "w1"))
] + ["lm_head", "model.embed_tokens", "", "a", "aaaa", "model.läyers.٣.q_proj", "x{,3}", "vision.q_proj"]
PATTERNS = (
    r".*\.(q|v)_proj",
    r"model\.layers\.\d+\.self_attn\.(?:q|k)_proj",
    r"^(?!.*mlp).*_proj$",
    r"(?i).*Q_PROJ",
    r"a{,3}",
    r"x{,3}",
    r"[[:alpha:]]+",
    r"(a)\1+",
    r"\Amodel.*\Z",
    r"(?:.*\.)?lm_head",
    r"\w+\.\w+",
    r".*\.\d\..*",
    r"(?<=x)q|lm_head",
    r"a*+a",
    r"",
)


@pytest.mark.parametrize("source", PATTERNS)
@pytest.mark.filterwarnings("ignore:Possible nested set")
def test_answers_are_those_of_re(source: str) -> None:
    pattern, reference = compile_pattern(source), re.compile(source)
    for how in ("fullmatch", "match"):
        pattern.prepare(NAMES, how)
        got = [getattr(pattern, how)(name) for name in NAMES]
        assert got == [getattr(reference, how)(name) is not None for name in NAMES]


def test_random_patterns_agree_with_re() -> None:
    seed = random.randrange(10**6)
    chance = random.Random(seed)
    atoms = ["a", "b", r"\.", ".", r"\d", r"\w", "[ab]", "(?:a|b)", "^", "$", r"\b", "[^.]", "q_proj"]
    for _ in range(300):
        source = "".join(chance.choice(atoms) + chance.choice(["", "", "*", "+", "?", "{1,2}", "*?"]) for _ in range(5))
        try:
            reference = re.compile(source)
        except re.error:
            continue
        if compile_pattern(source)._linear is None:
            continue
        for name in ("a.b", "ab.1.q_proj", "q_proj", "", "abab"):
            assert compile_pattern(source).fullmatch(name) == (reference.fullmatch(name) is not None), (seed, source)


@pytest.mark.parametrize("source", ["(", "a**", "*a", r"(?P<n>a)(?P<n>b)", "[z-a]"])
def test_what_re_refuses_is_refused(source: str) -> None:
    with pytest.raises(re.error):
        compile_pattern(source)


LONG = "a" * 60 + "!"  # `re` would need longer than anybody waits


@pytest.mark.parametrize("source", [r"(a+)+$", r"(a|a)*b", r".*.*.*.*.*.*.*.*x"])
def test_crafted_patterns_are_answered(source: str) -> None:
    assert not compile_pattern(source).fullmatch(LONG)


@pytest.mark.parametrize("source", [r"(?=(a+)+$)b", r"(a+)+\1$"])
def test_crafted_patterns_beyond_the_linear_engine_are_stopped(source: str) -> None:
    with pytest.raises(UnboundedPattern, match="does not finish"):
        compile_pattern(source).fullmatch(LONG)


def test_too_long_or_deep_is_not_evaluated() -> None:
    with pytest.raises(UnboundedPattern):
        compile_pattern("a" * 5000)
    with pytest.raises(UnboundedPattern):
        compile_pattern("(" * 1500 + ")" * 1500)


def test_groups_are_read_in_linear_time() -> None:
    assert compile_pattern(r"(?:^|.*?\.)layers\.(?P<idx>\d+)\.").group("model.layers.12.mlp", "idx") == "12"
    assert compile_pattern(r"layers\.(?P<idx>\d+)").group("other", "idx") is None
    with pytest.raises(UnboundedPattern):
        compile_pattern(r"(?!x)(?P<idx>\d+)").group("1", "idx")


def test_plain_names() -> None:
    assert is_plain("q_proj")
    assert not is_plain("q.proj")
    assert not is_plain("q_proj\n")
