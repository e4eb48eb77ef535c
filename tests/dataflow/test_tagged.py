"""Numbers of a config keep their names through arithmetic, and tell what was compared."""

from __future__ import annotations

import math
from types import SimpleNamespace
from typing import Any

import pytest

from adaptlint.dataflow.tagged import ConfigTags, TaggedFloat, TaggedInt, sized, term_of


@pytest.fixture
def tags() -> ConfigTags:
    return ConfigTags()


def tagged(tags: ConfigTags, **values: Any) -> SimpleNamespace:
    config = SimpleNamespace(**values)
    tags.put_into(config)
    return config


def test_every_number_of_a_config_is_tagged(tags: ConfigTags) -> None:
    config = tagged(tags, width=8, share=0.5, on=True, sizes=[1, 2], rope={"factor": 2.0}, id2label={0: "a"}, _own=3)
    assert term_of(config.width) == ["config", "width"]
    assert term_of(config.share) == ["config", "share"]
    assert term_of(config.sizes[1]) == ["config", "sizes.1"]
    assert term_of(config.rope["factor"]) == ["config", "rope.factor"]
    assert config.on is True
    assert not isinstance(config._own, TaggedInt)


def test_arithmetic_keeps_the_tag(tags: ConfigTags) -> None:
    config = tagged(tags, width=12, heads=3, share=0.25)
    whole = tags._int()
    assert term_of(config.width // config.heads) == ["//", ["config", "width"], ["config", "heads"]]
    assert term_of(whole(config.width / config.heads)) == ["//", ["config", "width"], ["config", "heads"]]
    made = whole(config.width * config.share)
    assert (made, term_of(made)) == (3, ["int", ["*", ["config", "share"], ["config", "width"]]])
    ceiling = math.ceil(config.width / 5)
    assert (ceiling, term_of(ceiling)) == (3, ["-", 0, ["//", ["-", 0, ["config", "width"]], 5]])
    assert tags.made == [term_of(whole(config.width / config.heads)), term_of(made), tags.made[0]]


def test_the_stand_in_for_int_takes_what_int_takes(tags: ConfigTags) -> None:
    whole = tags._int()
    assert (whole("12"), whole(2.9), whole("f", 16), whole()) == (12, 2, 15, 0)
    assert isinstance(3, whole)
    assert not isinstance(3.0, whole)


def test_comparisons_are_kept_with_their_outcome(tags: ConfigTags) -> None:
    config = tagged(tags, heads=4, groups=4, share=0.5)
    assert config.heads == config.groups
    assert not config.share > 1
    assert config.heads
    assert tags.held == [
        (["config", "heads"], "==", ["config", "groups"], True),
        (["config", "share"], ">", 1, False),
        (["config", "heads"], "!=", 0, True),
    ]


def test_comparisons_with_a_size_go_to_the_forward(tags: ConfigTags) -> None:
    heard: list[Any] = []
    tags.forward = lambda *comparison: heard.append(comparison)
    config = tagged(tags, window=4)
    size = TaggedInt(7, ["size", 0, 0, 1], tags.forward)
    assert config.window < size
    assert size > config.window
    assert heard == [
        (["config", "window"], "<", ["size", 0, 0, 1], True),
        (["size", 0, 0, 1], ">", ["config", "window"], True),
    ]
    assert tags.held == []
    assert type(size / 2) is float
    assert sized(term_of(size * config.window))
    assert not isinstance(size * 0.5, TaggedFloat)
