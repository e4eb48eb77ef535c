"""One class under one backend: settings sorted, sizes drawn, variants learnt and held against live recordings."""

from __future__ import annotations

import json
import random
from collections.abc import Callable, Iterator, Sequence
from itertools import combinations
from typing import Any

from adaptlint.bases import Base, BaseProblem
from adaptlint.bases.families import shipped_record
from adaptlint.bases.meta_build import silence
from adaptlint.bases.resolved import flat
from adaptlint.bases.templates import NotCovered, holds
from adaptlint.dataflow.load import FlowProblem
from adaptlint.dataflow.propagate import propagate
from adaptlint.dataflow.record import FIRST, record
from adaptlint.dataflow.shipped import FORMAT, graph_from, likeness
from tests.families.flow_comparing import difference, unfolded
from tests.families.flow_free import free
from tests.families.flow_learning import Group, Pool, grouped, named, settings_of
from tests.families.flow_limits import ALIGNED, Limits, NothingLeft
from tests.families.flow_trials import Raw, Recorder, Refused, Trial
from tests.families.learning import Unlearnt
from tests.families.live import built, resolved
from tests.families.space import ACTIVATIONS, LAYER_TYPES, Space

DRAWS = 6
EACH = 2
MIXED = 12
TRIES = 16
SHALLOW = 3
DEEP = 5
MOST_PAIRS = 16
MOST_GROUPS = 64
FRESH = 4
ROUNDS = 2
CUTS = 8
MOST_TRIALS = 90
AGAIN = 3
MOST_OPTIONS = 3
ASKED_FOR = ("output_attentions", "output_hidden_states", "return_dict")  # what is returned beside the answer
EXTRA = {"decoder_start_token_id": 0}
PADDING = "pad_token_id"
WIDTHS = ("hidden_size", "n_embd", "d_model", "dim", "embed_dim", "word_embed_proj_dim")
TOKENS = ("_token_id", "_token_index", "_idx", "_id")
ROPES: tuple[Raw, ...] = (
    {"rope_type": "linear", "factor": 2.0},
    {"rope_type": "yarn", "factor": 4.0, "original_max_position_embeddings": 512},
    {
        "rope_type": "llama3",
        "factor": 8.0,
        "low_freq_factor": 1.0,
        "high_freq_factor": 4.0,
        "original_max_position_embeddings": 8192,
    },
)


def _always(depth: int) -> Callable[[int], int]:
    return lambda _: depth


DEEPER = (_always(DEEP), _always(DEEP - 1))


NOT_COVERED = "the default config is not covered"


class Failed(Exception):
    """Why a class has no graphs under a backend."""


