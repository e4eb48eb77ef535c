"""Operations element by element on several tensors, which stretch to one shape."""

from __future__ import annotations

from collections.abc import Callable

from adaptlint.dataflow.operations.dims import KINDS, broadcast, chosen_of, fits_into, highest, promote, value_of
from adaptlint.dataflow.value import Unknown, Value
from adaptlint.hints import Any

KEEPS = "__and__ __or__ __rand__ __ror__ __xor__ bitwise_and bitwise_or bitwise_xor lerp logaddexp addcmul"
COMPARES = "__eq__ __ge__ __gt__ __le__ __lt__ __ne__ eq ge gt isclose le logical_and logical_or lt ne"
DIVIDES = "__rdiv__ __rtruediv__ __truediv__ atan2 true_divide xlogy"
IN_PLACE = (
    "__iadd__ __iand__ __imul__ __ior__ __isub__ __itruediv__ add_ addcmul_ bitwise_and_ bitwise_or_ div_ mul_"
    " pow_ sub_"
)


def at_least(kind: str, low: str) -> str:
    """The kind, or the lower limit."""
    return max(kind, low, key=KINDS.index)


def elementwise(input: Any, *others: Any, **options: Any) -> Value:
    """All stretched to one shape, of the highest kind."""
    given = [value_of(one) for one in (input, *others)]
    given += [value for value in options.values() if isinstance(value, Value)]
    return truths(Value(broadcast(*(value.shape for value in given)), promote(*given)), *given)


def truths(result: Value, *given: Value) -> Value:
    """True everywhere is only thinkable where the largest elements of what was compared are known."""
    known = result.kind == "bool" and all(value.bound is not None for value in given)
    return result._replace(bound=1) if known else result


def pair(input: Any, other: Any) -> tuple[Value, Value, Value]:
    """Both operands and their result without a bound."""
    first, second = value_of(input), value_of(other)
    return first, second, Value(broadcast(first.shape, second.shape), promote(first, second))


def largest_meet(first: Value, second: Value) -> bool:
    """Whether some element comes from the largest of both: they share no axis, or one says yes or no."""
    if first.bound is None or second.bound is None:
        return False
    shared = zip(reversed(first.shape), reversed(second.shape), strict=False)
    return min(first.bound, second.bound) in (0, 1) or all(1 in sizes for sizes in shared)


def power(input: Any, exponent: Any) -> Value:
    """`pow`: of bools come whole numbers, except that two tensors of bools stay what they are."""
    first, second, result = pair(input, exponent)
    return result._replace(kind="int") if first.kind == second.kind == "bool" else result


def compared(input: Any, other: Any, *rest: Any, **options: Any) -> Value:
    """True or false."""
    first, second, result = pair(input, other)
    return truths(result._replace(kind="bool"), first, second)


def divided(input: Any, other: Any, rounding_mode: Any = None, **options: Any) -> Value:
    """A quotient: whole numbers only where it is rounded."""
    if rounding_mode == "floor":
        return floor_divided(input, other)
    result = pair(input, other)[2]
    return result if rounding_mode else result._replace(kind=at_least(result.kind, "float"))


