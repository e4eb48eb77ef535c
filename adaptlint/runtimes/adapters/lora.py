"""LoRA, (IA)^3, DoRA, VeRA and MTL-LoRA at a linear layer, and what is left of a composition at a fused one.

Facts: adapters 0.2.2 to 1.3.0, methods/lora.py (`LoRALinear`, `LoRAMergedLinear`, `LoRA`, `IA3`, `Vera`).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import reduce
from math import prod

from adaptlint.named_tuple import NamedTuple
from adaptlint.runtimes.adapters.composition import Block
from adaptlint.runtimes.adapters.layers import Config, Context, Layer
from adaptlint.runtimes.adapters.numbers import Number, Sum, made_by, plus, term, times
from adaptlint.runtimes.adapters.rows import Raised, Rows, cut, joined, mapped, stacked, tiled, together

Sizes = tuple[int, int]
"""How wide a layer's input and output are."""
NONE_AS_TENSOR = "expected Tensor as element {} in argument 0, but got NoneType"


class LoraState(NamedTuple):
    """`LoRAState`: what the layer was given, what the adapters make of it (None before the first), its own output."""

    given: Rows
    hidden: Rows | None
    output: Rows
    last: str | None


class LoraLayer(Layer):
    """`LoRALinear`. `shared` has, for VeRA, the sizes in and out of the first site of each adapter."""

    again = True

    def __init__(
        self, adapters: Mapping[str, Config], context: Context, sizes: Sizes, shared: Mapping[str, Sizes] | None = None
    ) -> None:
        super().__init__(adapters, context)
        self.sizes = sizes
        self.shared = shared or {}

    def forward(self, setup: Block, given: Rows, output: Rows) -> Rows:
        """The layer's output with the composition added. Raises Raised."""
        state: LoraState = self.compose(setup, LoraState(given, None, output, None))
        if state.last is None:
            raise Raised("KeyError", "None")
        config, hidden = self.adapters[state.last], state.hidden
        if config.get("use_dora"):
            if hidden is None:
                raise Raised("TypeError", "unsupported operand type(s) for +: 'Tensor' and 'NoneType'")
            last = state.last
            return together(lambda own, added: made_by(last, "dora", own, added), state.output, hidden)
        if hidden is None:
            raise Raised("TypeError", "unsupported operand type(s) for *: 'NoneType' and 'float'")
        if config.get("composition_mode") == "scale":
            return together(lambda own, added: term("scaled", own, added), state.output, hidden)
        return together(plus, state.output, hidden)

    def rows_in(self, state: LoraState) -> int:
        """Rows of what the layer was given."""
        return state.given.number

    def slice(self, state: LoraState, start: int, stop: int) -> LoraState:
        """`vslice`."""
        hidden = None if state.hidden is None else cut(state.hidden, start, stop)
        return LoraState(cut(state.given, start, stop), hidden, cut(state.output, start, stop), state.last)

    def concat(self, states: list[LoraState]) -> LoraState:
        """`pad_and_concat`: whether there is anything to join is asked of the first alone."""
        given = joined([state.given for state in states])
        hidden = None
        if states[0].hidden is not None:
            hidden = joined(_tensors([state.hidden for state in states]))
        return LoraState(given, hidden, joined([state.output for state in states]), states[-1].last)

    def repeat(self, state: LoraState, times: int) -> LoraState:
        """`repeat`."""
        hidden = None if state.hidden is None else tiled(state.hidden, times, 2)
        return LoraState(tiled(state.given, times, 2), hidden, tiled(state.output, times, 2), state.last)

    def mean(self, states: list[LoraState], weights: list[float]) -> LoraState:
        """`mean`: of what is already weighted, so that it is divided once more."""
        if not states:
            raise Raised("IndexError", "list index out of range")
        hidden = averaged([state.hidden for state in states], weights) if states[0].hidden is not None else None
        return LoraState(states[0].given, hidden, states[0].output, states[-1].last)

    def single(self, name: str, state: LoraState) -> LoraState:
        """`compose_single`."""
        config = self.adapters[name]
        if config.get("composition_mode") == "scale":
            hidden = self._scaled(name, state)
        else:
            source = state.given if state.hidden is None else state.hidden
            self._fits(name, config, source)
            hidden = mapped(lambda held: made_by(name, held), source, (*source.shape[:-1], state.output.shape[-1]))
        if config.get("use_gating"):
            gate = mapped(lambda held: made_by(name, "gate", held), state.given, (state.given.number, 1, 1))
            hidden = together(lambda one, other: term("gated", one, other), hidden, gate)
        return state._replace(hidden=hidden, last=name)

    def _scaled(self, name: str, state: LoraState) -> Rows:
        shape = (state.given.number, 1, state.output.shape[-1])
        vector = state.given.holding(made_by(name, "vector"), shape)
        if state.hidden is None:
            return vector
        return together(lambda one, other: term("scaled", one, other), state.hidden, vector)

    def _fits(self, name: str, config: Config, source: Rows) -> None:
        """The product of states and matrices, which a second adapter's input has to fit as well."""
        inner, outer = self.sizes
        columns = config["r"]
        if is_vera(config):  # its matrices are those of its first site, whatever this one's sizes are
            inner, first = self.shared.get(name, self.sizes)
            if first != outer:
                raise cannot_multiply(f"{outer}x{outer}", f"{first}x{columns}")
            columns = outer
        if source.shape[-1] != inner:
            raise cannot_multiply(f"{prod(source.shape[:-1])}x{source.shape[-1]}", f"{inner}x{columns}")


