"""Products of matrices, down to einsum."""

from __future__ import annotations

from adaptlint.dataflow.operations.dims import broadcast, clash, fits_into, promote, values_of
from adaptlint.dataflow.value import Conflict, Shape, Unknown, Value
from adaptlint.hints import Any


def one_kind(*values: Value) -> str:
    """The kind that all share."""
    if len({value.kind for value in values}) > 1:
        raise Unknown("a product of elements of several kinds")
    return values[0].kind


def matmul(input: Value, other: Value) -> Value:
    """A product of matrices, a missing axis added and taken away again; axes before them stretch."""
    left, right = input.shape, other.shape
    if not left or not right:
        raise clash("rank", left, right, more="needs an axis")
    inner = right[-2] if len(right) > 1 else right[0]
    if left[-1] != inner:
        raise clash("matmul-sizes", left, right)
    rows = left[-2:-1] if len(left) > 1 else ()
    columns = right[-1:] if len(right) > 1 else ()
    try:
        before = broadcast(left[:-2], right[:-2])
    except Conflict:
        raise clash("broadcast", left, right) from None
    return Value((*before, *rows, *columns), one_kind(input, other))


def reversed_matmul(input: Value, other: Value) -> Value:
    """`__rmatmul__`: the operands change places."""
    return matmul(other, input)


def of_ranks(left: int, right: int, input: Value, other: Value) -> Value:
    """A product of tensors with so many axes."""
    if (len(input.shape), len(other.shape)) != (left, right):
        raise clash("rank", input.shape, other.shape, more=f"needs {left} and {right} axes")
    if left == 3 and input.shape[0] != other.shape[0]:
        raise clash("matmul-sizes", input.shape, other.shape)
    return matmul(input, other)


def mm(input: Value, mat2: Value) -> Value:
    """Two matrices."""
    return of_ranks(2, 2, input, mat2)


def mv(input: Value, vec: Value) -> Value:
    """A matrix and a vector."""
    return of_ranks(2, 1, input, vec)


def dot(input: Value, tensor: Value) -> Value:
    """Two vectors."""
    return of_ranks(1, 1, input, tensor)


def bmm(input: Value, mat2: Value) -> Value:
    """As many matrices as there are on the other side."""
    return of_ranks(3, 3, input, mat2)


def addmm(input: Value, mat1: Value, mat2: Value, *, beta: Any = 1, alpha: Any = 1) -> Value:
    """A product, added to what stretches to it."""
    result = mm(mat1, mat2)
    fits_into(input.shape, result.shape)
    return result


def baddbmm(input: Value, batch1: Value, batch2: Value, *, beta: Any = 1, alpha: Any = 1) -> Value:
    """Products, added to what stretches to them."""
    result = bmm(batch1, batch2)
    fits_into(input.shape, result.shape)
    return result


def linear(input: Value, weight: Value, bias: Value | None = None) -> Value:
    """The last axis turned into the weight's first."""
    if len(weight.shape) > 2 or not input.shape or not weight.shape:
        raise clash("rank", input.shape, weight.shape, more="needs a matrix")
    if input.shape[-1] != weight.shape[-1]:
        raise clash("matmul-sizes", input.shape, tuple(reversed(weight.shape)))
    shape = (*input.shape[:-1], *weight.shape[:-1])
    if bias is not None and len(weight.shape) == 1:
        raise Unknown("a bias for a vector")
    if bias is not None and bias.shape != weight.shape[:1]:
        if len(bias.shape) != 1 or bias.shape == (1,) or weight.shape[0] == 1:
            raise Unknown(f"a bias of {bias.shape}")
        raise clash("bias-size", bias.shape, weight.shape)
    return Value(shape, one_kind(input, weight))


def outer(input: Value, vec2: Value) -> Value:
    """Every element of one vector with every one of the other."""
    if len(input.shape) != 1 or len(vec2.shape) != 1:
        raise clash("rank", input.shape, vec2.shape, more="needs vectors")
    return Value((*input.shape, *vec2.shape), promote(input, vec2))


