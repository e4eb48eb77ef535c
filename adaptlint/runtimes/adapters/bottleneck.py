"""Bottleneck adapters: what happens to states, residuals and norms around them, one block inside another.

Facts: adapters 0.2.2 to 1.3.0, methods/bottleneck.py (`BottleneckLayer`), methods/modeling.py (`Adapter`,
`ParallelAdapter`).
"""

from __future__ import annotations

from collections.abc import Mapping

from adaptlint.named_tuple import NamedTuple
from adaptlint.runtimes.adapters.composition import Block
from adaptlint.runtimes.adapters.layers import Config, Context, Layer
from adaptlint.runtimes.adapters.lora import NONE_AS_TENSOR, averaged
from adaptlint.runtimes.adapters.numbers import made_by, plus, term
from adaptlint.runtimes.adapters.rows import Raised, Rows, Shape, cut, joined, mapped, stacked, tiled, together

NOT_CUT = "'NoneType' object is not subscriptable"
WITHOUT_INPUT = (1, 2)  # from this release on a bottleneck may have no residual (Phi's second one)


class BottleneckState(NamedTuple):
    """`BottleneckState`: states, the residual of the layer around, the adapter's own, and what the last went up to."""

    hidden: Rows
    given: Rows | None
    residual: Rows | None
    up: Rows | None = None
    last: str | None = None


class Place(NamedTuple):
    """What a site hands in: a norm or none; whether a hook calls it; the fusion layers it has, by name."""

    norm: bool
    hooked: bool
    fusions: frozenset[str] = frozenset()


