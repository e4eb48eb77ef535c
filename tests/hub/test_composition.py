"""Expressions: what they mean, and where they go wrong."""

from __future__ import annotations

import pytest

from adaptlint.runtimes.adapters.composition import ExpressionError, read_composition
from adaptlint.runtimes.adapters.meaning import meant_for, unused
from adaptlint.runtimes.adapters.rows import Raised
from adaptlint.runtimes.adapters.validation import check_composition

NEWEST = (1, 3, 0)


def test_a_composition_is_read_as_the_library_prints_it() -> None:
    read = read_composition("Parallel(a, Stack(b, 'c d'), BatchSplit(e, f, batch_sizes=[1, 2]))")
    assert str(read) == "Parallel[a, Stack[b, c d], BatchSplit[e, f]]"
    assert (read.first, read.last, read.channels) == ("a", "f", 3)
    assert read.children[2].sizes("batch_sizes") == [1, 2]


def test_one_name_is_a_stack_of_it() -> None:
    assert str(read_composition(" style ")) == "Stack[style]"


def test_a_fuse_looks_for_the_layer_of_its_last_names() -> None:
    assert read_composition("Fuse(Stack(a, b), c)").fusion == "b,c"
    assert read_composition("Fuse(a, b, name='both')").fusion == "both"


@pytest.mark.parametrize(
    ("text", "column", "says"),
    [
        ("Paralel(a, b)", 1, "Paralel is no block"),
        ("Parallel(a, stack(b))", 13, "is Stack meant?"),
        ("Parallel(a b)", 12, "'b' where ',' is expected"),
        ("Parallel(a, ", 13, "the end where"),
        ("BatchSplit(a, b)", 1, "BatchSplit without batch_sizes"),
        ("Split(a, b, splits=[x])", 20, "is no value for splits"),
        ("Stack()", 1, "Stack of no adapters"),
        ("Stack(a) b", 10, "after the end"),
        ("Stack(a, %)", 10, "belongs in no composition"),
        ("", 1, "the end where an adapter"),
        ("Stack(a, depth=2)", 10, "no setting 'depth'"),
        ("Fuse(a, b, name=)", 17, "')' where a value is expected"),
        ("Average(a, b, weights=3)", 23, "3 is no value for weights of Average"),
        ("BatchSplit(a, b, batch_sizes=[])", 30, "[] is no value for batch_sizes"),
        ("Arrow(a, b, top_k=1)", 1, "Arrow is no block; blocks are Stack"),
        ("MultiTask(a, task_ids=[0, 1])", 14, "MultiTask has no setting 'task_ids' here"),
    ],
)
def test_a_typo_points_at_its_column(text: str, column: int, says: str) -> None:
    with pytest.raises(ExpressionError) as raised:
        read_composition(text)
    assert (raised.value.column, says in raised.value.problem) == (column, True), raised.value


def test_words_of_peft_are_read_where_they_are_asked_for() -> None:
    read = read_composition("Arrow(a, b, general=[g, 'h i'], top_k=2, router_temperature=0.5)", in_peft=True)
    assert dict(read.settings) == {"general": ["g", "h i"], "top_k": 2, "router_temperature": 0.5}
    for value in ("2.5", "[1, 2]", "b"):
        with pytest.raises(ExpressionError, match="is no value for top_k"):
            read_composition(f"Arrow(a, top_k={value})", in_peft=True)


@pytest.mark.parametrize("text", ["Stack(" * 300 + "a" + ")" * 300, "(" * 5000, "a" * 5000, "Stack(" + "a," * 2000])
def test_no_expression_is_too_much(text: str) -> None:
    with pytest.raises(ExpressionError):
        read_composition(text)


@pytest.mark.parametrize(
    ("text", "kind", "says"),
    [
        ("Parallel(a, Parallel(b, c))", "ValueError", "Cannot nest Parallel[b, c] in Parallel[a, Parallel[b, c]]"),
        ("Fuse(a, BatchSplit(b, c, batch_sizes=1))", "ValueError", "Cannot nest"),
        ("Stack(Parallel(BatchSplit(a, b, batch_sizes=1), c))", "ValueError", "too deep"),
    ],
)
def test_nestings_that_the_library_refuses(text: str, kind: str, says: str) -> None:
    with pytest.raises(Raised) as raised:
        check_composition(read_composition(text), "bert", NEWEST)
    assert (raised.value.kind, says in raised.value.text) == (kind, True), raised.value


def test_only_an_outermost_parallel_is_asked_whether_the_model_can_take_it() -> None:
    with pytest.raises(Raised, match="Models of type qwen2 don't support"):
        check_composition(read_composition("Parallel(a, b)"), "qwen2", NEWEST)
    check_composition(read_composition("Stack(Parallel(a, b))"), "qwen2", NEWEST)


def test_a_block_of_a_later_release_cannot_be_imported() -> None:
    with pytest.raises(Raised, match="MultiTask"):
        check_composition(read_composition("MultiTask(a, b)"), "bert", (1, 1, 1))
    check_composition(read_composition("MultiTask(a, b)"), "bert", (1, 2, 0))


@pytest.mark.parametrize(
    ("text", "rows", "meant"),
    [
        ("Parallel(Stack(a, b), c)", 6, ["Stack[a, b]"] * 3 + ["Stack[c]"] * 3),
        ("Stack(a, Parallel(b, c))", 4, ["Stack[a, b]"] * 2 + ["Stack[a, c]"] * 2),
        ("BatchSplit(a, b, batch_sizes=[1, 2])", 3, ["Stack[a]", "Stack[b]", "Stack[b]"]),
        ("Parallel(BatchSplit(a, b, batch_sizes=[1, 2]), c)", 6, ["Stack[a]"] + ["Stack[b]"] * 2 + ["Stack[c]"] * 3),
        ("MultiTask(a, b)", 3, ["Stack[a]", "Stack[a]", "Stack[b]"]),
        ("Average(a, b)", 2, ["Stack[Average[a, b]]"] * 2),
    ],
)
def test_every_row_is_meant_for_its_own_adapters(text: str, rows: int, meant: list[str]) -> None:
    read = read_composition(text)
    assert [str(meant_for(read, row, rows)) for row in range(rows)] == meant


def test_an_adapter_without_rows_is_not_used() -> None:
    assert unused(read_composition("BatchSplit(a, b, batch_sizes=[3, 0])")) == {"b"}
    assert unused(read_composition("Stack(b, BatchSplit(a, b, batch_sizes=[3, 0]))")) == set()


def test_model_types_that_a_parallel_is_accepted_for_only_later() -> None:
    with pytest.raises(Raised, match="Models of type mistral don't support"):
        check_composition(read_composition("Parallel(a, b)"), "mistral", (0, 2, 2))
    check_composition(read_composition("Parallel(a, b)"), "mistral", (1, 0, 0))
