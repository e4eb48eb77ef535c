"""Configs near those that were tried: other sizes and depths, enough of them for every path of a forward."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from adaptlint.bases.families import shipped_record
from adaptlint.bases.resolved import flat
from tests.families.flow_exploring import FlowExploration, may_hold
from tests.families.flow_learning import Group, grouped, named
from tests.families.flow_trials import Raw
from tests.families.live import resolved

SHALLOW = 3
TRIES = 16
MIXED = 12
EACH = 2
MOST_GROUPS = 64
MOST_TRIALS = 120
MOST_VARIED = 60
WANDERED = 12
BESIDE = 3
CACHE = "use_cache"


def always(depth: int) -> Callable[[int], int]:
    """A depth whatever it was before."""
    return lambda _: depth


class FlowNeighbours(FlowExploration):
    """Draws configs to learn from and to hold against live recordings."""

    def _neighbours(self, count: int) -> Iterator[Raw]:
        for _ in range(count):
            yield self._neighbour(self.draw.choice(self.trials).raw, self.draw.choice((1, 2, 3, 4)))

    def _wandering(self) -> Iterator[Raw]:
        """Walks away from the configs to start from, and from each change that counts, whatever is moved beside.

        They go as far as the base's own table does. Whether there is a cache is asked of the config by few classes.
        """
        starts = [self.space.start, *([self.origin] if self.origin != self.space.start else [])]
        beside = [(start, change, BESIDE) for change in self.telling for start in starts]
        if CACHE in self.space.fields:
            yield from ({**group.trials[0].raw, CACHE: False} for group in grouped(self.trials, self.asked))
        for start, change, steps in [*((start, Raw(), WANDERED) for start in starts), *beside]:
            here = {**start, **change}
            names = sorted(self.space.fields.keys() - change.keys())
            for _ in range(steps):
                raw = self.space.moved(here, self.draw, names, 2)
                if shipped_record(raw, self.recorder.name) is not None:
                    here = raw
                    yield raw

    def _neighbour(self, here: Raw, steps: int) -> Raw:
        """A neighbour: other sizes, sometimes other settings, sometimes two sizes that are the same."""
        names = [name for name in self.drawn if self.space.value(here, name) is not None]
        raw = self.space.moved(here, self.draw, names, steps)
        chance = self.draw.random()
        if chance < 0.3 and self.flips:
            raw = {**raw, **self.draw.choice(self.flips)}
        elif chance < 0.6:
            heads = [n for n in names if "head" in n] or names
            first, second = (self.draw.choice(heads) for _ in range(2))
            raw = {**raw, first: self.space.value(raw, second)}
        return raw

    def _at_depth(self, raw: Raw, depths: Sequence[Callable[[int], int]]) -> Raw:
        """With so many layers in each stack in turn, and lists that have an entry for each of them as long."""
        changed = dict(raw)
        known = {name: self.space.value(raw, name) for name in self.recorder.layered}
        if None in known.values():
            known = {**known, **(resolved(self.recorder.config_class, raw) or {})}
        for at, name in enumerate(sorted(self.recorder.layered)):
            before = known[name]
            if type(before) is int and before > 0:
                changed[name] = depth = depths[at % len(depths)](before)
                of_layers = [one for one, value in raw.items() if isinstance(value, list) and len(value) == before]
                for one in of_layers:
                    changed[one] = [raw[one][place % before] for place in range(depth)]
        return changed

    def _top_up(self) -> None:
        """Enough trials of every path, and integers that lost their names in as many sizes."""
        for group in grouped(self.trials, self.asked)[:MOST_GROUPS]:
            for part in group.paths:
                if len(self.trials) < MOST_TRIALS and not part.deepens and self.recorder.layered:
                    for depth in range(1, SHALLOW + 2):
                        depths = [always(depth), always(depth % (SHALLOW + 1) + 1)]
                        self._add(group, self._at_depth(part.trials[0].raw, depths))
            for _ in range(TRIES if len(self.trials) < MOST_TRIALS else 0):
                if len(group.trials) >= (MIXED if group.mixed else EACH) and group.varies and group.deepens:
                    break
                raw = self._shallow(self._more_of(group))
                if self._of(group, raw):
                    self._add(group, raw)

    def _vary(self, bound: list[tuple[Group, dict[str, Any]]]) -> bool:
        """Trials of other sizes where a path had the same in all of its trials; whether there are any."""
        before = len(self.trials)
        for group, sizes in bound:
            here = group.trials[0].raw
            names = [name for name in sizes if name in self.drawn and type(self.space.value(here, name)) is int]
            changes = [names, *([name] for name in names)] if len(names) > 1 else [names]
            for change in changes if len(self.trials) < MOST_TRIALS + MOST_VARIED else []:
                raw = {**here, **{name: 2 * self.space.value(here, name) for name in change}}
                if change and self._of(group, raw):
                    self._add(group, raw)
        return len(self.trials) > before

    def _add(self, group: Group, raw: Raw) -> None:
        trial = self.tried(raw)
        if trial is not None and all(trial is not one for one in group.trials):
            group.add(trial, self.asked)

    def _more_of(self, group: Group) -> Raw:
        """A neighbour of one of its configs that differs in what the group lacks."""
        here = self.draw.choice(group.trials).raw
        names = [name for name in self.drawn if type(self.space.value(here, name)) in (int, float)]
        made = {name for expression in group.trials[0].made for name in named(expression)}
        layered = [name for name in names if name in self.recorder.layered]
        if not group.deepens and layered and self.draw.random() < 0.8:
            here = self._at_depth(here, [lambda _: self.draw.randint(1, SHALLOW + 1)])
        for name in sorted(self.recorder.by_index & set(names)):
            if self.draw.random() < 0.4:
                here = {**here, name: self.draw.randint(1, SHALLOW)}
        heads = [name for name in names if "head" in name]
        if group.mixed and heads and self.draw.random() < 0.5:
            return {**here, self.draw.choice(heads): self.space.value(here, self.draw.choice(heads))}
        if not group.varies and made & set(names):
            names = sorted(made & set(names))
        return self.space.moved(here, self.draw, names, self.draw.choice((1, 2, 3)))

    def _shallow(self, raw: Raw) -> Raw:
        """Few layers: a recording takes its time."""
        return self._at_depth(raw, [lambda before: min(before, SHALLOW + 1)])

    def _of(self, group: Group, raw: Raw) -> bool:
        """Whether a config seems to be of this path, before its forward is recorded."""
        config = resolved(self.recorder.config_class, raw)
        if config is None:
            return False
        names = flat(config)
        return any(all(may_hold(json.loads(text), names) for text in held) for held in group.held)
