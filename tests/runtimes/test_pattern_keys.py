"""Looking many patterns up at once gives what PEFT's own loop over `re.match` gives."""

from __future__ import annotations

import random
import re

import pytest

from adaptlint.findings import Where
from adaptlint.runtimes.peft.pattern_keys import DOTTED, PATTERNS, SEGMENT, SUFFIX, PatternKeys
from adaptlint.runtimes.peft.refusal import NotModelled, Refusal

PARTS = ["q", "q_proj", "layers", "0", "1", "attn", "a.b", "."]


@pytest.mark.parametrize("form", [SUFFIX, SEGMENT, DOTTED])
@pytest.mark.parametrize("seed", range(40))
def test_first_match_is_that_of_re(form: str, seed: int) -> None:
    chance = random.Random(seed)
    paths = [".".join(chance.choices(PARTS[:6], k=chance.randint(1, 5))) for _ in range(20)]
    keys = [".".join(chance.choices(PARTS, k=chance.randint(1, 3))) for _ in range(15)]
    keys += [".*q", "q|0", r"layers\.\d", "(?!x)q", "lay.rs.0"]
    chance.shuffle(keys)
    found = PatternKeys(keys, form, Where("config"))
    found.prepare(paths)
    for path in paths:
        hits = [i for i, key in enumerate(keys) if re.match(form.format(key), path)]
        assert found.first(path) == (hits[0] if hits else None), (keys, path)
        assert found.alive([path]) == set(hits)


def test_a_broken_pattern_raises_where_peft_meets_it() -> None:
    keys = PatternKeys(["q_proj", "("], SUFFIX, Where("config"))
    assert keys.first("layers.0.q_proj") == 0
    with pytest.raises(Refusal) as refused:
        keys.first("layers.0.v_proj")
    assert refused.value.fault.at == Where("config", ("(",))


def test_so_many_patterns_are_not_evaluated() -> None:
    with pytest.raises(NotModelled):
        PatternKeys([f".*{number}" for number in range(PATTERNS + 1)], SUFFIX, Where("config"))