class FlowRecording:
    """The variants of one class under one backend in the making."""

    def __init__(
        self, space: Space, recorder: Recorder, read: set[str], pool: Pool, known: FlowRecording | None = None
    ) -> None:
        self.space = space
        self.recorder = recorder
        self.read = read
        self.draw = random.Random(f"{recorder.name} {recorder.backend}")
        self.asked: set[str] = set()
        self.idle: dict[str, list[Any]] = {}
        self.trials: list[Trial] = []
        self.seen: dict[str, Trial | None] = {}
        self.flips: list[Raw] = []
        self.telling: list[Raw] = []
        self.set_aside: list[Trial] = []
        self.bases: dict[str, Base | None] = {}
        self.lives: dict[str, Any] = {}
        self.alone: dict[str, Any] = {}
        self.needed: Raw = {}
        self.refused = ""
        self.rounds = ROUNDS
        self.shallow = True
        self.known = known
        self.pool = pool
        self.own = Pool()

    def run(self) -> tuple[dict[str, Any], int]:
        """The class's entry of a table, and how many fresh configs gave the graphs of live recordings."""
        start = self._recorded(self.space.start)
        if isinstance(start, str) and self._chosen_start() is not None:
            self.space.start = {**with_all_experts(self.space), **self.needed}
            start = self._recorded(self.space.start)
        if isinstance(start, str):
            raise Failed(start)
        self.recorder.inputs = start
        self._start()
        self._explore()
        self._turn_conditions()
        self._pair()
        for raw in self._neighbours(DRAWS):
            self.tried(raw)
        while self.rounds:
            self.rounds -= 1
            self._top_up()
            entry = self._learnt()
            wrong, count = self._verified(entry)
            if not wrong:
                return self._pooled(entry), count
        return self._limited(entry, [raw for raw, _ in wrong])

    def _recorded(self, raw: Raw) -> list[str] | str:
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

    def _start(self) -> None:
        start = self.tried(self.space.start) or self.tried(with_all_experts(self.space)) or self._chosen_start()
        if start is None:
            raise Failed(f"the default config has no forward: {self.refused}")
        self.space.start = start.raw
        late = {name for name in self.recorder.by_index & self.space.fields.keys() if _above_one(start.names.get(name))}
        if late and not self.recorder.by_index & self.space.start.keys():  # both kinds of layers among few
            self.space.start = {**start.raw, **dict.fromkeys(sorted(late), 1)}
            self.trials = []
            self._start()
            return
        self.start = start
        self.idle = {key: [likeness(value)] for key, value in start.config.items()}
        self.drawn = [
            name
            for name, value in start.config.items()
            if type(value) is int and name in self.space.fields and not name.endswith(TOKENS) and value > 0
        ]

    def _chosen_start(self) -> Trial | None:
        """With what a class of experts cannot do without."""
        needed = needed_of(self.space)
        self.needed |= needed
        return self.tried({**with_all_experts(self.space), **self.needed}) if needed else None

    def tried(self, raw: Raw) -> Trial | None:
        """The trial of a config, None if there is none; kept."""
        text = json.dumps(raw, sort_keys=True)
        if text not in self.seen:
            try:
                self.seen[text] = self.recorder.trial(raw)
            except Refused as why:
                self.seen[text], self.refused = None, str(why)
            found = self.seen[text]
            if found is not None:
                self.trials.append(found)
        return self.seen[text]

    def _explore(self) -> None:
        """Sort every setting that is no size: idle, or asked; as another class or backend has it, if there was one."""
        if self.known is not None:
            self.asked = set(self.known.asked & self.start.config.keys())
            extra = {key: likes for key, likes in self.known.idle.items() if key not in self.start.config}
            self.idle = {key: self.known.idle.get(key, likes) for key, likes in self.idle.items()} | extra
            self.flips, self.drawn = list(self.known.flips), list(self.known.drawn)
            self.telling = [change for change in self.known.telling if self.tried({**self.space.start, **change})]
            self._turn_powers()
            return
        for name in self.space.fields:
            if name in ASKED_FOR or name == "num_labels":
                continue
            usual = self.space.value(self.space.start, name)
            for value in self._options(name, self.start.config.get(name) if usual is None else usual):
                self._try_setting({name: value})
        for rope in ROPES if self.start.rope else ():
            self._try_setting({"rope_parameters": rope})
        self.explore_keys()
        self.trials += [one for one in self.set_aside if self._settings(one) != self._settings(self.start)]
        self._turn_powers()

    def explore_keys(self) -> None:
        """What keys do that the class reads and does not list: those of configs that were published long ago."""
        names = sorted(self.read - self.start.config.keys() - self.space.fields.keys())
        kept = [name for name in names if name.isidentifier() and not hasattr(self.recorder.config_class, name)]
        for value in (*EXTRA.values(), False, None):
            wanted = [name for name in kept if name in EXTRA] if value == 0 and value is not False else kept
            for name in self._idle_among(wanted, value):
                self.idle.setdefault(name, []).append(likeness(value))

    def _idle_among(self, names: list[str], value: Any) -> list[str]:
        """Of these keys, those with which the forward is the same."""
        if not names:
            return []
        raw = {**self.space.start, **dict.fromkeys(names, value)}
        config = resolved(self.recorder.config_class, raw)
        try:
            trial = None if config is None else self.recorder.trial(raw)
        except Refused:
            trial = None
        if trial is not None and trial.graph == self.start.graph and trial.held <= self.start.held:
            return names
        if len(names) == 1:
            return []
        middle = len(names) // 2
        return self._idle_among(names[:middle], value) + self._idle_among(names[middle:], value)

    def _turn_powers(self) -> None:
        """Numbers of heads that are powers of two, where the default ones are not, and the other way round."""
        heads = [name for name in self.start.powers if name in self.drawn]
        widths = [name for name in self.drawn if name in WIDTHS]
        for chosen in [part for count in range(1, len(heads) + 1) for part in combinations(heads, count)]:
            for times, parts in ((3, 1), (4, 3), (2, 3), (8, 7), (8, 5)):
                size = {name: self.start.config[name] for name in (*chosen, *widths)}
                change = {name: value * times // parts for name, value in size.items()}
                trial = self.tried({**self.space.start, **change})
                if trial is not None and trial.powers != self.start.powers:
                    self.telling.append(change)
                    break

    def _settings(self, trial: Trial) -> dict[str, Any]:
        return settings_of(trial, self.asked)

    def _options(self, name: str, value: Any) -> Iterator[Any]:
        field = self.space.fields[name]
        if value is not None and "null" in field.kinds:
            yield None
        if type(value) is bool:
            yield not value
        elif type(value) is float:
            yield from (value * 0.5, value + 0.25, 0.0)
        elif isinstance(value, str):
            yield from [option for option in field.options if option != value][:MOST_OPTIONS]
        elif isinstance(value, list) and value and isinstance(value[0], str):
            yield from ([kind] * len(value) for kind in LAYER_TYPES)
            yield [LAYER_TYPES[at % 2] for at in range(len(value))]
            whole = resolved(self.recorder.config_class, {"model_type": self.space.model_type}) or {}
            usual = sorted(set(map(str, whole.get(name) or [])))
            if len(usual) > 1:
                yield [usual[at % len(usual)] for at in range(len(value))]
        elif value is None:
            if "bool" in field.kinds:
                yield True
            if "float" in field.kinds:
                yield 0.5
            if "int" in field.kinds:
                yield from (8, 64)

    def _try_setting(self, change: Raw) -> None:
        trial = self.tried({**self.space.start, **change})
        if trial is None:
            return
        self.flips.append(change)
        changed = [k for k, v in trial.config.items() if likeness(v) != likeness(self.start.config.get(k))]
        same = trial.graph == self.start.graph and trial.held <= self.start.held
        for key in changed:
            if same and key in self.idle:
                self.idle[key] = [*self.idle[key], likeness(trial.config[key])]
            elif not same:
                self.asked.add(key)
        if same:
            self.set_aside.append(trial)
            self.trials = [one for one in self.trials if one is not trial]
            return
        self.telling.append(change)
        if not changed:
            self.drawn += [name for name in change if name not in self.drawn and name in self.space.fields]

    def _turn_conditions(self) -> None:
        """Configs in which a comparison of sizes comes out otherwise than in the default one."""
        seen = {text for trial in self.trials for text in trial.held}
        for text in sorted(self.start.held):
            condition = json.loads(text)
            turned = json.dumps(condition[1] if condition[0] == "not" else ["not", condition])
            change = None if turned in seen else next(self._turning(condition), None)
            if change is not None:
                self.telling.append(change)

    def _turning(self, condition: Any) -> Iterator[Raw]:
        names = [name for name in named(condition) if name in self.drawn and type(self.start.names[name]) is int]
        for name in sorted(names):
            size = self.start.names[name]
            for value in (size // 2, size // 4, size * 2, size + 1, 1, 0, *(self.start.names[one] for one in names)):
                change = {name: value}
                config = resolved(self.recorder.config_class, {**self.space.start, **change})
                if (
                    config is not None
                    and not _holds(condition, flat(config))
                    and self.tried({**self.space.start, **change}) is not None
                ):
                    yield change

    def _pair(self) -> None:
        """Two settings at once, or a setting where a comparison comes out otherwise; activations are no such.

        What a class takes without listing it comes first, for published configs have it; padding comes last, which
        mostly serves any other setting (`flow_free`).
        """
        plain = [one for one in self.telling if not any(map(_no_pair, one.values()))]
        plain.sort(key=lambda one: (PADDING in one, not one.keys() & self.space.unlisted.keys()))
        pairs = [(one, other) for one, other in combinations(plain, 2) if not one.keys() & other.keys()]
        pairs.sort(key=lambda pair: PADDING in pair[1])
        for one, other in pairs[:MOST_PAIRS]:
            self.tried({**self.space.start, **one, **other})

    def _neighbours(self, count: int) -> Iterator[Raw]:
        for _ in range(count):
            yield self._neighbour(self.draw.choice(self.trials).raw, self.draw.choice((1, 2, 3, 4)))

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

    def _top_up(self) -> None:
        """Enough trials of every path, and integers that lost their names in as many sizes."""
        for group in grouped(self.trials, self.asked)[:MOST_GROUPS]:
            if len(self.trials) < MOST_TRIALS and not group.deepens and self.recorder.layered:
                for depth in range(1, SHALLOW + 2):
                    depths = [_always(depth), _always(depth % (SHALLOW + 1) + 1)]
                    self._add(group, self._at_depth(group.trials[0].raw, depths))
            for _ in range(TRIES if len(self.trials) < MOST_TRIALS else 0):
                if len(group.trials) >= (MIXED if group.mixed else EACH) and group.varies and group.deepens:
                    break
                raw = self._shallow(self._more_of(group))
                if self._of(group, raw):
                    self._add(group, raw)

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

    def _of(self, group: Group, raw: Raw) -> bool:
        """Whether a config seems to be of this path, before its forward is recorded."""
        config = resolved(self.recorder.config_class, raw)
        if config is None:
            return False
        names = flat(config)
        return any(all(_holds(json.loads(text), names) for text in held) for held in group.held)

    def _learnt(self) -> dict[str, Any]:
        self.own = Pool()
        found: list[tuple[Group, dict[str, Any], dict[str, Any]]] = []
        unlearnt = ""
        for group in grouped(self.trials, self.asked):
            for part, pinned in ((group, {}), group.of_one_path(set(self.drawn))):
                if len(part.trials) < 2 or not part.deepens:
                    continue
                try:
                    found.append((part, {**part.variant(self.own), "within": {}}, pinned))
                    break
                except Unlearnt as why:
                    unlearnt = str(why)
        if not found:
            raise Failed(f"not learnt: {unlearnt}")
        untagged = set[str]().union(*(group.untagged for group, _, _ in found))
        drawn = set(self.drawn)
        variants = [
            {**variant, "fixed": {**group.fixed(untagged, drawn), **pinned}} for group, variant, pinned in found
        ]
        numbers = [
            name for name, value in self.start.config.items() if type(value) is int and not name.endswith(TOKENS)
        ]
        positive = [n for n in numbers if all(type(t.names.get(n)) is not int or t.names[n] > 0 for t in self.trials)]
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
        for raw in [{"model_type": self.space.model_type, **self.needed}, *self._of_each(), *self._neighbours(FRESH)]:
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
            self.tried({**self._at_depth(self.space.start, [_always(depth)]), **kinds})
            for name in [name for name, value in kinds.items() if _above_one(value)]:
                self.tried({**self._at_depth(self.space.start, [_always(depth)]), **kinds, name: 2})
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


def needed_of(space: Space) -> Raw:
    """How many experts are asked, where that is null by default, and widths that grouped products take."""
    fields = space.fields.items()
    nulls = [name for name, field in fields if field.default is None and "int" in field.kinds]
    widths = {name: field.default for name, field in fields if "intermediate_size" in name}
    return {name: 1 for name in nulls if any(word in name for word in ("expert", "topk", "group"))} | {
        name: width - width % ALIGNED for name, width in widths.items() if type(width) is int and width % ALIGNED
    }


def with_all_experts(space: Space) -> Raw:
    """The config to start from, but for its few experts: groups of them may be too small to choose from."""
    return {name: value for name, value in space.start.items() if "expert" not in name}


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


def _no_pair(value: Any) -> bool:
    return isinstance(value, dict) or (isinstance(value, str) and value in ACTIVATIONS)


def _above_one(value: Any) -> bool:
    return type(value) is int and value > 1


def _holds(condition: Any, names: dict[str, Any]) -> bool:
    try:
        return holds(condition, names)
    except NotCovered:
        return True
