"""One model type's table in the making: explored, learnt, held against live builds, learnt again."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterator
from typing import Any

from adaptlint.bases import families
from adaptlint.bases.base import BaseProblem
from adaptlint.bases.resolved import flat
from adaptlint.bases.templates import NotCovered
from tests.families.comparing import difference
from tests.families.config_recording import ALL, ConfigRecording, Failed, fields_of
from tests.families.demands import all_hold, breaking, fact, fewest, relations, share_padding, shortest, unique
from tests.families.explore import Trial, in_turn
from tests.families.foreign import harmless
from tests.families.keys import aliases_of, some_of, taken_of
from tests.families.learning import Learner
from tests.families.live import built
from tests.families.samples import Sample, Unlearnt
from tests.families.sharing import Sharing
from tests.families.space import Raw

TRIALS = 56
MORE_TRIALS = 24
ROUNDS = 6
FRESH = 60
MOST_FRESH = 120
"""Where some class was hardly ever covered: one whose sizes have to fit each other in many ways."""
BRANCHES = 2
MOST_WORDS = 4
LEAST_COVERED = 5


class Recording(ConfigRecording):
    """One model type's table in the making."""

    def run(self) -> dict[str, int]:
        """Learn, hold against fresh configs, learn again from what was wrong; the count of configs told by class."""
        explorer = self.explorer
        with self.missed:
            start = explorer.tried(self.space.start)
            if start.config is None:
                raise Failed("the default config is refused")
            for name in [name for name, part in start.parts.items() if part is None]:
                self._drop(name, _problem(self.space.start, name))
            explorer.explore_fields()
            self.mark("explored")
            explorer.unmask(explorer.trials[:])
            explorer.walk(TRIALS, self._walked())
            if explorer.unmask(explorer.trials[-TRIALS::4]):
                explorer.walk(MORE_TRIALS, self._walked())
            self.mark("walked")
            for turn in range(ROUNDS):
                self._learn()
                self.mark("learnt")
                covered, wrong = self._verify()
                self.mark(f"verified {wrong}")
                if not wrong:
                    break
                if turn == ROUNDS - 1:
                    for name, why in wrong.items():
                        self._drop(name, why)
                    self._learn()
                    covered, wrong = self._verify()
                    if wrong:
                        raise Failed(f"wrong on fresh configs: {wrong}")
                else:
                    explorer.walk(MORE_TRIALS, self._walked())
        for name, count in covered.items():
            if count < LEAST_COVERED and name in self.table["classes"]:
                self._drop(name, f"only {count} of {FRESH} fresh configs are covered")
                del self.table["classes"][name]
        if not self.table["classes"]:
            raise Failed("no class is left: " + "; ".join(f"{n}: {w}" for n, w in self.dropped.items()))
        self.table["verified"] = {name: covered[name] for name in self.table["classes"]}
        return dict(self.table["verified"])

    def of_other_keys(self, table: dict[str, Any]) -> None:
        """Put into a table that was learnt before what `HARMLESS` values of keys that are no fields do."""
        for name in self.space.unlisted.keys() - table["fields"].keys():
            del self.space.fields[name], self.space.unlisted[name]
        self.explorer.trials = [self.explorer.tried(self.space.start, list(table["classes"]))]
        self.explorer.classes = list(table["classes"])
        names = [
            name for name, kinds in table["read"].items() if len(kinds) < ALL and not hasattr(self.config_class, name)
        ]
        table["harmless"] = harmless(self.explorer, names)
        table["aliases"] = aliases_of(self.space, set(table["fields"]))
        mapped = {name for pair in self.config_class.attribute_map.items() for name in pair}
        table["read"].update({key: [] for key in mapped - table["fields"].keys() - table["aliases"].keys()})
        table["taken"] = taken_of(self.explorer, self.sources, table)
        table.setdefault("unlisted", {})
        table["sized"] = self._sized()
        share_padding(table)
        self.table = table
        self._learn_config()

    def _walked(self) -> list[str]:
        return sorted({*self.explorer.active, "num_labels"})

    def _drop(self, name: str, why: str) -> None:
        self.dropped[name] = why
        if name in self.explorer.classes:
            self.explorer.classes.remove(name)
        if not self.explorer.classes:
            raise Failed("no class is left: " + "; ".join(f"{n}: {w}" for n, w in self.dropped.items()))

    def _learn(self) -> None:
        self.named, self.learner = {}, None
        self.table = self._head()
        self._learn_config()
        shared = Sharing()
        for trial in self.explorer.trials:
            self._sample(trial)
        for name in list(self.explorer.classes):
            try:
                self.table["classes"][name] = self._learn_class(name)
            except Unlearnt as part:
                self._drop(name, f"not learnt: {part}")
        share_padding(self.table)
        for entry in self.table["classes"].values():
            shared.count(entry["record"])
        for entry in self.table["classes"].values():
            entry["record"] = shared.put(entry["record"])
        self.table["shared"] = shared.templates

    def _learn_class(self, name: str) -> dict[str, Any]:
        told = [trial for trial in self.explorer.trials if trial.parts.get(name) is not None]
        samples = [self._sample(trial).with_value(trial.parts[name]) for trial in told]
        usable = self._usable()
        if self.learner is None or self.learner.usable != usable:
            self.learner = Learner(usable)
        learner = self.learner
        record = learner.learn([s.with_value(s.value[0]) for s in samples], "")
        changes = learner.learn([s.with_value(s.value[1]) for s in samples], ".config")
        return {"record": record, "changes": changes, "demands": self._demands(name, samples, usable)}

    def _names_of(self, trial: Trial) -> dict[str, Any]:
        """The names that templates of this trial's record may use, made as the reader makes them."""
        inputs = {**self.space.defaults(), **fields_of(trial.raw, self.table)}
        config = trial.config or {}
        told = {key: value for key, value in config.items() if key in self.table["config"]}
        count = len(config["id2label"]) if config.get("id2label") is not None else 0
        return {**flat(inputs), **flat(told), "num_labels": count}

    def _sample(self, trial: Trial) -> Sample:
        """The trial's names, made once in each turn: what is known of conditions is known for every class."""
        if id(trial) not in self.named:
            self.named[id(trial)] = Sample(self._names_of(trial), None)
        return self.named[id(trial)]

    def _usable(self) -> list[str]:
        """Names of active fields, and of what the config class makes of fields."""
        roots = {*self.explorer.active, "num_labels"}
        for key, template in self.table["config"].items():
            if isinstance(template, dict | list) and template != {"$": key} and key not in self.space.fields:
                roots.add(key)
        names: dict[str, None] = {}
        for sample in self.named.values():
            names.update(dict.fromkeys(sample.names))
        order = {name: place for place, name in enumerate(names)}
        fitting = [name for name in names if re.split(r"[.]", name.removeprefix("len(").rstrip(")"))[0] in roots]
        return sorted(fitting, key=lambda name: (name.startswith("len("), name.count("."), order[name]))

    def _demands(self, name: str, samples: list[Sample], usable: list[str]) -> list[Any]:
        """Relations that every built config has and some refused one lacks, and the lengths of lists."""
        refused = [
            self._sample(t)
            for t in self.explorer.refusals
            if t.config is None or (name in t.parts and t.parts[name] is None)
        ]
        demands = [c for c in relations(samples, usable) if all_hold(samples, c)]
        lengths = [c for c in demands if c[0] in ("is", "=") and any("len(" in str(part) for part in c[1:])]
        needed = [c for c in demands if any(fact(sample, c) is False for sample in refused)]
        return unique([*shortest(lengths), *fewest([c for c in needed if not self._broken(name, c)], refused)])

    def _broken(self, name: str, condition: Any) -> bool:
        """Whether a config without this relation can be built after all; it is learnt from in the next turn.

        An order of two sizes of which the class makes one itself, so that no draw turns it, is an accident.
        """
        text = json.dumps(condition)
        if text in self.held:
            return not self.held[text]
        self.held[text] = True
        order = condition[1] if condition[0] == "not" else condition
        if order[0] == "<" and any(isinstance(part, str) and part not in self.space.fields for part in order[1:]):
            self.held[text] = False
            return True
        for _ in range(2):
            trial = self.explorer.draw.choice([t for t in self.explorer.trials if t.parts.get(name) is not None])
            for raw in breaking(self.space, trial.raw, condition):
                if self.held[text] and self.explorer.tried(raw, [name]).parts[name] is not None:
                    found = self.explorer.tried(raw)
                    if fact(Sample(self._names_of(found), None), condition) is False:
                        self.explorer._keep(found)
                        self.held[text] = False
        return not self.held[text]

    def _verify(self) -> tuple[dict[str, int], dict[str, str]]:
        """Fresh configs, whose answers are held against live builds: (covered by class, what was wrong by class)."""
        self.covered = covered = Counter(dict.fromkeys(self.table["classes"], 0))
        wrong: dict[str, str] = {}
        names = list(self.table["classes"])
        for turn, raw in enumerate(self._fresh_configs()):
            self.good = None
            for name in in_turn(names, turn) if turn and turn % 5 else names:
                try:
                    ours = families._record(self.table, raw, name)
                except NotCovered as why:
                    self.uncovered[str(why)[:60]] += 1
                    continue
                live = built(raw, name)
                if isinstance(live, BaseProblem):
                    wrong.setdefault(name, f"refused: {live.facts}"[:200])
                    self._refuse_words(raw, name)
                    self._wake_sizes(raw, name)
                    self._learn_from(raw)
                    continue
                fault = difference(self.table, ours, live)
                if fault:
                    wrong.setdefault(name, fault)
                    self.rope_is_told &= "config.rope_parameters" not in fault
                    self._learn_from(raw)
                else:
                    covered[name] += 1
                    self.good = raw
        return dict(covered), wrong

    def _fresh_configs(self) -> Iterator[Raw]:
        """The class's own default config in full, then neighbours of configs that were right, all fields moved."""
        yield {"model_type": self.space.model_type}
        names, active = sorted(self.space.fields), self._walked()
        yield from self._of_each_branch()
        for turn in range(MOST_FRESH):
            if turn >= FRESH and min(self.covered.values()) >= LEAST_COVERED:
                return
            here = self.good if self.good and turn % 6 else self.fresh.choice(self.explorer.trials).raw
            raw = self.space.moved(here, self.fresh, active, self.fresh.choice((1, 2, 3)))
            if turn % 3 == 0:
                raw = self.space.moved(raw, self.fresh, names, 4)
            yield self._renamed(raw) if turn % 4 == 1 else raw

    def _of_each_branch(self) -> Iterator[Raw]:
        """Other sizes where a field is null, or has another of its words: what such a branch makes may be rare."""
        names = [name for name in self.space.fields if type(self.space.value(self.space.start, name)) is int]
        sizes = [name for name in names if self.space.sized(name)]
        for name in sorted(self.explorer.active & self.table["fields"].keys()):
            domain = self.table["fields"][name]
            words = [
                value for kind in ("null", "bool", "str") if kind in domain for value in some_of(kind, domain[kind])
            ]
            for value in [word for word in words if word != self.space.value(self.space.start, name)][:MOST_WORDS]:
                for _ in range(BRANCHES):
                    yield self.space.moved({**self.space.start, name: value}, self.fresh, sizes, 3)

    def _renamed(self, raw: Raw) -> Raw:
        """The same config under the names that the class saves."""
        new = {old: new for new, old in self.table["aliases"].items()}
        return {new.get(key, key): value for key, value in raw.items()}

    def _refuse_words(self, raw: Raw, name: str) -> None:
        """Admit no more what a config is refused for: a null or a word that some other field has to suit."""
        for key in [key for key, value in raw.items() if value is None or isinstance(value, str)]:
            without = {one: value for one, value in raw.items() if one != key}
            if key in self.space.fields and not isinstance(built(without, name), BaseProblem):
                self.explorer.disowned.setdefault(key, []).append(raw[key])

    def _wake_sizes(self, raw: Raw, name: str) -> None:
        """Find the sizes that shape nothing and that another one has to suit, as CTRL's width its number of heads."""
        for key in sorted(self.space.fields.keys() - self.explorer.active - raw.keys()):
            counts = self.space.sized(key) and type(self.space.value(raw, key)) is int
            if counts and not isinstance(built({**raw, key: 1}, name), BaseProblem):
                self.explorer.wake(key)

    def _learn_from(self, raw: Raw) -> None:
        """Add a config that the table was wrong about, and find the fields that were believed to do nothing."""
        explorer = self.explorer
        trial = explorer.tried(raw)
        explorer._keep(trial)
        for name in [n for n in raw if n in self.space.fields and n not in explorer.active and n != "num_labels"]:
            without = {key: value for key, value in raw.items() if key != name}
            if explorer.unlike(explorer.tried(without), trial):
                explorer.wake(name)


def _problem(raw: Raw, name: str) -> str:
    record = built(raw, name)
    if isinstance(record, BaseProblem):
        return str(record.facts.get("message") or record.reason)[:160]
    return "the build takes keys out of the config"
