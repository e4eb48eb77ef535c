"""Prefix tuning: keys and values of a pool, made once for the caller's batch, in front of those of each layer.

Facts: adapters 0.2.2 to 1.3.0, methods/prefix_tuning.py (`PrefixTuningLayer`).
"""

from __future__ import annotations

from collections.abc import Mapping

from adaptlint.named_tuple import NamedTuple
from adaptlint.runtimes.adapters.bottleneck import as_many
from adaptlint.runtimes.adapters.composition import Block
from adaptlint.runtimes.adapters.layers import Config, Context, Layer
from adaptlint.runtimes.adapters.numbers import made_by, term
from adaptlint.runtimes.adapters.rows import Raised, Rows, cut, joined, mapped, tiled, together, whole

EMPTY_SLICES = (1, 1, 1)  # from this release on a slice behind the last row is taken as one
FILLED_UNMASKED = (1, 0)  # before it, prefixes of unequal lengths need an attention mask (`pad_and_concat`)


class PrefixState(NamedTuple):
    """`PrefixTuningState`."""

    keys: Rows
    values: Rows
    given: Rows
    mask: Rows | None
    part: tuple[int, int] | None = None


class PrefixLayer(Layer):
    """`PrefixTuningLayer`. `heads` and `width` are those of the pool's keys and values; `inverted`: masks hide by
    what is added."""

    def __init__(
        self, adapters: Mapping[str, Config], context: Context, heads: int, width: int, inverted: bool
    ) -> None:
        super().__init__(adapters, context)
        self.heads = heads
        self.width = width
        self.inverted = inverted

    def forward(self, setup: Block, keys: Rows, values: Rows, given: Rows, mask: Rows | None) -> PrefixState:
        """Keys, values and mask with the prefixes of the composition. Raises Raised."""
        state: PrefixState = self.compose(setup, PrefixState(keys, values, given, mask))
        return state

    def rows_in(self, state: PrefixState) -> int:
        """Rows of the keys."""
        return state.keys.number

    def slice(self, state: PrefixState, start: int, stop: int) -> PrefixState:
        """`vslice`, which keeps in mind where in the caller's batch the slice lies."""
        offset = state.part[0] if state.part else 0
        mask = None if state.mask is None else cut(state.mask, start, stop)
        keys, values, given = (cut(rows, start, stop) for rows in (state.keys, state.values, state.given))
        return PrefixState(keys, values, given, mask, (offset + start, offset + stop))

    def picked(self, state: PrefixState) -> PrefixState:
        """`vslice` by a tensor."""
        return state._replace(part=None)

    def concat(self, states: list[PrefixState]) -> PrefixState:
        """`pad_and_concat`: shorter prefixes are filled up in front."""
        length = max(state.keys.shape[-2] for state in states)
        keys = joined([self._longer(state.keys, length, state.mask) for state in states])
        values = joined([self._longer(state.values, length, state.mask) for state in states])
        if self.context.release < FILLED_UNMASKED and any(s.mask is None and s.keys.shape[-2] < length for s in states):
            raise Raised("AssertionError", "Attention mask must be set for prefix tuning")
        masks = [self._masked(state, length) for state in states]
        mask = joined([one for one in masks if one is not None]) if states[-1].mask is not None else None
        return PrefixState(keys, values, joined([state.given for state in states]), mask, states[0].part)

    def _longer(self, rows: Rows, length: int, mask: Rows | None) -> Rows:
        missing = length - rows.shape[-2]
        if not missing:
            return rows
        hidden = mask is not None and not self.inverted  # the filling is masked out only where the mask is not added
        shape = (*rows.shape[:-2], length, rows.shape[-1])
        return rows._replace(shape=shape) if hidden else mapped(lambda held: term("filled", missing, held), rows, shape)

    def _masked(self, state: PrefixState, length: int) -> Rows | None:
        if state.mask is None or state.keys.shape[-2] == length:
            return state.mask
        return state.mask._replace(shape=(*state.mask.shape[:-1], max(length, state.mask.shape[-1])))

    def repeat(self, state: PrefixState, times: int) -> PrefixState:
        """`repeat`."""
        mask = state.mask
        if mask is not None:
            mask = tiled(mask, times, 1 if len(mask.shape) == 2 else 3)
        return PrefixState(
            tiled(state.keys, times, 3), tiled(state.values, times, 3), tiled(state.given, times, 2), mask, state.part
        )

    def mean(self, states: list[PrefixState], weights: list[float]) -> PrefixState:
        """`mean` is not written."""
        raise Raised("NotImplementedError", "")

    def single(self, name: str, state: PrefixState) -> PrefixState:
        """`compose_single`."""
        config, batch = self.adapters[name], self.context.batch
        length = config["prefix_length"]
        prefix = whole((batch, self.heads, length, self.width), made_by(name, "prefix"))
        if state.part is not None and self._is_slice(state.part, batch):
            prefix = cut(prefix, *state.part)
        if config["use_gating"]:
            gate = mapped(lambda held: made_by(name, "gate", held), state.given, (state.given.number, 1, 1, 1))
            prefix = together(lambda one, other: term("gated", one, other), prefix, gate)
        prefix = as_many(state.keys, prefix) if self._adjusts(prefix, state) else prefix
        keys, values = (joined([prefix, rows], axis=2) for rows in (state.keys, state.values))
        mask = state.mask
        if mask is not None:
            rows, before = state.keys.number, mask.shape[1:-1]
            front = whole((rows, *((1, mask.shape[2]) if len(mask.shape) == 4 else before), length), term("open"))
            mask = joined([as_many(mask, front), mask], axis=len(mask.shape) - 1)
        return state._replace(keys=keys, values=values, mask=mask)

    def _is_slice(self, part: tuple[int, int], batch: int) -> bool:
        at_end = part[0] == part[1] == batch and self.context.release >= EMPTY_SLICES
        return part[0] < batch or at_end

    def _adjusts(self, prefix: Rows, state: PrefixState) -> bool:
        if self.context.release < (1, 1) and state.keys.number == prefix.number == 0:
            raise Raised("ZeroDivisionError", "integer division or modulo by zero")
        return True
