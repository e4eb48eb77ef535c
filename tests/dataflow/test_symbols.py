"""Numbers that come out of a flow are read as the expressions that they are."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from adaptlint.dataflow.symbols import decode, probes

CONSTANTS = frozenset({0, -1, 2, 4, 12, 29 * 3, 64, 77, 512, 4096, 11008, 32000})
VECTORS = probes(("batch", "seq", "decoder_seq"), CONSTANTS)
FAR = {"batch": 1024, "seq": 4099, "decoder_seq": 2310}

Expression = Callable[[dict[str, int]], int]


def read(dim: Expression, vectors: list[dict[str, int]] = VECTORS) -> str | int | None:
    first, second, *more = vectors
    return decode(dim(first), dim(second), first, second, *((dim(sizes), sizes) for sizes in more))


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("7", 7),
        ("0 * seq", 0),
        ("batch", "batch"),
        ("2 * batch", "2*batch"),
        ("batch * seq", "batch*seq"),
        ("4096 * batch * seq", "4096*batch*seq"),
        ("seq * seq", "seq*seq"),
        ("4 * seq", "4*seq"),
        ("seq + 2", "seq + 2"),
        ("seq + 576", "seq + 576"),
        ("seq - 1", "seq - 1"),
        ("2 * seq + 1", "2*seq + 1"),
        ("2 * seq - 1", "2*seq - 1"),
        ("batch + seq", "batch + seq"),
        ("seq + decoder_seq", "seq + decoder_seq"),
        ("decoder_seq - seq", "decoder_seq - seq"),
        ("batch * (seq - 1)", "batch*seq - batch"),
        ("batch * seq + 3", "batch*seq + 3"),
        ("32 * batch * (seq + 2)", "32*batch*seq + 64*batch"),
        ("seq // 2", "seq // 2"),
        ("(seq - 1) // 2", "(seq - 1) // 2"),
        ("(seq + 1) // 2", "(seq - 1) // 2 + 1"),
        ("seq // 2 + 1", "seq // 2 + 1"),
        ("-(-seq // 4)", "(seq - 1) // 4 + 1"),
        ("batch * seq // 2", "(batch*seq) // 2"),
        ("min(seq, 50)", None),
        ("seq % 8", None),
        ("seq // 17", None),
        ("(seq + 2) // 4", None),
    ],
)
def test_an_expression_is_written_as_simply_as_it_can_be(text: str, wanted: str | int | None) -> None:
    code = compile(text, "expression", "eval")
    assert read(lambda sizes: eval(code, {"min": min}, dict(sizes))) == wanted  # noqa: S307


@pytest.mark.parametrize("wanted", ["2*batch", "seq + 2", "seq - 1", "batch + seq", "2*seq + 1", "seq // 2"])
def test_two_vectors_are_enough_for_plain_expressions(wanted: str) -> None:
    assert read(lambda sizes: int(eval(wanted, {}, dict(sizes))), VECTORS[:2]) == wanted  # noqa: S307


def test_strides_of_pictures_are_read() -> None:
    vectors = probes(("batch", "image"), CONSTANTS)
    assert read(lambda sizes: sizes["image"] // 16, vectors) == "image // 16"
    assert read(lambda sizes: (sizes["image"] - 14) // 14 + 1, vectors) == "image // 14"


SYMBOL = st.sampled_from(["batch", "seq"])
SMALL = st.integers(1, 16)


def linear(name: str, times: int, more: int) -> Expression:
    return lambda sizes: times * sizes[name] + more


def summed(times: int, more: int) -> Expression:
    return lambda sizes: times * sizes["batch"] + more * sizes["seq"]


def product(times: int, batches: int, seqs: int) -> Expression:
    return lambda sizes: int(times * sizes["batch"] ** batches * sizes["seq"] ** seqs)


def divided(name: str, more: int, divisor: int, after: int) -> Expression:
    return lambda sizes: (sizes[name] + more) // divisor + after


EXPRESSIONS = st.one_of(
    st.builds(linear, SYMBOL, SMALL, st.integers(-16, 600)),
    st.builds(summed, SMALL, SMALL),
    st.builds(product, st.integers(1, 40000), st.integers(0, 1), st.integers(0, 2)),
    st.builds(divided, SYMBOL, st.integers(-1, 0), st.sampled_from([2, 4]), st.integers(0, 1)),
)


@settings(deadline=None)
@given(EXPRESSIONS, st.frozensets(st.integers(-1, 5000), max_size=40))
def test_what_is_read_is_equal_under_other_sizes(dim: Expression, constants: frozenset[int]) -> None:
    vectors = probes(("batch", "seq"), constants)
    text = read(dim, vectors)
    assert text is not None
    for sizes in (FAR, {"batch": 3, "seq": 57}, {"batch": 240, "seq": 360}):
        assert (text if isinstance(text, int) else eval(text, {}, dict(sizes))) == dim(sizes)  # noqa: S307


@given(st.integers(0, 300), st.integers(0, 300))
def test_whatever_is_read_explains_both_numbers(one: int, other: int) -> None:
    first, second = VECTORS[:2]
    text = decode(one, other, first, second)
    if text is None:
        return
    for number, sizes in ((one, first), (other, second)):
        assert (text if isinstance(text, int) else eval(str(text), {}, dict(sizes))) == number  # noqa: S307
    assert isinstance(text, int) == (one == other)


@given(st.frozensets(st.integers(-(10**6), 10**6), max_size=60))
def test_probes_divide_nothing_that_the_model_has(constants: frozenset[int]) -> None:
    symbols = ("batch", "seq", "image")
    first, second, _ = vectors = probes(symbols, constants)
    numbers = [*first.values(), *second.values()]
    assert len(set(numbers)) == 6
    for number in numbers:
        assert number >= 29
        assert all(number % factor for factor in range(2, number))
        assert all(constant % number for constant in constants if constant)
    assert [list(vector) for vector in vectors] == [list(symbols)] * 3
    assert vectors == probes(symbols, constants)


def test_a_fixed_size_is_no_symbol() -> None:
    vectors = probes(("batch", "seq"), CONSTANTS, {"seq": 31})
    assert [vector["seq"] for vector in vectors] == [31] * 3
    assert all(vector["batch"] % 31 for vector in vectors)
    assert read(lambda sizes: sizes["batch"] * sizes["seq"], vectors) == "31*batch"
    assert read(lambda sizes: sizes["seq"] + 1, vectors) == 32