def grouped(input: Value, mat2: Value, *, offs: Any = None, bias: Any = None, out_dtype: Any = None) -> Value:
    """`grouped_mm`: rows, columns or inner axes fall into groups, whose ends a vector holds."""
    left, right = input.shape, mat2.shape
    if len(left) not in (2, 3) or len(right) not in (2, 3):
        raise clash("rank", left, right, more="needs 2 or 3 axes")
    if left[-1] != right[-2]:
        raise clash("matmul-sizes", left, right)
    both = len(left) == len(right) == 3
    if both == isinstance(offs, Value) or bias is not None:
        raise Unknown("group ends where none belong, or none where they do")
    if both:
        if left[0] != right[0]:
            raise clash("matmul-sizes", left, right)
        return Value((left[0], left[1], right[2]), input.kind)
    groups = offs.shape[0]
    for shape in (left, right):
        if len(shape) == 3 and shape[0] != groups:
            raise clash("group-count", shape, offs.shape)
    if len(left) == len(right) == 2:
        return Value((groups, left[0], right[1]), input.kind)
    return Value((left[-2], right[-1]), input.kind)


def solve_triangular(A: Value, B: Value, **options: Any) -> Value:  # noqa: N803 - torch's own words
    """Square matrices on the left, or on the right if so told."""
    left = options.get("left", True)
    square, shape = A.shape, B.shape
    if len(square) < 2 or len(shape) < 2:
        raise clash("rank", square, shape, more="needs matrices")
    if square[-1] != square[-2] or square[-1] != shape[-2 if left else -1]:
        raise clash("matmul-sizes", square, shape)
    return Value((*broadcast(square[:-2], shape[:-2]), *shape[-2:]), one_kind(A, B))


def einsum(equation: Any, *operands: Any) -> Value:
    """Axes named by letters; those not asked for are summed."""
    if not isinstance(equation, str):
        raise Unknown("an einsum written in numbers")
    values = values_of(operands)
    inputs, arrow, output = equation.replace(" ", "").partition("->")
    terms = inputs.split(",")
    shapes = [value.shape for value in values]
    if len(terms) != len(values):
        raise clash("einsum", *shapes, more=equation)
    sizes: dict[str, int] = {}
    dots: list[Shape] = []
    for term, shape in zip(terms, shapes, strict=True):
        named, covered = labelled(term, shape, equation, shapes)
        if covered is not None:
            dots.append(covered)
        for letter, size in named:
            known = sizes.setdefault(letter, size)
            if known != size and known != 1 and size != 1:
                raise clash("einsum", *shapes, more=equation)
            sizes[letter] = max(known, size) if 0 not in (known, size) else 0
    middle = broadcast(*dots)
    if not arrow:
        once = sorted(letter for letter in sizes if inputs.count(letter) == 1)
        return Value((*middle, *(sizes[letter] for letter in once)), one_kind(*values))
    return Value(asked(output, middle, sizes, equation, shapes), one_kind(*values))


def labelled(term: str, shape: Shape, equation: str, shapes: list[Shape]) -> tuple[list[tuple[str, int]], Shape | None]:
    """The letters of one operand with their sizes, and the sizes that its dots cover."""
    before, dots, after = term.partition("...")
    covered = len(shape) - len(before) - len(after)
    if covered < 0 or (covered and not dots):
        raise clash("einsum", *shapes, more=equation)
    end = len(shape) - len(after)
    named = [*zip(before, shape, strict=False), *zip(after, shape[end:], strict=True)]
    if any(a == b and m != n for a, m in named for b, n in named):
        raise clash("einsum", *shapes, more=equation)
    return named, shape[len(before) : end] if dots else None


def asked(output: str, middle: Shape, sizes: dict[str, int], equation: str, shapes: list[Shape]) -> Shape:
    """The sizes of the letters after the arrow."""
    before, dots, after = output.partition("...")
    letters = before + after
    if len(set(letters)) < len(letters) or not set(letters) <= set(sizes):
        raise clash("einsum", *shapes, more=equation)
    between = middle if dots else ()
    return (*(sizes[letter] for letter in before), *between, *(sizes[letter] for letter in after))


RULES: dict[str, Any] = {
    "__matmul__": matmul,
    "__rmatmul__": reversed_matmul,
    "_grouped_mm": grouped,
    "addmm": addmm,
    "baddbmm": baddbmm,
    "bmm": bmm,
    "dot": dot,
    "einsum": einsum,
    "grouped_mm": grouped,
    "linalg_solve_triangular": solve_triangular,
    "linear": linear,
    "matmul": matmul,
    "mm": mm,
    "mv": mv,
    "outer": outer,
}
