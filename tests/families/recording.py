"""One model type's table in the making: explored, learnt, held against live builds, learnt again."""

from __future__ import annotations

import dataclasses
import json
import random
import re
import time
from collections import Counter
from collections.abc import Callable, Iterator
from typing import Any

from adaptlint.bases import families
from adaptlint.bases.base import BaseProblem
from adaptlint.bases.resolved import ROPE_KEYS, ROPE_NUMBERS, flat, resolve, rope_parameters
from adaptlint.bases.templates import NotCovered
from adaptlint.bases.wanted import buildable
from tests.families.comparing import difference
from tests.families.demands import all_hold, breaking, fact, fewest, relations, shortest, unique
from tests.families.explore import FOREIGN, Explorer, Trial, in_turn
from tests.families.keys import aliases_of, each_value, kept_at_times, some_of, taken_of, unlisted_of
from tests.families.learning import Learner, Sample, Unlearnt
from tests.families.live import auto_tables, built, classes_of, resolved
from tests.families.sharing import Sharing
from tests.families.space import Raw, Space, sources_of

CONFIGS = 400
CONFIG_TURNS = 6
TRIALS = 56
MORE_TRIALS = 24
ROUNDS = 6
FRESH = 60
MOST_FRESH = 120
"""Where some class was hardly ever covered: one whose sizes have to fit each other in many ways."""
BRANCHES = 2
MOST_WORDS = 4
LEAST_COVERED = 5
ALL = len(FOREIGN)
LABELS = ("id2label", "label2id")
ROPE_SAMPLES: dict[str, dict[str, Any]] = {
    "default": {},
    "linear": {"factor": 2.0},
    "dynamic": {"factor": 4.0},
    "yarn": {"factor": 4.0, "original_max_position_embeddings": 512},
    "llama3": {
        "factor": 8.0,
        "low_freq_factor": 1.0,
        "high_freq_factor": 4.0,
        "original_max_position_embeddings": 8192,
    },
}


class Failed(Exception):
    """Why a model type has no table."""


