"""Shape rules against torch on shapes that Hypothesis draws; bounds and kernels, which no meta tensor answers."""

from __future__ import annotations

import os
import subprocess
import sys
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from adaptlint.dataflow.operations import apply, rule_of
from adaptlint.dataflow.value import Conflict, Unknown, Value
from tests.dataflow.cases import f, i
from tests.dataflow.played import differ

EXAMPLES = int(os.environ.get("DATAFLOW_EXAMPLES", "60"))
SIZES = st.integers(0, 4)
SHAPES = st.lists(SIZES, max_size=4).map(tuple)
DIMS = st.integers(-4, 4)
TENSORS = SHAPES.map(Value)
DRAWN: dict[str, tuple[st.SearchStrategy[Any], ...]] = {
    "__add__": (TENSORS, TENSORS),
    "add_": (TENSORS, TENSORS),
    "addcmul": (TENSORS, TENSORS, TENSORS),
    "amax": (TENSORS, DIMS, st.booleans()),
    "argmax": (TENSORS, DIMS, st.booleans()),
    "bmm": (TENSORS, TENSORS),
    "cat": (st.lists(TENSORS, min_size=1, max_size=3), DIMS),
    "chunk": (TENSORS, SIZES, DIMS),
    "diff": (TENSORS, st.just(1), DIMS),
    "expand": (TENSORS, st.lists(st.integers(-1, 4), max_size=4).map(tuple)),
    "flatten": (TENSORS, DIMS, DIMS),
    "flip": (TENSORS, st.lists(DIMS, max_size=2)),
    "gather": (TENSORS, DIMS, SHAPES.map(lambda shape: Value(shape, "int"))),
    "glu": (TENSORS, DIMS),
    "index_add": (TENSORS, DIMS, SHAPES.map(lambda shape: Value(shape, "int")), TENSORS),
    "index_select": (TENSORS, DIMS, SHAPES.map(lambda shape: Value(shape, "int"))),
    "layer_norm": (TENSORS, SHAPES),
    "linear": (TENSORS, TENSORS, st.none() | TENSORS),
    "masked_fill": (TENSORS, SHAPES.map(lambda shape: Value(shape, "bool")), st.just(0.0)),
    "matmul": (TENSORS, TENSORS),
    "max": (TENSORS, DIMS),
    "mean": (TENSORS, st.lists(DIMS, max_size=3), st.booleans()),
    "movedim": (TENSORS, DIMS, DIMS),
    "narrow": (TENSORS, DIMS, DIMS, SIZES),
    "pad": (TENSORS, st.lists(st.integers(-2, 3), max_size=6)),
    "permute": (TENSORS, st.permutations((0, 1, 2)) | st.lists(DIMS, max_size=4)),
    "repeat": (TENSORS, st.lists(SIZES, max_size=5)),
    "repeat_interleave": (TENSORS, SIZES, st.none() | DIMS),
    "scatter": (TENSORS, DIMS, SHAPES.map(lambda shape: Value(shape, "int")), TENSORS),
    "softmax": (TENSORS, DIMS),
    "sort": (TENSORS, DIMS),
    "split": (TENSORS, SIZES | st.lists(SIZES, min_size=1, max_size=3), DIMS),
    "squeeze": (TENSORS, DIMS | st.lists(DIMS, max_size=2).map(tuple)),
    "stack": (st.lists(TENSORS, min_size=1, max_size=2), DIMS),
    "sum": (TENSORS, DIMS, st.booleans()),
    "take_along_dim": (TENSORS, SHAPES.map(lambda shape: Value(shape, "int")), DIMS),
    "tile": (TENSORS, st.lists(SIZES, max_size=5)),
    "topk": (TENSORS, SIZES, DIMS),
    "transpose": (TENSORS, DIMS, DIMS),
    "unbind": (TENSORS, DIMS),
    "unfold": (TENSORS, DIMS, SIZES, SIZES),
    "unsqueeze": (TENSORS, DIMS),
    "view": (TENSORS, st.lists(st.integers(-1, 8), max_size=4).map(tuple)),
    "where": (SHAPES.map(lambda shape: Value(shape, "bool")), TENSORS, TENSORS),
}


@pytest.mark.parametrize("op", sorted(DRAWN))
def test_drawn_arguments(op: str) -> None:
    @settings(max_examples=EXAMPLES, deadline=None, database=None)
    @given(st.tuples(*DRAWN[op]))
    def play(args: tuple[Any, ...]) -> None:
        assert differ(op, *args) == ""

    play()


@st.composite
def products(draw: st.DrawFn) -> tuple[Value, Value]:
    """Operands that fit, or nearly."""
    rows, inner, columns = draw(SIZES), draw(SIZES), draw(SIZES)
    batch = draw(st.lists(st.integers(1, 3), max_size=2))
    other = [draw(st.sampled_from((1, size))) for size in batch][draw(st.integers(0, 2)) :]
    return f(*batch, rows, inner), f(*other, inner + draw(st.sampled_from((0, 0, 0, 1))), columns)


