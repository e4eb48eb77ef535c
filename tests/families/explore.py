"""What the fields of a config do: values that change nothing, values that are refused, and configs that can be built."""

from __future__ import annotations

import json
import random
from typing import Any

from adaptlint.bases.base import BaseProblem
from tests.families.live import built, learnable, resolved
from tests.families.space import ACTIVATIONS, LAYER_TYPES, Field, Raw, Space

LARGE = 1_000_000
JUNK_TEXT = "zzz"
STEPS = 5


class Trial:
    """A config with what its classes made of it: `parts` by class, None where the class could not be built."""

    __slots__ = ("config", "parts", "raw")

    def __init__(self, raw: Raw, config: Raw | None, parts: dict[str, Any]) -> None:
        self.raw = raw
        self.config = config
        self.parts = parts


class Explorer:
    """Builds the classes of one model type under configs that it draws."""

    def __init__(self, space: Space, classes: list[str], seed: int) -> None:
        self.space = space
        self.classes = classes
        self.draw = random.Random(f"{space.model_type} {seed}")
        self.active: set[str] = set()
        self.fine: dict[str, list[Any]] = {}
        self.refused: dict[str, list[Any]] = {}
        self.trials: list[Trial] = []
        self.refusals: list[Trial] = []

    def tried(self, raw: Raw, classes: list[str] | None = None) -> Trial:
        """Build the classes under this config."""
        config = resolved(self.space.config_class, raw)
        parts: dict[str, Any] = {}
        for name in self.classes if classes is None else classes:
            record = BaseProblem("") if config is None else built(raw, name)
            told = None if isinstance(record, BaseProblem) or config is None else learnable(record, config)
            parts[name] = told
        return Trial(raw, config, parts)

    def explore_fields(self) -> None:
        """Sort every field's probes: nothing changes, something changes (the field is active), refused."""
        probes = {name: self._probes(field) for name, field in self.space.fields.items()}
        base = self.tried(self.space.start)
        self.trials.append(base)
        for turn in range(max(map(len, probes.values()))):
            batch = [(name, values[turn]) for name, values in probes.items() if turn < len(values)]
            batch = [(name, value) for name, value in batch if self._accepted(name, value)]
            self._sort(base, [pair for pair in batch if pair[0] not in self.active])

    def _accepted(self, name: str, value: Any) -> bool:
        if resolved(self.space.config_class, {**self.space.start, name: value}) is None:
            self.refused.setdefault(name, []).append(value)
            return False
        return True

    def _sort(self, base: Trial, batch: list[tuple[str, Any]]) -> None:
        """Halve the batch until each part either changes nothing or is one field."""
        if not batch:
            return
        trial = self.tried({**base.raw, **dict(batch)})
        if self._equal(trial, base):
            for name, value in batch:
                self.fine.setdefault(name, []).append(value)
            return
        if len(batch) == 1:
            name, value = batch[0]
            if trial.config is None or any(trial.parts[c] is None for c in self.classes if base.parts[c] is not None):
                self.refused.setdefault(name, []).append(value)
                self.refusals.append(trial)
            else:
                self.active.add(name)
                self.trials.append(trial)
            return
        middle = len(batch) // 2
        self._sort(base, batch[:middle])
        self._sort(base, batch[middle:])

    def _equal(self, one: Trial, other: Trial) -> bool:
        return all(
            (one.parts[name] is None) == (other.parts[name] is None)
            and (one.parts[name] is None or _text(one.parts[name][0]) == _text(other.parts[name][0]))
            for name in self.classes
        )

    def _probes(self, field: Field) -> list[Any]:
        """Values to put in a field, the telling ones first, default apart."""
        value, kinds = field.default, set(field.kinds)
        found: list[Any] = []
        if type(value) is bool or "bool" in kinds:
            found += [not value, False, True] if type(value) is bool else [True, False]
        if type(value) is int:
            found += [value * 2, value + 1]
        if "int" in kinds or type(value) is int:
            found += [1, 0, -1, LARGE]
        if "float" in kinds or type(value) is float:
            found += [0.5, 0.0, 1.0, float(LARGE), -1.0, 1, 0, LARGE]
        if isinstance(value, str) or "str" in kinds:
            found += [*field.options, JUNK_TEXT]
        if isinstance(value, list) and value:
            changed = value[0] * 2 if type(value[0]) is int else not value[0] if type(value[0]) is bool else value[0]
            found += [[changed, *value[1:]]]
        if "list" in kinds or isinstance(value, list):
            found += [[], [3, 1], ["a", "b"]]
        if "dict" in kinds or isinstance(value, dict):
            found += [{"a": 1}]
        if "null" in kinds and value is not None:
            found.append(None)
        unlike = {json.dumps(probe): probe for probe in found if json.dumps(probe) != json.dumps(value)}
        return list(unlike.values())[:24]

    def walk(self, wanted: int, names: list[str], side_every: int = 1) -> None:
        """Go from one config that can be built to the next until `wanted` more were found."""
        here, found, turns = self.trials[0], 0, 0
        while found < wanted and turns < wanted * 4:
            turns += 1
            if self.draw.random() < 0.06:
                here = self.draw.choice(self.trials)
            raw = self.space.moved(here.raw, self.draw, names, self.draw.choice((1, 1, 2, 3)))
            classes = self.classes if turns % side_every == 0 else self.classes[:2]
            trial = self.tried(raw, classes)
            if all(part is None for part in trial.parts.values()):
                self.refusals.append(trial)
                continue
            if any(part is None for part in trial.parts.values()):
                self.refusals.append(trial)
            self.trials.append(trial)
            here, found = trial, found + 1

    def domains(self) -> dict[str, Any]:
        """What may stand in each field, from what was tried (see `resolved.admits`)."""
        return {name: self._domain(field) for name, field in self.space.fields.items() if name != "num_labels"}

    def _domain(self, field: Field) -> dict[str, Any]:
        active = field.name in self.active
        seen = [field.default]
        seen += [t.raw[field.name] for t in self.trials if field.name in t.raw]
        seen += [] if active else self.fine.get(field.name, [])
        return _domain_of(seen, active, self.refused.get(field.name, []))