class Recording:
    """One model type's table in the making."""

    def __init__(self, model_type: str, seed: int, verbose: bool = False) -> None:
        import transformers
        from transformers.models.auto.configuration_auto import CONFIG_MAPPING

        self.verbose = verbose
        self.auto = auto_tables(model_type)
        names = classes_of(self.auto)
        classes = [getattr(transformers, name, None) for name in names]
        if any(cls is None for cls in classes):
            raise Failed("a class that transformers does not export")
        self.config_class = CONFIG_MAPPING[model_type]
        self.sources = sources_of(self.config_class, classes)
        self.space = Space(model_type, self.config_class, self.sources)
        self.explorer = Explorer(self.space, names, seed)
        self.dropped: dict[str, str] = {}
        self.fresh = random.Random(f"fresh {model_type} {seed}")
        self.missed = MissedNames(self.config_class)
        self.table: dict[str, Any] = {}
        self.uncovered: Counter[str] = Counter()
        self.held: dict[str, bool] = {}
        self.foreign: dict[str, list[str]] | None = None
        self.harmless: dict[str, list[Any]] = {}
        self.named: dict[int, Sample] = {}
        self.good: Raw | None = None
        self.covered: Counter[str] = Counter()
        self.configs: list[tuple[Raw, Raw]] = []
        self.config_draw = random.Random(f"configs {model_type} {seed}")
        self.learner: Learner | None = None

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
        table["harmless"] = self.explorer.harmless(names)
        table["aliases"] = aliases_of(self.config_class, set(table["fields"]))
        table["taken"] = taken_of(self.explorer, self.sources, table)
        table.setdefault("unlisted", {})
        self.table = table
        self._learn_config()

    def mark(self, what: str) -> None:
        """Say when a step was done."""
        if self.verbose:
            print(f"  {time.process_time():.0f} s cpu: {what}", flush=True)

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
        for entry in self.table["classes"].values():
            shared.count(entry["record"])
        for entry in self.table["classes"].values():
            entry["record"] = shared.put(entry["record"])
        self.table["shared"] = shared.templates

    def _head(self) -> dict[str, Any]:
        from transformers import GenerationConfig

        from adaptlint.bases.answers import _releases
        from adaptlint.bases.meta_build import import_libraries

        fields = self.space.fields
        popped = [key for key in GenerationConfig._get_default_generation_params() if key not in fields]
        reserved = {name for name in dir(self.config_class) if not name.startswith("__")} - fields.keys()
        read = self.missed.names | named_in(self.sources) | reserved | set(self.config_class.attribute_map)
        read |= set(self.config_class.attribute_map.values()) | {"rope_theta", "rope_scaling", "per_layer_config"}
        table: dict[str, Any] = {
            "format": families.FORMAT,
            "model_type": self.space.model_type,
            "made_with": _releases(import_libraries()),
            "auto": self.auto,
            "defaults": self.space.defaults(),
            "fields": self.explorer.domains(),
            "popped": sorted(popped + ["output_attentions"] * ("output_attentions" not in fields)),
            "aliases": {},
            "read": {},
            "harmless": {},
            "unlisted": {},
            "taken": [],
            "labels": len((self.explorer.trials[0].config or {}).get("id2label") or ()),
            "demands": self.explorer.layer_lists(),
            "config": {},
            "untold": [],
            "classes": {},
            "shared": [],
        }
        apart = {"output_attentions", "num_labels", *LABELS, *ROPE_KEYS}
        aliases = aliases_of(self.config_class, set(fields))
        foreign = read - fields.keys() - set(popped) - apart
        tested = sorted(foreign - set(self.config_class.attribute_map) - set(aliases) - reserved - {"per_layer_config"})
        if self.foreign is None:
            self.foreign = self.explorer.explore_foreign(tested)
            self.harmless = self.explorer.harmless([name for name in tested if len(self.foreign.get(name, ())) < ALL])
        table["harmless"] = self.harmless
        table["unlisted"] = unlisted_of(self.explorer)
        table["aliases"] = aliases
        made = self.explorer.trials[0].config or {}
        counted = [key for key, value in made.items() if type(value) is int and value]
        table["sized"] = sorted(key for key in counted if self.space.sized(key))
        table["read"] = {name: self.foreign.get(name, []) for name in sorted(foreign - set(aliases))}
        rope = self._rope()
        if rope is not None:
            table["rope"] = rope
        table["taken"] = taken_of(self.explorer, self.sources, table)
        return table

    def _rope(self) -> dict[str, Any] | None:
        made = resolved(self.config_class, self.space.start)
        if (
            made is None
            or not isinstance(made.get("rope_parameters"), dict)
            or "rope_parameters" not in _names(self.config_class)
        ):
            return None
        default = made["rope_parameters"]
        nested = [key for key, part in default.items() if isinstance(part, dict)]
        known: dict[str, Any] = {
            "theta": float(self.config_class.default_theta)
            if not isinstance(self.config_class.default_theta, dict)
            else 10000.0,
            "nested": nested,
            "default": {} if not nested else default,
            "kinds": [],
        }
        if not nested and known["theta"] != default.get("rope_theta"):
            known["default"] = default
        known["kinds"] = [kind for kind in ROPE_NUMBERS if self._rope_works(kind, nested)]
        return {**known, "told": 1} if self._rope_is_told(known) else known

    def _rope_works(self, kind: str, nested: list[str]) -> bool:
        value = {"rope_type": kind, **ROPE_SAMPLES[kind]}
        base = self.explorer.trials[0]
        for key in ("rope_parameters", "rope_scaling"):
            whole: Any = dict.fromkeys(nested, value) if nested and key == "rope_parameters" else value
            names = self.explorer.classes[:2]
            trial = self.explorer.tried({**self.space.start, key: whole, "rope_theta": 5000.0}, names)
            if any(trial.parts[name] is None or trial.parts[name][0] != base.parts[name][0] for name in names):
                return False
        return True

    def _rope_is_told(self, known: dict[str, Any]) -> bool:
        told = {**known, "told": 1}
        samples: list[Raw] = [{}, {"rope_theta": 500000.0}, {"rope_theta": 300}, {"partial_rotary_factor": 0.5}]
        for kind in known["kinds"]:
            value = {"rope_type": kind, **ROPE_SAMPLES[kind]}
            samples += [{"rope_scaling": value, "rope_theta": 7.5e5}, {"rope_parameters": {**value, "rope_theta": 5e5}}]
            samples += [{"rope_scaling": {"type": kind, **ROPE_SAMPLES[kind]}}, {"rope_parameters": value}]
        samples.append({"rope_scaling": None, "rope_theta": 2e4})
        for sample in samples:
            raw = {**self.space.start, **sample}
            live = resolved(self.config_class, raw)
            if live is None:
                return False
            try:
                if rope_parameters(told, raw, {**self.space.defaults(), **live}) != live["rope_parameters"]:
                    return False
            except NotCovered:
                return False
        return True

    def _learn_config(self) -> None:
        """A template for every key of `to_dict()`, from configs alone: making one takes a millisecond or two.

        What is wrong on fresh ones is learnt from; a key that stays wrong is left out.
        """
        for turn in range(CONFIG_TURNS):
            self._learn_keys(self._config_samples())
            wrong = self._wrong_keys()
            if not wrong:
                return
            if turn == CONFIG_TURNS - 1:
                for key in wrong:
                    self.table["config"].pop(key, None)
                self.table["untold"] = sorted({*self.table["untold"], *wrong})

    def _learn_keys(self, samples: list[Sample]) -> None:
        self.table["config"], self.table["untold"] = {}, sorted(kept_at_times(self.explorer))
        keys = set.intersection(*(set(sample.value) for sample in samples))
        usable = [name for name in flat(self.space.defaults()) if name not in LABELS]
        usable += [name for name in samples[0].names if name not in usable]
        always = resolved(self.config_class, {"model_type": self.space.model_type}) or {}
        for key in sorted(keys & always.keys() - {*LABELS, *(("rope_parameters",) if "rope" in self.table else ())}):
            column = [sample.with_value(sample.value[key]) for sample in samples]
            try:
                self.table["config"][key] = _with_default(Learner(_near(key, usable)), column, key)
            except Unlearnt:
                self.table["untold"].append(key)

    def _config_samples(self) -> list[Sample]:
        if not self.configs:
            self.configs = [(t.raw, t.config) for t in self.explorer.trials if t.config is not None]
            for raw in [*each_value(self.table, self.space.start), *self._config_draws(CONFIGS)]:
                config = resolved(self.config_class, raw)
                if config is not None:
                    self.configs.append((raw, config))
        named = [({**self.space.defaults(), **_fields(raw, self.table)}, config) for raw, config in self.configs]
        return [Sample(flat(inputs), config) for inputs, config in named]

    def _config_draws(self, count: int) -> Iterator[Raw]:
        names = sorted(self.space.fields)
        for _ in range(count):
            here, _config = self.config_draw.choice(self.configs)
            yield self.space.moved(here, self.config_draw, names, self.config_draw.choice((1, 2, 4, 8)))

    def _wrong_keys(self) -> set[str]:
        """Keys of fresh resolved configs that the table says otherwise; a config that is refused is kept as such."""
        wrong: set[str] = set()
        for raw in list(self._config_draws(CONFIGS)):
            try:
                ours = resolve(self.table, buildable(raw))[1]
            except NotCovered:
                continue
            config = resolved(self.config_class, raw)
            if config is None:
                self.explorer.refusals.append(Trial(raw, None, {}))
                continue
            found = {key for key in self.table["config"] if json.dumps(ours[key]) != json.dumps(config.get(key))}
            wrong |= found
            if found:
                self.configs.append((raw, config))
        return wrong

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
        inputs = {**self.space.defaults(), **_fields(trial.raw, self.table)}
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
        """Whether a config without this relation can be built after all; it is learnt from in the next turn."""
        text = json.dumps(condition)
        if text in self.held:
            return not self.held[text]
        self.held[text] = True
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
                    self._learn_from(raw)
                    continue
                fault = difference(self.table, ours, live)
                if fault:
                    wrong.setdefault(name, fault)
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

    def _learn_from(self, raw: Raw) -> None:
        """Add a config that the table was wrong about, and find the fields that were believed to do nothing."""
        explorer = self.explorer
        trial = explorer.tried(raw)
        explorer._keep(trial)
        for name in [n for n in raw if n in self.space.fields and n not in explorer.active and n != "num_labels"]:
            without = {key: value for key, value in raw.items() if key != name}
            if explorer.unlike(explorer.tried(without), trial):
                explorer.active.add(name)