@settings(max_examples=EXAMPLES, deadline=None, database=None)
@given(products(), st.sampled_from(("matmul", "bmm", "mm")))
def test_products_that_nearly_fit(operands: tuple[Value, Value], op: str) -> None:
    assert differ(op, *operands) == ""


PARTS = st.one_of(
    st.integers(-4, 4),
    st.none(),
    st.just(Ellipsis),
    st.slices(4).filter(lambda part: part.step is None or part.step > 0),
    st.builds(slice, st.integers(-6, 6), st.integers(-6, 6), st.none()),
    st.lists(st.integers(1, 3), min_size=1, max_size=2).map(lambda shape: Value(tuple(shape), "int")),
    st.lists(st.integers(0, 2), min_size=1, max_size=2),
)


@settings(max_examples=4 * EXAMPLES, deadline=None, database=None)
@given(TENSORS, PARTS | st.lists(PARTS, max_size=4).map(tuple))
def test_square_brackets(tensor: Value, index: Any) -> None:
    assert differ("__getitem__", tensor, index) == ""


@settings(max_examples=2 * EXAMPLES, deadline=None, database=None)
@given(TENSORS, PARTS | st.lists(PARTS, max_size=4).map(tuple), TENSORS)
def test_putting_into_square_brackets(tensor: Value, index: Any, value: Value) -> None:
    assert differ("__setitem__", tensor, index, value) == ""


@settings(max_examples=2 * EXAMPLES, deadline=None, database=None)
@given(st.data())
def test_attention(data: st.DataObject) -> None:
    draw, size = data.draw, st.integers(1, 3)
    batch, heads, own, queries, keys, head = (draw(size) for _ in range(6))
    near = st.sampled_from((0, 0, 0, 0, 1))
    query = f(batch, heads * draw(st.integers(1, 2)), queries, head)
    key = f(batch + draw(near), own, keys, head + draw(near))
    value = f(batch + draw(near), own, keys + draw(near), draw(size))
    mask = draw(st.none() | st.lists(size, min_size=2, max_size=4).map(lambda shape: f(*shape)))
    named = {"attn_mask": mask, "enable_gqa": draw(st.booleans())}
    assert differ("scaled_dot_product_attention", query, key, value, **named) == ""


@settings(max_examples=2 * EXAMPLES, deadline=None, database=None)
@given(st.data())
def test_windows(data: st.DataObject) -> None:
    draw, size, few = data.draw, st.integers(1, 9), st.integers(1, 3)
    image = f(2, 4, draw(size), draw(size))
    step, border, gap = draw(few), draw(st.integers(0, 2)), draw(few)
    kernel = f(draw(st.sampled_from((2, 4, 3))), draw(st.sampled_from((4, 2, 1))), draw(few), draw(few))
    assert differ("conv2d", image, kernel, None, step, border, gap, draw(st.sampled_from((1, 2, 4)))) == ""
    ceiled = draw(st.booleans())
    assert differ("max_pool2d", image, kernel.shape[2:], step, border, gap, ceiled) == ""
    assert differ("avg_pool2d", image, kernel.shape[2:], step, border, ceiled) == ""
    assert differ("unfold", image, kernel_size=kernel.shape[2:], dilation=gap, padding=border, stride=step) == ""
    factor = draw(st.sampled_from((0.3, 0.5, 1.5, 2, (1.0, 1 / 3))))
    assert differ("interpolate", image, None, factor, "bilinear") == ""


@settings(max_examples=2 * EXAMPLES, deadline=None, database=None)
@given(st.lists(st.text("ijk", max_size=3), min_size=1, max_size=2), st.text("ijk", max_size=3), st.data())
def test_einsum(terms: list[str], output: str, data: st.DataObject) -> None:
    sizes = {"i": 2, "j": 3, "k": data.draw(st.sampled_from((1, 2)))}
    dots = data.draw(st.booleans())
    lead = data.draw(st.lists(st.integers(1, 2), max_size=2)) if dots else []
    shapes = [f(*lead, *(sizes[letter] for letter in term)) for term in terms]
    written = ",".join("..." * dots + term for term in terms)
    assert differ("einsum", f"{written}->{'...' * dots}{output}", *shapes) == ""


