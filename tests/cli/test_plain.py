"""The reader of plain command lines and click agree wherever the former gives an answer."""

from __future__ import annotations

import random
from typing import Any

import click
import pytest

from adaptlint.cli import check_command, graph_command
from adaptlint.cli.check import OPTIONS, codes, named
from adaptlint.cli.graph import OPTIONS as GRAPH_OPTIONS
from adaptlint.cli.plain import parse

WORDS = [
    "m",
    "a",
    "b=c",
    "./d",
    "",
    "-",
    "--",
    "-x",
    "--no",
    "text",
    "json",
    "error",
    "full",
    "peft==0.21.2",
    "=",
    "a,b",
]


def by_click(arguments: list[str]) -> dict[str, Any] | None:
    try:
        context = check_command.command.make_context("check", list(arguments))
    except (click.ClickException, click.exceptions.Exit):
        return None
    return context.params


@pytest.mark.parametrize("seed", range(40))
def test_random_lines(seed: int) -> None:
    chance = random.Random(seed)
    names = [option.name for option in OPTIONS] + ["--help", "--nonsense", "--verb"]
    answered = 0
    for _ in range(100):
        line = ["m", "a"] if chance.random() < 0.7 else []
        for _ in range(chance.randrange(5)):
            option = chance.choice(names)
            word = chance.choice(WORDS)
            line += chance.choice([[option], [option, word], [f"{option}={word}"], [word]])
        chance.shuffle(line) if chance.random() < 0.1 else None
        plain = parse(line, OPTIONS)
        if plain is not None:
            answered += 1
            assert plain == by_click(line), line
    assert answered > 10


@pytest.mark.parametrize("option", OPTIONS, ids=lambda option: option.name)
def test_every_option_is_understood(option: Any) -> None:
    value = option.choices[-1] if option.choices else "7"
    lines = [["m", "a", option.name]] if option.kind == "flag" else [["m", option.name, value, "a"]]
    lines += [] if option.kind == "flag" else [["m", "a", f"{option.name}={value}"], [*lines[0], *lines[0]]]
    for line in lines:
        plain = parse(line, OPTIONS)
        assert plain is not None
        assert plain == by_click(line)
        assert plain[option.key] != option.initial()


@pytest.mark.parametrize(
    "line",
    [
        ["m"],
        ["m", "--flow", "--attn", "eager", "--seq", "128"],
        ["--format=json", "m", "--offline"],
        ["m", "--flow", "--batch=7", "--decoder-seq", "3"],
        ["m", "a", "n=b", "--compose", "Parallel(a, n)", "--flow", "--fusion", "a,n", "--target=adapters"],
    ],
)
def test_lines_of_graph(line: list[str]) -> None:
    plain = parse(line, GRAPH_OPTIONS, least=0)
    assert plain is not None
    assert plain == graph_command.command.make_context("graph", list(line)).params


@pytest.mark.parametrize(
    "line", [[], ["m", "--compose"], ["m", "--seq", "0"], ["m", "--seq", "x"], ["m", "--batch", "-1"], ["m", "-h"]]
)
def test_mistakes_of_graph_are_left_to_click(line: list[str]) -> None:
    assert parse(line, GRAPH_OPTIONS, least=0) is None


@pytest.mark.parametrize("line", [[], ["m"], ["m", "a", "--help"], ["m", "a", "--format", "xml"], ["m", "a", "--plan"]])
def test_mistakes_and_questions_are_left_to_click(line: list[str]) -> None:
    assert parse(line, OPTIONS) is None


def test_names_and_codes(tmp_path: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "run=3").mkdir()
    assert named("a=b/c") == ("a", "b/c")
    assert named("run=3") == "run=3"
    assert named("./run=4/adapter") == "./run=4/adapter"
    assert named("plain") == "plain"
    assert codes(("AL3, AL401", "AL2")) == ("AL3", "AL401", "AL2")