class MissedNames:
    """Names that transformers asks of a config that lacks them: a file that has them may mean something else."""

    def __init__(self, config_class: Any) -> None:
        self.config_class = config_class
        self.names: set[str] = set()

    def __enter__(self) -> MissedNames:
        def missed(config: Any, name: str) -> Any:
            self.names.add(name)
            raise AttributeError(f"{type(config).__name__!r} object has no attribute {name!r}")

        self.config_class.__getattr__ = missed
        return self

    def __exit__(self, *error: object) -> None:
        del self.config_class.__getattr__


def named_in(sources: str) -> set[str]:
    """Names that a config is asked for in the text of modules, by attribute, getattr, hasattr, get or pop."""
    found = set(re.findall(r"\bconfig\.(\w+)", sources))
    found |= set(re.findall(r"""(?:getattr|hasattr)\(\s*[\w.]*config[\w.]*,\s*["'](\w+)["']""", sources))
    found |= set(re.findall(r"""(?:getattr|hasattr)\(\s*self,\s*["'](\w+)["']""", sources))
    return found | set(re.findall(r"""kwargs(?:\.(?:get|pop|setdefault)\(|\[)\s*["'](\w+)["']""", sources))


def _names(config_class: Any) -> set[str]:
    return {field.name for field in dataclasses.fields(config_class)}


