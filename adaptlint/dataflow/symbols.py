"""Sizes as symbols: which numbers to send through a flow, and what expression the numbers that come out stand for.

A flow is run under a few vectors of probe sizes. Primes that divide no integer of the config keep the sizes apart from
the model's own, and from each other, in every product and sum that comes out.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import lru_cache
from itertools import chain, combinations_with_replacement, count

from adaptlint.named_tuple import NamedTuple

Sizes = Mapping[str, int]
Vector = tuple[tuple[str, int], ...]
Dim = str | int
Shape = tuple[int, ...]

_TOKENS = ("batch", "seq", "decoder_seq", "prefix")
_FIRST_PRIME = 29  # smaller ones divide too many configs; much larger ones are more positions than some models have
_FIRST_OTHER = 1009  # pixels and samples are divided by strides and patches, and something has to be left of them
_STEP = 10  # least difference of the two numbers of a symbol: fewer multiples of it are met by chance
_DEGREE = 3  # of a product that is nothing but a product: batch*seq*seq
_SUM_DEGREE = 2  # of a product with something added to it or divided
_COEFFICIENT = 128  # largest in a sum of two terms
_DIVISOR = 64  # largest of a floor division; see `_told_apart`
_AFTER = 4  # largest number added behind a floor division


class Formula(NamedTuple):
    """`(terms + inner) // divisor + outer`, where each term is a coefficient and the symbols that it multiplies."""

    terms: tuple[tuple[int, tuple[str, ...]], ...]
    inner: int = 0
    divisor: int = 1
    outer: int = 0

    def value(self, sizes: Sizes) -> int:
        """What it comes to when the symbols have these sizes."""
        total = self.inner
        for coefficient, names in self.terms:
            total += coefficient * _product(names, sizes)
        return total // self.divisor + self.outer

    def cost(self) -> int:
        """How much has to be said to write it down: of two formulas that explain a number the cheaper is believed."""
        terms = sum(4 * len(names) + abs(coefficient) for coefficient, names in self.terms)
        extra = sum(2 + abs(number) for number in (self.inner, self.outer) if number)
        if self.divisor == 1:
            return terms + extra
        power_of_two = not self.divisor & (self.divisor - 1)
        return terms + extra + 6 + (self.divisor.bit_length() if power_of_two else 4 + self.divisor)

    def __str__(self) -> str:
        text = "".join(_signed(coefficient, "*".join(names)) for coefficient, names in self.terms)
        text = text.removeprefix(" + ") + _added(self.inner)
        if self.divisor == 1:
            return text
        alone = not self.inner and len(self.terms) == 1 and self.terms[0][0] == len(self.terms[0][1]) == 1
        return f"{text if alone else f'({text})'} // {self.divisor}{_added(self.outer)}"


def _signed(coefficient: int, names: str) -> str:
    times = "" if abs(coefficient) == 1 else f"{abs(coefficient)}*"
    return f" {'-' if coefficient < 0 else '+'} {times}{names}"


def _added(number: int) -> str:
    return "" if not number else f" {'-' if number < 0 else '+'} {abs(number)}"


def _product(names: Iterable[str], sizes: Sizes) -> int:
    total = 1
    for name in names:
        total *= sizes[name]
    return total


def probes(symbols: Iterable[str], constants: Iterable[int], fixed: Sizes | None = None) -> list[dict[str, int]]:
    """Three vectors of sizes: a symbol in `fixed` has its number in each, every other one distinct numbers.

    The first two are of primes, for `decode`. The third is to be held against what `decode` says: of primes times four,
    since among odd numbers `seq // 2` and `(seq - 1) // 2` are the same, and with a batch that is not, as in the
    others, a little smaller than the sequence.
    """
    fixed = fixed or {}
    taken = {abs(number) for number in chain(constants, fixed.values()) if number}
    vectors: list[dict[str, int]] = [{}, {}, {}]
    steps: set[int] = set()
    for symbol in symbols:
        if symbol in fixed:
            continue
        primes = _primes(_FIRST_PRIME if symbol in _TOKENS else _FIRST_OTHER, taken)
        first = next(primes)
        second = next(one for one in primes if _is_good(one - first, steps))
        steps.add(second - first)
        third = next(primes)
        taken |= {first, second, third}
        for vector, number in zip(vectors, (first, second, third * (8 if symbol == "batch" else 4)), strict=True):
            vector[symbol] = number
    return [{**vector, **fixed} for vector in vectors]


def _is_good(step: int, steps: set[int]) -> bool:
    """Whether two primes so far apart tell expressions apart, where these steps are other symbols'."""
    # A step that is a multiple of another symbol's would let either symbol explain the other's sizes.
    akin = any(step % other == 0 or other % step == 0 for other in steps)
    # Halves, thirds and quarters: the two leave different remainders, so that all ways of rounding differ.
    return step >= _STEP and step % 4 == 2 and step % 3 > 0 and not akin


def _primes(start: int, taken: set[int]) -> Iterator[int]:
    """Odd primes that divide nothing that is taken, from `start` on."""
    for number in count(start, 2):
        prime = all(number % factor for factor in range(3, int(number**0.5) + 1, 2))
        if prime and all(constant % number for constant in taken):
            yield number