BOUNDS: list[tuple[str, tuple[Any, ...], int | None]] = [
    ("arange", (9,), 8),
    ("arange", (9, 1, -3), 9),
    ("arange", (0,), None),
    ("full", ((2,), 7), 7),
    ("zeros_like", (i(3),), 0),
    ("add", (Value((3,), "int", 5), 2), 7),
    ("add", (Value((3,), "int", 5), Value((1,), "int", 4)), 9),
    ("add", (Value((3, 1), "int", 5), Value((4,), "int", 4)), 9),
    ("add", (Value((3,), "int", 5), Value((3,), "int", 4)), None),
    ("mul", (Value((3,), "int", 5), Value((3,), "int", 1)), 5),
    ("minimum", (Value((3,), "int", 5), Value((3,), "int", 4)), None),
    ("sub", (Value((3,), "int", 5), 2), 3),
    ("sub", (Value((3,), "int", 5), Value((3,), "int", 5)), None),
    ("mul", (Value((3,), "int", 5), 2), 10),
    ("mul", (Value((3,), "int", 5), -2), None),
    ("__mod__", (Value((3,), "int", 5), 4), 3),
    ("__floordiv__", (Value((3,), "int", 5), 2), 2),
    ("cumsum", (Value((2, 9), "int", 1), 1), 9),
    ("cumsum", (Value((2, 9), "int", 5), 1), None),
    ("cumsum", (Value((2, 9), "bool"), 1), None),
    ("ne", (i(3), 1), None),
    ("ne", (Value((3,), "int", 5), 1), 1),
    ("to", (Value((3,), "int", 5), "torch.bool"), 1),
    ("logical_not", (Value((3,), "bool", 1),), 1),
    ("__and__", (Value((3,), "bool", 1), Value((3,), "bool")), None),
    ("all", (Value((3,), "bool", 1),), 1),
    ("pad", (Value((3,), "int", 5), (0, 2)), None),
    ("pad", (Value((3,), "int", 1), (0, 2), "constant", 1), 1),
    ("to", (Value((3,), "bool", 1), "torch.int64"), 1),
    ("clamp", (Value((3,), "int", 5), 0, 3), 3),
    ("clamp", (i(3), 0, 3), None),
    ("where", (Value((3,), "bool", 1), Value((3,), "int", 5), 0), None),
    ("where", (Value((3,), "bool", 1), Value((3,), "int", 5), 5), 5),
    ("masked_fill", (Value((3,), "int", 5), Value((3,), "bool", 1), 7), None),
    ("view", (Value((3,), "int", 5), 3, 1), 5),
    ("expand", (Value((1, 3), "int", 5), 4, -1), 5),
    ("__getitem__", (Value((9,), "int", 8), (None, slice(None))), 8),
    ("__getitem__", (Value((9,), "int", 8), slice(4, None)), 8),
    ("__getitem__", (Value((9,), "int", 8), slice(0, 4)), None),
    ("cat", ([Value((3,), "int", 2), Value((3,), "int", 7)],), 7),
    ("argmax", (f(3, 4), 1), 3),
]


@pytest.mark.parametrize(("op", "args", "bound"), BOUNDS)
def test_how_large_the_numbers_get(op: str, args: tuple[Any, ...], bound: int | None) -> None:
    (result,) = apply(op, list(args), {})
    assert result.bound == bound


INDEX = Value((1, 600), "int", 599)
BEYOND: list[tuple[str, tuple[Any, ...], tuple[Any, ...]]] = [
    ("embedding", (INDEX, f(600, 4)), (INDEX, f(599, 4))),
    ("__getitem__", (f(600, 4), INDEX), (f(512, 4), INDEX)),
    ("index_select", (f(600, 4), 0, Value((2,), "int", 3)), (f(3, 4), 0, Value((2,), "int", 3))),
    ("gather", (f(1, 600), 1, INDEX), (f(1, 599), 1, INDEX)),
    ("one_hot", (INDEX, 600), (INDEX, 599)),
]


@pytest.mark.parametrize(("op", "within", "beyond"), BEYOND)
def test_an_index_beyond_the_rows_is_a_conflict(op: str, within: tuple[Any, ...], beyond: tuple[Any, ...]) -> None:
    assert apply(op, list(within), {})
    with pytest.raises(Conflict) as caught:
        apply(op, list(beyond), {})
    assert caught.value.kind == "index-too-large"
    assert caught.value.operands


@pytest.mark.parametrize(
    ("op", "args", "shape"),
    [
        ("grouped_mm", (f(9, 4), f(3, 4, 5)), None),
        ("grouped_mm", (f(3, 9, 4), f(3, 4, 5)), (3, 9, 5)),
        ("grouped_mm", (f(3, 9, 4), f(2, 4, 5)), None),
    ],
)
def test_groups_without_ends(op: str, args: tuple[Any, ...], shape: tuple[int, ...] | None) -> None:
    if shape is None:
        with pytest.raises((Conflict, Unknown)):
            apply(op, list(args), {})
    else:
        assert apply(op, list(args), {}) == (Value(shape),)


def test_group_ends() -> None:
    assert apply("_grouped_mm", [f(9, 4), f(3, 4, 5)], {"offs": i(3)}) == (f(9, 5),)
    assert apply("_grouped_mm", [f(4, 9), f(9, 5)], {"offs": i(3)}) == (f(3, 4, 5),)
    with pytest.raises(Conflict):
        apply("grouped_mm", [f(9, 4), f(3, 4, 5)], {"offs": i(2)})


def test_no_rule() -> None:
    assert rule_of("no_such_operation") is None
    with pytest.raises(Unknown):
        apply("no_such_operation", [], {})


def test_the_rules_need_the_standard_library_only() -> None:
    code = "import sys\nimport adaptlint.dataflow.operations\nprint(*sys.modules)"
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()
    assert not {"torch", "numpy", "dataclasses", "re"} & (set(loaded) - set(bare_modules()))


def bare_modules() -> list[str]:
    code = "import sys\nimport adaptlint\nprint(*sys.modules)"
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()