def _fields(raw: Raw, table: dict[str, Any]) -> Raw:
    return {key: value for key, value in raw.items() if key in table["fields"]}


def _with_default(learner: Learner, samples: list[Sample], key: str) -> Any:
    """A template for a key of a resolved config: mostly what is given, or what the class puts for a null or a zero."""
    if all(json.dumps(s.value) == json.dumps(s.names.get(key, "-")) for s in samples):
        return {"$": key}
    absences: dict[str, Callable[[Any], bool]] = {"null": lambda value: value is None, "no": lambda value: not value}
    for kind, absent in absences.items():
        own = [sample for sample in samples if absent(sample.names.get(key))]
        given = [sample for sample in samples if not absent(sample.names.get(key))]
        if own and given and all(json.dumps(s.value) == json.dumps(s.names[key]) for s in given):
            learnt = learner.learn(own, f".{key}")
            return {"$": key} if learnt == {"$": key} else {"$?": [kind, key], "then": learnt, "else": {"$": key}}
    return learner.learn(samples, f".{key}")


def _near(key: str, usable: list[str]) -> list[str]:
    """The names in the order in which they are likely to matter for this key."""
    return sorted(usable, key=lambda name: name.partition(".")[0] != key)


def _problem(raw: Raw, name: str) -> str:
    record = built(raw, name)
    if isinstance(record, BaseProblem):
        return str(record.facts.get("message") or record.reason)[:160]
    return "the build takes keys out of the config"
