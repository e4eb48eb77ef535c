"""What a config class makes of a raw config: defaults, labels, rotary settings, a template for each key."""

from __future__ import annotations

import dataclasses
import json
import random
import time
from collections import Counter
from collections.abc import Callable, Iterator
from itertools import chain
from typing import Any

from adaptlint.bases import families
from adaptlint.bases.resolved import ROPE_KEYS, ROPE_NUMBERS, flat, resolve, rope_parameters
from adaptlint.bases.templates import NotCovered
from adaptlint.bases.wanted import buildable
from tests.families.domains import domains, layer_lists
from tests.families.explore import Explorer, Trial
from tests.families.foreign import FOREIGN, foreign_kinds, harmless
from tests.families.keys import MissedNames, aliases_of, each_value, kept_at_times, named_in, taken_of, unlisted_of
from tests.families.learning import Learner
from tests.families.live import auto_tables, classes_of, resolved
from tests.families.samples import Sample, Unlearnt
from tests.families.space import Raw, Space, sources_of

CONFIGS = 1000
CONFIG_TURNS = 6
ALL = len(FOREIGN)
BRANCHING = {"bool", "list", "null"}
"""Kinds of fields that a class asks about before it makes one of another."""
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


class ConfigRecording:
    """The part of a model type's table that is about its config class."""

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
        self.rope_is_told = True
        self.covered: Counter[str] = Counter()
        self.configs: list[tuple[Raw, Raw]] = []
        self.config_draw = random.Random(f"configs {model_type} {seed}")
        self.learner: Learner | None = None

    def mark(self, what: str) -> None:
        """Say when a step was done."""
        if self.verbose:
            print(f"  {time.process_time():.0f} s cpu: {what}", flush=True)

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
            "fields": domains(self.explorer),
            "popped": sorted(popped + ["output_attentions"] * ("output_attentions" not in fields)),
            "aliases": {},
            "read": {},
            "harmless": {},
            "unlisted": {},
            "taken": [],
            "labels": len((self.explorer.trials[0].config or {}).get("id2label") or ()),
            "demands": layer_lists(self.explorer),
            "config": {},
            "untold": [],
            "classes": {},
            "shared": [],
        }
        apart = {"output_attentions", "num_labels", *LABELS, *ROPE_KEYS}
        aliases = aliases_of(self.space, set(fields))
        foreign = read - fields.keys() - set(popped) - apart
        tested = sorted(foreign - set(self.config_class.attribute_map) - set(aliases) - reserved - {"per_layer_config"})
        if self.foreign is None:
            self.foreign = foreign_kinds(self.explorer, tested)
            self.harmless = harmless(self.explorer, [name for name in tested if len(self.foreign.get(name, ())) < ALL])
        table["harmless"] = self.harmless
        table["unlisted"] = unlisted_of(self.explorer)
        table["aliases"] = aliases
        table["sized"] = self._sized()
        table["read"] = {name: self.foreign.get(name, []) for name in sorted(foreign - set(aliases))}
        rope = self._rope()
        if rope is not None:
            table["rope"] = rope
        table["taken"] = taken_of(self.explorer, self.sources, table)
        return table

    def _sized(self) -> list[str]:
        values = self.space.defaults() | (self.explorer.trials[0].config or {})
        return sorted(key for key, value in values.items() if type(value) is int and value and self.space.sized(key))

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
        head = self.config_class.attribute_map.get("head_dim", "head_dim")
        if head != "head_dim":
            known["head"] = head
        if not nested and known["theta"] != default.get("rope_theta"):
            known["default"] = default
        known["kinds"] = [kind for kind in ROPE_NUMBERS if self._rope_works(kind, nested)]
        return {**known, "told": 1} if self.rope_is_told and self._rope_is_told(known) else known

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
            for raw in chain(each_value(self.table, self.space.start), self._config_draws(CONFIGS)):
                config = resolved(self.config_class, raw)
                if config is not None:
                    self.configs.append((raw, config))
        named = [({**self.space.defaults(), **fields_of(raw, self.table)}, config) for raw, config in self.configs]
        return [Sample(flat(inputs), config) for inputs, config in named]

    def _config_draws(self, count: int) -> Iterator[Raw]:
        names = sorted(self.space.fields)
        branching = [name for name in names if self.space.fields[name].kinds & BRANCHING]
        for _ in range(count):
            here, _config = self.config_draw.choice(self.configs)
            some = self.config_draw.choice((names, branching))
            yield self.space.moved(here, self.config_draw, some, self.config_draw.choice((1, 2, 4, 8)))

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


def _names(config_class: Any) -> set[str]:
    return {field.name for field in dataclasses.fields(config_class)}


def fields_of(raw: Raw, table: dict[str, Any]) -> Raw:
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