def _domain_of(seen: list[Any], active: bool, refused: list[Any]) -> dict[str, Any]:
    domain: dict[str, Any] = {}
    by_kind: dict[str, list[Any]] = {}
    for value in seen:
        by_kind.setdefault("null" if value is None else type(value).__name__, []).append(value)
    for kind, values in by_kind.items():
        if kind == "null":
            domain[kind] = 1
        elif kind == "bool":
            domain[kind] = sorted(set(values))
        elif kind in ("int", "float"):
            free = (active and kind == "int") or any(value >= LARGE for value in values)
            domain[kind] = [min(values), None if free else max(values)]
        elif kind == "str":
            domain[kind] = True if JUNK_TEXT in values and not active else sorted(set(values) - {JUNK_TEXT})
        elif kind == "list":
            domain[kind] = _lists(values, active)
        elif not active:
            domain[kind] = True if {"a": 1} in values else False
    return {kind: known for kind, known in domain.items() if known is not False}


def _lists(values: list[Any], active: bool) -> Any:
    entries = [entry for value in values for entry in value]
    if any(isinstance(entry, dict | list) for entry in entries):
        return [list(value) for value in {json.dumps(v): v for v in values}.values()]
    if not active and [3, 1] in values:
        known: dict[str, Any] = {"int": [0, None], "float": [0.0, None]}
        return [{**known, "str": True} if ["a", "b"] in values else known]
    if not active and ["a", "b"] in values:
        return [{"str": True}]
    return [_domain_of(entries, active, [])]


def _text(parts: Any) -> str:
    return json.dumps(parts)


__all__ = ["ACTIVATIONS", "LAYER_TYPES", "Explorer", "Trial"]