def decode(one: int, other: int, first: Sizes, second: Sizes, *more: tuple[int, Sizes]) -> str | int | None:
    """The dimension that was `one` under `first` and `other` under `second`; None if no expression explains both.

    Each of `more` is a further number with its sizes, and has to be explained as well.
    """
    rest = tuple((number, tuple(sizes.items())) for number, sizes in more)
    return _decoded(one, other, tuple(first.items()), tuple(second.items()), rest)


def decode_shapes(seen: Sequence[tuple[Sequence[Shape], Sizes]]) -> list[list[Dim]] | str:
    """Lists of shapes, each under its vector, as one list of symbolic shapes; else the reason why not."""
    if len({tuple(len(shape) for shape in shapes) for shapes, _ in seen}) > 1:
        return "the number of tensors or of their dimensions depends on the sizes"
    vectors = [vector for _, vector in seen]
    symbolic: list[list[Dim]] = []
    for several in zip(*(shapes for shapes, _ in seen), strict=True):
        dims: list[Dim] = []
        for numbers in zip(*several, strict=True):
            more = zip(numbers[2:], vectors[2:], strict=True)
            dim = decode(numbers[0], numbers[1], vectors[0], vectors[1], *more)
            if dim is None:
                return "a dimension is no simple expression in the sizes"
            dims.append(dim)
        symbolic.append(dims)
    return symbolic


@lru_cache(maxsize=16384)
def _decoded(
    one: int, other: int, first: Vector, second: Vector, more: tuple[tuple[int, Vector], ...]
) -> str | int | None:
    if one == other and all(number == one for number, _ in more):
        return one
    rest = [(number, dict(sizes)) for number, sizes in more]
    for formula in chain(_products(one, other, first, second), _cheapest_first(one, other, first, second)):
        explains = all(formula.value(sizes) == number for number, sizes in rest)
        if explains and _told_apart(formula, [dict(first), dict(second), *(sizes for _, sizes in rest)]):
            return str(formula)
    return None


def _told_apart(formula: Formula, vectors: list[dict[str, int]]) -> bool:
    """Whether the sizes are large enough for the divisor: of small ones the next divisor often makes the same."""
    return 2 * formula.divisor**2 <= max(formula._replace(divisor=1).value(sizes) for sizes in vectors)


@lru_cache(maxsize=64)
def _monomials(first: Vector, second: Vector, degree: int) -> list[tuple[tuple[str, ...], int, int]]:
    """Products of symbols that have no fixed number, with what they are under both vectors."""
    sizes, others = dict(first), dict(second)
    free = [name for name in sizes if sizes[name] != others[name]]
    wanted = chain.from_iterable(combinations_with_replacement(free, length) for length in range(1, degree + 1))
    return [(names, _product(names, sizes), _product(names, others)) for names in wanted]


def _products(one: int, other: int, first: Vector, second: Vector) -> Iterator[Formula]:
    """The products alone. What is proportional to one is no coincidence, however large the coefficient."""
    for names, here, there in _monomials(first, second, _DEGREE):
        if one % here == 0 and one // here * there == other and one:
            yield Formula(((one // here, names),))


def _cheapest_first(one: int, other: int, first: Vector, second: Vector) -> list[Formula]:
    monomials = _monomials(first, second, _SUM_DEGREE)
    found = [*_with_constant(one, other, monomials), *_of_two(one, other, monomials)]
    found += _divided(one, other, monomials)
    return sorted(found, key=lambda formula: (formula.cost(), str(formula)))


def _with_constant(one: int, other: int, monomials: list[tuple[tuple[str, ...], int, int]]) -> Iterator[Formula]:
    for names, here, there in monomials:
        times, left = divmod(other - one, there - here)
        if not left and times > 0:
            yield Formula(((times, names),), one - times * here)


def _of_two(one: int, other: int, monomials: list[tuple[tuple[str, ...], int, int]]) -> Iterator[Formula]:
    for index, (left, here, there) in enumerate(monomials):
        for right, this, that in monomials[index + 1 :]:
            # times*here + more*this = one and times*there + more*that = other, by Cramer's rule
            whole = here * that - there * this
            if not whole or (one * that - other * this) % whole or (here * other - there * one) % whole:
                continue
            times, more = (one * that - other * this) // whole, (here * other - there * one) // whole
            if times and more and max(abs(times), abs(more)) <= _COEFFICIENT:
                terms = sorted([(times, left), (more, right)], key=lambda term: (term[0] < 0, -len(term[1])))
                yield Formula(tuple(terms))


def _divided(one: int, other: int, monomials: list[tuple[tuple[str, ...], int, int]]) -> Iterator[Formula]:
    for names, here, there in monomials:
        if (other - one) * (there - here) <= 0:
            continue
        for divisor in range(2, _DIVISOR + 1):
            # Rounded down or rounded up; what rounds in between cannot be told apart by a handful of sizes.
            for inner in (0, -1):
                outer = one - (here + inner) // divisor
                if abs(outer) <= _AFTER and (there + inner) // divisor + outer == other:
                    yield Formula(((1, names),), inner, divisor, outer)
