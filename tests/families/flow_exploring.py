"""One class under one backend, looked at: which settings matter, and which comparisons come out otherwise."""

from __future__ import annotations

import json
import random
from collections.abc import Iterator
from itertools import combinations
from typing import Any

from adaptlint.bases.resolved import flat
from adaptlint.bases.templates import NotCovered, holds
from adaptlint.dataflow.shipped import likeness
from tests.families.flow_learning import TOKENS, Pool, named, settings_of
from tests.families.flow_settings import ROPES, needed_of, options, with_all_experts
from tests.families.flow_trials import Raw, Recorder, Refused, Trial
from tests.families.live import resolved
from tests.families.space import ACTIVATIONS, PADDING, Space

EXTRA = {"decoder_start_token_id": 0}
FROM_NOTHING = (64, 16, 1)
LATE = (2, 3)
MOST_PAIRS = 16
ASKED_FOR = ("output_attentions", "output_hidden_states", "return_dict")  # what is returned beside the answer
WIDTHS = ("hidden_size", "n_embd", "d_model", "dim", "embed_dim", "word_embed_proj_dim")
ROUNDS = 5


class Failed(Exception):
    """Why a class has no graphs under a backend."""


class FlowExploration:
    """What the settings of one class do to its forward under one backend, and configs to learn from."""

    def __init__(
        self, space: Space, recorder: Recorder, read: set[str], pool: Pool, known: FlowExploration | None = None
    ) -> None:
        self.space = space
        self.origin = space.start
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
        self.needed: Raw = {}
        self.refused = ""
        self.rounds = ROUNDS
        self.shallow = True
        self.known = known
        self.pool = pool
        self.own = Pool()

    def _start(self) -> None:
        start = self.tried(self.space.start) or self.tried(with_all_experts(self.space)) or self._chosen_start()
        if start is None:
            raise Failed(f"the default config has no forward: {self.refused}")
        self.space.start = start.raw
        late = {name for name in self.recorder.by_index & self.space.fields.keys() if above_one(start.names.get(name))}
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
            found = self.seen[text] = self._recorded(raw)
            if found is not None:
                self.trials.append(found)
        return self.seen[text]

    def _recorded(self, raw: Raw) -> Trial | None:
        """The trial of a config, None if there is none; not kept."""
        try:
            return self.recorder.trial(raw)
        except Refused as why:
            self.refused = str(why)
            return None

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
            for value in options(self.space, name, self.start.config.get(name) if usual is None else usual):
                self._try_setting({name: value})
        for rope in ROPES if self.start.rope else ():
            self._try_setting({"rope_parameters": rope})
        self.explore_keys()
        self._explore_late()
        self.trials += [
            one for one in self.set_aside if settings_of(one, self.asked) != settings_of(self.start, self.asked)
        ]
        self._turn_powers()

    def explore_keys(self) -> None:
        """What keys do that the class reads and does not list: those of configs that were published long ago."""
        names = sorted(self.read - self.start.config.keys() - self.space.fields.keys())
        kept = [name for name in names if name.isidentifier() and not hasattr(self.recorder.config_class, name)]
        for value in (*EXTRA.values(), False, None):
            wanted = [name for name in kept if name in EXTRA] if value == 0 and value is not False else kept
            for name in self._idle_among(wanted, value):
                self.idle.setdefault(name, []).append(likeness(value))

    def _explore_late(self) -> None:
        """What keys do that the class drops, but for configs that say of each layer what these keys are for."""
        made = resolved(self.recorder.config_class, self.space.start) or {}
        lists = {name: made[name] for name in self.space.fields if _words(made.get(name))}
        for name in sorted(self.space.unlisted.keys() - self.start.config.keys()) if lists else []:
            for value in LATE:
                trial = self._recorded({**self.space.start, **lists, name: value})
                if trial is not None and name in trial.config and same_forward(trial, self.start):
                    self.idle[name] = [likeness(value)]

    def _idle_among(self, names: list[str], value: Any) -> list[str]:
        """Of these keys, those with which the forward is the same."""
        if not names:
            return []
        trial = self._recorded({**self.space.start, **dict.fromkeys(names, value)})
        if trial is not None and same_forward(trial, self.start):
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

    def _try_setting(self, change: Raw) -> None:
        trial = self.tried({**self.space.start, **change})
        if trial is None:
            return
        self.flips.append(change)
        changed = [k for k, v in trial.config.items() if likeness(v) != likeness(self.start.config.get(k))]
        same = same_forward(trial, self.start)
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
                self.drawn += [name for name in change if name not in self.drawn]

    def _turning(self, condition: Any) -> Iterator[Raw]:
        zeros = {name for name in self.space.fields if self.start.config.get(name) == 0 and not name.endswith(TOKENS)}
        known = zeros.union(self.drawn)
        names = [name for name in named(condition) if name in known and type(self.start.names[name]) is int]
        for name in sorted(names):
            size = self.start.names[name]
            others = [self.start.names[one] for one in names]
            for value in (size // 2, size // 4, size * 2, size + 1, 1, 0, *others) if size else FROM_NOTHING:
                change = {name: value}
                config = resolved(self.recorder.config_class, {**self.space.start, **change})
                if (
                    config is not None
                    and not may_hold(condition, flat(config))
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

    def _explore_beside(self) -> None:
        """Look at the settings that are idle in the default config beside each change that is not: where one turns a
        branch, the other may be asked after it."""
        for change in list(self.telling):
            beside = [one for one in self.flips if not one.keys() & (change.keys() | self.asked)]
            trial = self.tried({**self.space.start, **change})
            while trial is not None and beside:
                batch = {key: value for one in reversed(beside) for key, value in one.items()}
                self._ask_beside(trial, batch)
                beside = [one for one in beside if any(batch[key] is not value for key, value in one.items())]

    def _ask_beside(self, trial: Trial, batch: Raw) -> None:
        """Halve the batch until each part either changes nothing or is one setting that counts."""
        raw = {**trial.raw, **batch}
        found = self._recorded(raw)
        if found is not None and same_forward(found, trial):
            return
        names = sorted(batch)
        if len(names) > 1:
            for part in (names[: len(names) // 2], names[len(names) // 2 :]):
                self._ask_beside(trial, {name: batch[name] for name in part})
        elif found is not None:
            self.asked |= {k for k, v in found.config.items() if likeness(v) != likeness(trial.config.get(k))}
            self.tried(raw)


def same_forward(one: Trial, other: Trial) -> bool:
    """Whether the first did nothing that the second did not do, and asked nothing else."""
    return one.graph == other.graph and one.held <= other.held


def _no_pair(value: Any) -> bool:
    return isinstance(value, dict) or (isinstance(value, str) and value in ACTIVATIONS)


def _words(value: Any) -> bool:
    return isinstance(value, list) and bool(value) and all(isinstance(part, str) for part in value)


def above_one(value: Any) -> bool:
    return type(value) is int and value > 1


def may_hold(condition: Any, names: dict[str, Any]) -> bool:
    try:
        return holds(condition, names)
    except NotCovered:
        return True