def floor_divided(input: Any, other: Any) -> Value:
    """The largest goes to the largest where one number divides."""
    first, second, result = pair(input, other)
    if result.kind == "complex" or first.kind == second.kind == "bool":
        raise Unknown(f"not for elements of kind {result.kind}")
    if first.bound is not None and second.bound and second.bound > 0 and not isinstance(other, Value):
        return result._replace(bound=first.bound // second.bound)
    return result


def divides(input: Any, other: Any) -> Value:
    """`__rfloordiv__`: the operands change places."""
    return floor_divided(other, input)._replace(bound=None)


def remainder(input: Any, other: Any) -> Value:
    """What is left of a division; below the divisor, if the dividend is known to come that far."""
    first, second, result = pair(input, other)
    known = first.bound is not None and first.bound >= 0 and second.bound and not isinstance(other, Value)
    if known and first.bound is not None and second.bound is not None and second.bound > 0:
        return result._replace(bound=min(first.bound, second.bound - 1))
    return result


def added(input: Any, other: Any, *, alpha: Any = 1) -> Value:
    """A sum: the largest numbers meet."""
    first, second, result = pair(input, other)
    if alpha == 1 and first.bound is not None and second.bound is not None and largest_meet(first, second):
        return result._replace(bound=first.bound + second.bound)
    return result


def subtracted(input: Any, other: Any, *, alpha: Any = 1) -> Value:
    """A difference: of the smallest number of a tensor nothing is known."""
    first, second, result = pair(input, other)
    if result.kind == "bool":
        raise Unknown("a difference of bools")
    if alpha == 1 and first.bound is not None and second.bound is not None and not isinstance(other, Value):
        return result._replace(bound=first.bound - second.bound)
    return result


def reversed_difference(input: Any, other: Any, *, alpha: Any = 1) -> Value:
    """`rsub`: the operands change places."""
    return subtracted(input, other)._replace(bound=None)


def multiplied(input: Any, other: Any) -> Value:
    """A product: the largest numbers meet unless one may turn the order round."""
    first, second, result = pair(input, other)
    if first.bound is None or second.bound is None or not largest_meet(first, second):
        return result
    if first.bound >= 0 and second.bound >= 0:
        return result._replace(bound=first.bound * second.bound)
    return result


def lower(input: Any, other: Any) -> Value:
    """`minimum`."""
    first, second, result = pair(input, other)
    if first.bound is None or second.bound is None or not largest_meet(first, second):
        return result
    return result._replace(bound=min(first.bound, second.bound))


def higher(input: Any, other: Any) -> Value:
    """`maximum`."""
    first, second, result = pair(input, other)
    return result._replace(bound=highest((first.bound, second.bound)))


def clamped(input: Any, min: Any = None, max: Any = None) -> Value:
    """Between two numbers or tensors; where the largest element is not known, nor is whether it reaches the limit."""
    if min is None and max is None:
        raise Unknown("clamped to nothing")
    result = value_of(input)
    if min is not None:
        result = higher(result, min)
    return result if max is None else lower(result, max)


def clamped_above(input: Value, max: Any) -> Value:
    """`clamp_max`."""
    return clamped(input, None, max)


def clamped_in_place(input: Value, min: Any = None, max: Any = None) -> Value:
    """`clamp_`."""
    return into(input, clamped(input, min, max))


def where(condition: Any, input: Any = None, other: Any = None) -> Value:
    """One of two, or the method: the tensor itself, the condition, the other."""
    if input is None or other is None:
        raise Unknown("as many places as there are true elements")
    if value_of(condition).kind != "bool":
        condition, input = input, condition
    chosen, first, second = value_of(condition), value_of(input), value_of(other)
    if chosen.kind != "bool":
        raise Unknown("chosen by a tensor that is not of bools")
    shape = broadcast(chosen.shape, first.shape, second.shape)
    return Value(shape, promote(first, second), chosen_of(first.bound, second.bound))


def mean_squares(input: Value, target: Value, size_average: Any = None, *rest: Any, **options: Any) -> Value:
    """`mse_loss`."""
    shape = broadcast(input.shape, target.shape)
    reduction = options.get("reduction", rest[1] if len(rest) > 1 else "mean")
    return Value(shape if reduction == "none" else (), promote(input, target))


def joined_complex(input: Value, other: Value) -> Value:
    """`complex` and `polar`: two tensors of floats."""
    if {input.kind, other.kind} != {"float"}:
        raise Unknown("not of floats")
    return Value(broadcast(input.shape, other.shape), "complex")


def into(input: Value, *others: Any, **options: Any) -> Value:
    """In place: the first keeps its shape and kind, the others stretch to it."""
    for one in others:
        other = value_of(one)
        fits_into(other.shape, input.shape)
        if KINDS.index(other.kind) > KINDS.index(input.kind):
            raise Unknown(f"elements of kind {other.kind} put into {input.kind}")
    return Value(input.shape, input.kind)


def in_place(rule: Callable[..., Value]) -> Callable[..., Value]:
    """The rule of an operation in place, whose bound is that of the other."""

    def bounded(input: Value, other: Any, **options: Any) -> Value:
        return into(input, other)._replace(bound=rule(input, other, **options).bound)

    return bounded


def copied(input: Value, other: Value, non_blocking: Any = False) -> Value:
    """`copy_`: any kind is turned into the first's."""
    fits_into(other.shape, input.shape)
    return Value(input.shape, input.kind, other.bound)


def masked_fill(input: Value, mask: Value, value: Any) -> Value:
    """One number where the mask is true."""
    fill = value_of(value)
    if mask.kind != "bool" or fill.shape:
        raise Unknown("filled by a mask that is not of bools, or with several numbers")
    shape = broadcast(input.shape, mask.shape)
    return Value(shape, input.kind, chosen_of(input.bound, fill.bound))


def masked_fill_in_place(input: Value, mask: Value, value: Any) -> Value:
    """`masked_fill_`."""
    fits_into(mask.shape, input.shape)
    return masked_fill(input, mask, value)


RULES: dict[str, Any] = dict.fromkeys(KEEPS.split(), elementwise)
RULES |= dict.fromkeys(COMPARES.split(), compared)
RULES |= dict.fromkeys(DIVIDES.split(), divided)
RULES |= dict.fromkeys(IN_PLACE.split(), into)
RULES |= dict.fromkeys(("__add__", "__radd__", "add"), added)
RULES |= dict.fromkeys(("__sub__", "sub", "subtract"), subtracted)
RULES |= dict.fromkeys(("__rsub__", "rsub"), reversed_difference)
RULES |= dict.fromkeys(("__mul__", "__rmul__", "mul", "multiply"), multiplied)
RULES |= dict.fromkeys(("__mod__", "remainder", "fmod"), remainder)
RULES |= dict.fromkeys(("__floordiv__", "floor_divide"), floor_divided)
RULES |= dict.fromkeys(("div", "divide"), divided)
RULES |= dict.fromkeys(("__pow__", "__rpow__", "pow"), power)
RULES |= dict.fromkeys(("clamp", "clip"), clamped)
RULES |= dict.fromkeys(("complex", "polar"), joined_complex)
RULES |= dict.fromkeys(("__iadd__", "add_"), in_place(added))
RULES |= dict.fromkeys(("__isub__", "sub_"), in_place(subtracted))
RULES |= dict.fromkeys(("__imul__", "mul_"), in_place(multiplied))
RULES |= {
    "__rfloordiv__": divides,
    "clamp_": clamped_in_place,
    "clamp_max": clamped_above,
    "clamp_min": clamped,
    "clamp_min_": clamped_in_place,
    "copy_": copied,
    "masked_fill": masked_fill,
    "masked_fill_": masked_fill_in_place,
    "maximum": higher,
    "minimum": lower,
    "mse_loss": mean_squares,
    "where": where,
}
