"""One class under one backend: settings sorted, sizes drawn, variants learnt and held against live recordings."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from adaptlint.bases import Base, BaseProblem
from adaptlint.bases.families import shipped_record
from adaptlint.bases.meta_build import silence
from adaptlint.dataflow.load import FlowProblem
from adaptlint.dataflow.propagate import propagate
from adaptlint.dataflow.record import FIRST, record
from adaptlint.dataflow.shipped import FORMAT, graph_from, likeness
from tests.families.flow_comparing import difference, unfolded
from tests.families.flow_exploring import Failed, FlowExploration, above_one
from tests.families.flow_free import free
from tests.families.flow_learning import TOKENS, Group, Pool, grouped, settings_of
from tests.families.flow_limits import Limits, NothingLeft
from tests.families.flow_neighbours import SHALLOW, TRIES, FlowNeighbours, always
from tests.families.flow_settings import with_all_experts
from tests.families.flow_trials import Raw, Recorder, Refused, Trial
from tests.families.live import built
from tests.families.samples import Unlearnt
from tests.families.space import Space

DRAWS = 6
DEEP = 5
FRESH = 6
CUTS = 8
AGAIN = 3


DEEPER = (always(DEEP), always(DEEP - 1))


Found = tuple[Group, dict[str, Any], dict[str, Any]]
NOT_COVERED = "the default config is not covered"


class FlowRecording(FlowNeighbours):
    """The variants of one class under one backend in the making."""

    def __init__(
        self, space: Space, recorder: Recorder, read: set[str], pool: Pool, known: FlowExploration | None = None
    ) -> None:
        super().__init__(space, recorder, read, pool, known)
        self.bases: dict[str, Base | None] = {}
        self.lives: dict[str, Any] = {}
        self.alone: dict[str, Any] = {}
        self.bound: list[tuple[Group, dict[str, Any]]] = []

    def run(self) -> tuple[dict[str, Any], int]:
        """The class's entry of a table, and how many fresh configs gave the graphs of live recordings."""
        start = self._inputs_of(self.space.start)
        if isinstance(start, str) and self._chosen_start() is not None:
            self.space.start = {**with_all_experts(self.space), **self.needed}
            start = self._inputs_of(self.space.start)
        if isinstance(start, str):
            raise Failed(start)
        self.recorder.inputs = start
        self._start()
        self._explore()
        self._turn_conditions()
        if self.known is None:
            self._explore_beside()
        self._pair()
        for raw in self._neighbours(DRAWS):
            self.tried(raw)
        while self.rounds:
            self.rounds -= 1
            self._top_up()
            entry = self._learnt()
            if self._vary(self.bound):
                entry = self._learnt()
            wrong, count = self._verified(entry)
            if not wrong:
                return self._pooled(entry), count
        return self._limited(entry, [raw for raw, _ in wrong])

    def _inputs_of(self, raw: Raw) -> list[str] | str:
        """The inputs that a config's forward is recorded with; why it is not."""
        try:
            with silence():
                graph, doubt = record(raw, self.recorder.name, self.recorder.backend)
        except FlowProblem as problem:
            return str(problem)
        return f"not steady: {doubt}" if doubt else list(graph.inputs)

    def _limited(self, entry: dict[str, Any], wrong: list[Raw]) -> tuple[dict[str, Any], int]:
        """The entry less what is wrong in it, in as many turns as it takes to find nothing more."""
        by_index = frozenset(self.recorder.by_index)
        limits = Limits(
            self.start, self.trials, self._base, lambda one, raw: self._fault(self.table(one), raw), by_index
        )
        for _ in range(CUTS):
            try:
                for raw in wrong:
                    limits.restrict(entry, raw)
            except NothingLeft as part:
                raise Failed(f"wrong: {part}") from None
            found, count = self._verified(entry, again=False)
            found = found or self._unlike_themselves(entry)
            if not found:
                return self._pooled(entry), count
            wrong = [raw for raw, _ in found]
        raise Failed(f"wrong: {found[0][1]} under {json.dumps(wrong[0])}")

    def _pooled(self, entry: dict[str, Any]) -> dict[str, Any]:
        """The entry with its templates in the pool of all classes."""
        texts = list(self.own.texts)
        for variant in entry["variants"]:
            own = variant["templates"]
            variant["templates"] = {letter: self.pool.place(texts[number]) for letter, number in own.items()}
        return entry

    def _learnt(self) -> dict[str, Any]:
        self.own = Pool()
        found: list[Found] = []
        unlearnt = ""
        for group in grouped(self.trials, self.asked):
            whole: list[tuple[Group, dict[str, Any]]] = [(group, {})]
            for parts in (whole, group.of_each_path(set(self.drawn))):
                learnt, unlearnt = self._variants(parts, unlearnt)
                found += learnt
                if learnt:
                    break
        if not found:
            raise Failed(f"not learnt: {unlearnt}")
        untagged = set[str]().union(*(group.untagged for group, _, _ in found))
        drawn = set(self.drawn)
        fixed = [{**group.fixed(untagged, drawn), **pinned} for group, _, pinned in found]
        variants = [{**variant, "fixed": own} for (_, variant, _), own in zip(found, fixed, strict=True)]
        self.bound = [(group, own) for (group, _, _), own in zip(found, fixed, strict=True) if own]
        numbers = [
            name for name, value in self.start.config.items() if type(value) is int and not name.endswith(TOKENS)
        ]
        seen = {n: [t.names[n] for t in self.trials if type(t.names.get(n)) is int] for n in numbers}
        sized = {n for n in numbers if n in self.space.fields and self.space.sized(n) and self.start.config[n] > 0}
        positive = [n for n in numbers if n in sized or all(value > 0 for value in seen[n])]
        idle = {key: known for key, known in self.idle.items() if key not in self.asked}
        entry = {
            "class": self.recorder.name,
            "idle": idle,
            "read": sorted(self.read - self.start.config.keys()),
            "positive": positive,
            "rope": self.start.rope,
            "variants": variants,
        }
        free(entry, self.own)
        return entry

    def _variants(self, parts: list[tuple[Group, dict[str, Any]]], why: str) -> tuple[list[Found], str]:
        """The variants of groups with enough trials, each with the sizes that are pinned; why one has none."""
        found: list[Found] = []
        for part, pinned in parts:
            if len(part.trials) < 2 or not part.deepens:
                continue
            try:
                found.append((part, {**part.variant(self.own), "within": {}}, pinned))
            except Unlearnt as unlearnt:
                why = str(unlearnt)
        return found, why

    def table(self, entry: dict[str, Any]) -> dict[str, Any]:
        """A table of this class alone."""
        return table_of(self.recorder.backend, {self.recorder.name: entry}, self.own)

    def _unlike_themselves(self, entry: dict[str, Any]) -> list[tuple[Raw, str]]:
        """Configs that were learnt from and come out otherwise, and how; of those, some: fresh ones say more."""
        table = self.table(entry)
        some = self.draw.sample(self.trials, -(-len(self.trials) // AGAIN))
        found = [(trial, self._unlike_itself(table, trial)) for trial in some]
        wrong = [(trial, unlike) for trial, unlike in found if unlike]
        for trial, _ in wrong:
            self._promote(trial)
        return [(trial.raw, unlike) for trial, unlike in wrong]

    def _verified(self, entry: dict[str, Any], again: bool = True) -> tuple[list[tuple[Raw, str]], int]:
        """Configs that come out wrong, and how; how many fresh ones were right. The wrong ones are learnt from.

        With `again` those that were learnt from already are looked at as well.
        """
        table = self.table(entry)
        wrong = self._unlike_themselves(entry) if again else []
        right = 0
        for raw in [
            {"model_type": self.space.model_type, **self.needed},
            *self._of_each(),
            *self._neighbours(FRESH),
            *self._wandering(),
        ]:
            fault = self._fault(table, raw)
            right += fault == ""
            if fault:
                wrong.append((raw, fault))
                found = self.tried(raw)
                if found is not None:
                    self._promote(found)
        usual = self._base({"model_type": self.space.model_type, **self.needed})
        if usual is None or graph_from(table, usual) is None:
            if self._deepened():
                wrong.append((self.space.start, NOT_COVERED))
            elif not wrong:
                raise Failed(NOT_COVERED)
        return wrong, right

    def _deepened(self) -> bool:
        """Learn from deeper ones with every kind of layer that the default has; False if that was done before."""
        if not self.shallow:
            return False
        self.shallow, self.rounds = False, self.rounds + 1
        usual = {name: self.space.fields[name].default for name in self.recorder.by_index & self.space.fields.keys()}
        kinds = {name: value for name, value in usual.items() if name not in self.recorder.layered}
        for depth in range(SHALLOW + 1, SHALLOW + DEEP):
            self.tried({**self._at_depth(self.space.start, [always(depth)]), **kinds})
            for name in [name for name, value in kinds.items() if above_one(value)]:
                self.tried({**self._at_depth(self.space.start, [always(depth)]), **kinds, name: 2})
        return True

    def _of_each(self) -> Iterator[Raw]:
        """A config of every path, with more layers than the path was learnt with."""
        for group in grouped(self.trials, self.asked):
            for _ in range(TRIES):
                raw = self._at_depth(self._more_of(group), DEEPER)
                if self._of(group, raw):
                    yield raw
                    break
            else:
                yield self._at_depth(group.trials[0].raw, DEEPER)

    def _unlike_itself(self, table: dict[str, Any], trial: Trial) -> str:
        """Where the table's graph for a trial is not the trial's own."""
        base = self._base(trial.raw)
        ours = graph_from(table, base) if base is not None else None
        if ours is None or base is None:
            return ""
        text = json.dumps(trial.raw, sort_keys=True)
        if text not in self.alone:
            pool = Pool()
            own = {**Group(settings_of(trial, self.asked), [trial]).variant(pool), "fixed": {}, "within": {}}
            own |= {"settings": {}, "powers": {}}
            entry = {**table["classes"][self.recorder.name], "variants": [own]}
            graph = graph_from(table_of(self.recorder.backend, {self.recorder.name: entry}, pool), base)
            self.alone[text] = None if graph is None else unfolded(graph)
        alone = self.alone[text]
        return "" if alone is None else difference(unfolded(ours), alone)

    def _base(self, raw: Raw) -> Base | None:
        text = json.dumps(raw, sort_keys=True)
        if text not in self.bases:
            made: Any = shipped_record(raw, self.recorder.name) or built(raw, self.recorder.name)
            self.bases[text] = None if isinstance(made, BaseProblem) else Base("", "meta", made, config=raw)
        return self.bases[text]

    def _fault(self, table: dict[str, Any], raw: Raw) -> str | None:
        """Where our graph is not the live one; None where we have none."""
        base = self._base(raw)
        ours = graph_from(table, base) if base is not None else None
        if ours is None:
            return None
        text = json.dumps(raw, sort_keys=True)
        if text not in self.lives:
            try:
                self.lives[text] = unfolded(self.recorder.live(raw))
            except Refused as why:
                self.lives[text] = str(why)
        live = self.lives[text]
        if not isinstance(live, str):
            return difference(unfolded(ours), live)
        # no forward at the sizes of a recording: then ours has to fail there as well
        moved = propagate(ours, {name: FIRST[name] for name in ours.symbols})
        return None if moved.conflict is not None else f"refused: {live}"

    def _promote(self, trial: Trial) -> None:
        """Settings that were believed idle and are not under this config."""
        for key in [k for k, known in self.idle.items() if k not in self.asked and len(known) > 1]:
            if key in trial.raw and likeness(trial.config.get(key)) != likeness(self.start.config[key]):
                without = self.tried({name: value for name, value in trial.raw.items() if name != key})
                if without is not None and without.graph != trial.graph:
                    self.asked.add(key)


def table_of(backend: str, classes: dict[str, Any], pool: Pool) -> dict[str, Any]:
    """The table of a model type and backend."""
    import transformers

    return {
        "format": FORMAT,
        "transformers": transformers.__version__,
        "backend": backend,
        "sizes": FIRST,
        "classes": classes,
        "templates": list(pool.texts),
    }