class BottleneckLayer(Layer):
    """`BottleneckLayer`."""

    def __init__(self, adapters: Mapping[str, Config], context: Context, place: Place) -> None:
        super().__init__(adapters, context)
        self.place = place

    def forward(self, setup: Block, hidden: Rows, given: Rows | None) -> Rows:
        """The states after the composition. Raises Raised."""
        if given is not None:
            given = as_many(hidden, given)
            hidden = as_many(given, hidden)
        state: BottleneckState = self.compose(setup, BottleneckState(hidden, given, given))
        if state.last is None:
            raise Raised("KeyError", "None")
        config, found = self.adapters[state.last], state.hidden
        if config["is_parallel"]:
            found = together(plus, found, hidden)
        if config["original_ln_after"] and not self.place.hooked:
            found = self._normed(added(found, state.given))
        return found

    def idle(self, hidden: Rows, given: Rows | None) -> Rows:
        """The states where no adapter of the composition has this site. Raises Raised."""
        if given is not None:
            given = as_many(hidden, given)
            hidden = as_many(given, hidden)
        if self.place.hooked or (given is None and not self.place.norm):
            return hidden
        return self._normed(added(hidden, given))

    def _normed(self, rows: Rows) -> Rows:
        return mapped(lambda held: term("norm", held), rows) if self.place.norm else rows

    def rows_in(self, state: BottleneckState) -> int:
        """Rows of the states."""
        return state.hidden.number

    def before(self, setup: Block, state: BottleneckState) -> BottleneckState:
        """`pre_block`: as the first adapter of the block has it, for all of it."""
        config = self.adapters.get(setup.first)
        if config is not None and config["is_parallel"] and state.given is None:
            cuts = setup.kind in ("Parallel", "BatchSplit", "MultiTask", "Split")
            raise Raised("TypeError", NOT_CUT if cuts else "linear(): argument 'input' (position 1) must be Tensor")
        return self._before(setup.first, state)[0]

    def _before(self, name: str, state: BottleneckState, fused: bool = False) -> tuple[BottleneckState, Rows | None]:
        """`pre_forward` of an adapter, with the query for a fusion layer."""
        if name not in self.adapters:
            raise Raised("KeyError", f"'{name}'")
        config, hidden, query, residual = self.adapters[name], state.hidden, None, None
        if config["is_parallel"]:
            if state.given is None:
                raise Raised("TypeError", "linear(): argument 'input' (position 1) must be Tensor")
            return state._replace(hidden=state.given, residual=state.given), state.given if fused else None
        if config["residual_before_ln"] is True:
            residual = hidden
        if fused:  # `query_before_ln` is off in every config that the library ships
            query = hidden
        if config["original_ln_before"]:
            if self.place.norm:
                hidden = added(hidden, state.given)
                residual = hidden if config["residual_before_ln"] == "post_add" else residual
                hidden = self._normed(hidden)
            elif state.given is not None or self.context.release < WITHOUT_INPUT:
                hidden = added(hidden, state.given)
        if not config["residual_before_ln"]:
            residual = hidden
        if residual is None:
            raise Raised("UnboundLocalError", "residual")
        return state._replace(hidden=hidden, residual=residual), hidden if fused else query

    def slice(self, state: BottleneckState, start: int, stop: int) -> BottleneckState:
        """`vslice`."""
        if state.given is None or state.residual is None:
            raise Raised("TypeError", NOT_CUT)
        up = None if state.up is None else cut(state.up, start, stop)
        hidden, given, residual = (cut(rows, start, stop) for rows in (state.hidden, state.given, state.residual))
        return BottleneckState(hidden, given, residual, up, state.last)

    def concat(self, states: list[BottleneckState]) -> BottleneckState:
        """`pad_and_concat`."""
        hidden = joined([state.hidden for state in states])
        given = joined(_there([state.given for state in states]))
        residual = joined(_there([state.residual for state in states]))
        up = joined(_there([state.up for state in states])) if states[0].up is not None else None
        return BottleneckState(hidden, given, residual, up, states[-1].last)

    def repeat(self, state: BottleneckState, times: int) -> BottleneckState:
        """`repeat`."""
        if state.given is None or state.residual is None:
            raise Raised("AttributeError", "'NoneType' object has no attribute 'repeat'")
        up = None if state.up is None else tiled(state.up, times, 2)
        hidden, given, residual = (tiled(rows, times, 2) for rows in (state.hidden, state.given, state.residual))
        return BottleneckState(hidden, given, residual, up, state.last)

    def mean(self, states: list[BottleneckState], weights: list[float]) -> BottleneckState:
        """`mean`: of what is already weighted, residual and all, so that it is divided once more."""
        if not states:
            raise Raised("RuntimeError", "stack expects a non-empty TensorList")
        hidden = averaged([state.hidden for state in states], weights)
        return states[0]._replace(hidden=hidden, last=states[-1].last)

    def single(self, name: str, state: BottleneckState) -> BottleneckState:
        """`compose_single`: `Adapter.forward`."""
        config = self.adapters[name]
        up = mapped(lambda held: made_by(name, held), state.hidden)
        output = up
        if config["use_gating"]:
            gate = mapped(lambda held: made_by(name, "gate", held), state.hidden, (up.number, 1, 1))
            output = together(lambda one, other: term("gated", one, other), output, gate)
        parallel = config["is_parallel"]
        if config["adapter_residual_before_ln"] and not parallel:
            output = added(output, state.residual)
        if config["ln_after"]:
            output = mapped(lambda held: made_by(name, "norm", held), output)
        if not config["adapter_residual_before_ln"] and not parallel:
            output = added(output, state.residual)
        return state._replace(hidden=output, up=up, last=name)

    def fuse(self, setup: Block, state: BottleneckState, level: int) -> BottleneckState:
        """`compose_fuse`: a layer of its own attends to what each child goes up to."""
        last, name = setup.last, setup.fusion
        state, query = self._before(last, state, fused=True)
        children = []
        for child in setup.children:
            if child.kind:
                children.append(self.child(setup, child, state, level))
            elif child.name in self.adapters:
                children.append(self.single(child.name, state))
        if not children:
            return state._replace(last=last)
        ups = _there([child.up for child in children])
        stacked(ups)
        if name not in self.place.fusions:
            raise Raised("KeyError", f"'{name}'")
        found = state.hidden if query is None else query
        for rows in (*ups, *_there([state.residual])):
            found = together(lambda one, other: term("fused", name, one, other), found, rows)
        return state._replace(hidden=found, last=last)

    def split(self, setup: Block, state: BottleneckState, level: int) -> BottleneckState:
        """`compose_split`: parts of the sequence to different adapters; those of an absent one are lost."""
        sizes, length = setup.sizes("splits"), state.hidden.shape[1]
        if sum(sizes) != length:
            raise Raised(
                "IndexError",
                f"The given input has sequence length {length} which is not equal to the sum of splits {sizes}",
            )
        state = self.before(setup, state)
        found: list[Rows] = []
        last = None
        for number, child in enumerate(setup.children):
            part = self._positions(state, sum(sizes[:number]), sum(sizes[: number + 1]))
            if child.kind:
                made = self.child(setup, child, part, level)
            elif child.name in self.adapters:
                made = self.single(child.name, part)
            else:
                continue
            found.append(made.hidden)
            last = made.last or last
        if not found:
            raise Raised("RuntimeError", "torch.cat(): expected a non-empty list of Tensors")
        return state._replace(hidden=joined(found, axis=1), last=last)

    def _positions(self, state: BottleneckState, start: int, stop: int) -> BottleneckState:
        def part(rows: Rows | None) -> Rows:
            if rows is None:
                raise Raised("TypeError", NOT_CUT)
            shape: Shape = (rows.shape[0], stop - start, *rows.shape[2:])
            return mapped(lambda held: term("positions", start, stop, held), rows, shape)

        up = None if state.up is None else part(state.up)
        return BottleneckState(part(state.hidden), part(state.given), part(state.residual), up)


def as_many(reference: Rows, rows: Rows) -> Rows:
    """`adjust_tensors_for_parallel`: as many rows as another tensor has, where that has more."""
    if reference.number <= rows.number:
        return rows
    if not rows.number:
        raise Raised("ZeroDivisionError", "integer division or modulo by zero")
    times = reference.number // rows.number
    return Rows((times * rows.number, *rows.shape[1:]), rows.pieces * times)


def added(one: Rows, other: Rows | None) -> Rows:
    """A sum; nothing can be added to nothing."""
    if other is None:
        raise Raised("TypeError", "unsupported operand type(s) for +: 'Tensor' and 'NoneType'")
    return together(plus, one, other)


def _there(given: list[Rows | None]) -> list[Rows]:
    for number, one in enumerate(given):
        if one is None:
            raise Raised("TypeError", NONE_AS_TENSOR.format(number))
    return [one for one in given if one is not None]