def merged_forward(setup: Block, adapters: Mapping[str, Config], output: Rows) -> Rows:
    """`LoRAMergedLinear.forward`: one adapter alone, or nothing. Raises Raised."""
    if len(setup.children) != 1:
        raise Raised("ValueError", f"Invalid adapter setup. Cannot use {setup} with LoRA.")
    name = setup.children[0].name
    if setup.children[0].kind:
        raise Raised("TypeError", f"unhashable type: '{setup.children[0].kind}'")
    if name not in adapters:
        raise Raised("KeyError", f"'{name}'")
    config = adapters[name]
    if config.get("use_dora"):
        raise Raised("AttributeError", "object has no attribute")
    if is_vera(config):
        raise Raised("AttributeError", "'Vera' object has no attribute 'lora_A'")
    return mapped(lambda held: made_by(name, "merged", held), output)


def is_vera(config: Config) -> bool:
    """Whether the matrices are shared among layers and frozen."""
    return isinstance(config.get("vera_d"), float) or isinstance(config.get("vera_b"), float)


def cannot_multiply(left: str, right: str) -> Raised:
    """What a product of two matrices raises."""
    return Raised("RuntimeError", f"mat1 and mat2 shapes cannot be multiplied ({left} and {right})")


def averaged(given: list[Rows | None], weights: list[float]) -> Rows:
    """`torch.mean(torch.stack(given) * weights, dim=0)`: stretched where there is one of either. Raises Raised."""
    parts = _tensors(given)
    stacked(parts)
    if len(parts) != len(weights) and 1 not in (len(parts), len(weights)):
        raise Raised(
            "RuntimeError",
            f"The size of tensor a ({len(parts)}) must match the size of tensor b ({len(weights)}) at"
            " non-singleton dimension 0",
        )
    from fractions import Fraction

    count = max(len(parts), len(weights))
    shares = []
    for number in range(count):
        weight = Fraction(weights[number % len(weights)]).limit_denominator(10**6) / count
        shares.append(mapped(_by(weight), parts[number % len(parts)]))
    return reduce(lambda one, other: together(plus, one, other), shares)


def _by(weight: Number) -> Callable[[Sum], Sum]:
    def function(held: Sum) -> Sum:
        return times(weight, held)

    return function


def _tensors(given: list[Rows | None]) -> list[Rows]:
    for number, one in enumerate(given):
        if one is None:
            raise Raised("TypeError", NONE_AS_TENSOR.format(number))
    return [one for one in given if one is not None]
