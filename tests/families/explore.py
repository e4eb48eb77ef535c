"""What the fields of a config do: values that change nothing, values that are refused, configs that can be built."""

from __future__ import annotations

import json
import random
from typing import Any

from adaptlint.bases.base import BaseProblem
from tests.families.live import built, learnable, resolved
from tests.families.space import ACTIVATIONS, LAYER_TYPES, MOST_COUNTED, PADDING, START_LAYERS, Field, Raw, Space

LARGE = 1_000_000
JUNK_TEXT = "zzz"
FEW_OPTIONS = 4
NARROW = 3
NO_WIDTHS = ("vocab", "position", "image", "patch", "kernel")


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
        self.disowned: dict[str, list[Any]] = {}
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
        for name in sorted(self.active):
            self._build_each(name)
        for part in (2, 4, 8, 16, 32, 64):
            self._keep(self.tried(self._smaller(part)))
        self._build_sizes(base)

    def _build_sizes(self, base: Trial) -> None:
        """Build with sizes too small for anything, and with such that are like another."""
        sizes = [n for n in sorted(self.active) if type(self.space.value(base.raw, n)) is int and self.space.sized(n)]
        for name in sizes:
            self._keep(self.tried({**base.raw, name: NARROW}, self.classes[:2]))
            for other in sizes:  # a projection between two widths may be left out where they are one
                if _are_widths(name, other) and self.space.value(base.raw, name) != self.space.value(base.raw, other):
                    self._keep(self.tried({**base.raw, name: self.space.value(base.raw, other)}))
            if PADDING in self.space.fields:  # the row that it takes may be one of this many
                self._keep(self.tried({**base.raw, PADDING: self.space.value(base.raw, name)}, self.classes[:2]))

    def wake(self, name: str) -> None:
        """Take a field for one that counts after all."""
        if name not in self.active:
            self.active.add(name)
            self._build_each(name)

    def _build_each(self, name: str) -> None:
        """Build with each of the few values that a field may have."""
        for turn, value in enumerate(self._probes(self.space.fields[name])):
            raw = {**self.space.start, name: value}
            if value is None or isinstance(value, bool) or value in (0, 1, 2):
                self._keep(self.tried(raw))
            elif isinstance(value, str):
                self._keep(self.tried(raw, in_turn(self.classes, turn)))

    def unmask(self, trials: list[Trial]) -> bool:
        """Find fields that do nothing in the config to start from but something in others; whether there were any."""
        before = set(self.active)
        deep = [name for name in self.space.fields if self.space.layered(name)]
        for turn, trial in enumerate(trials):
            names = [n for n in sorted(self.space.fields) if n not in self.active and self.fine.get(n)]
            pairs = [(name, self.draw.choice(self.fine[name])) for name in names]
            if any(self.space.value(trial.raw, name) != self.space.value(self.space.start, name) for name in deep):
                pairs = [(name, value) for name, value in pairs if not isinstance(value, list)]  # of another length
            classes = [name for name in in_turn(self.classes, turn) if trial.parts.get(name) is not None]
            if classes:
                self._unmask(trial, pairs, classes)
        return self.active != before

    def _unmask(self, trial: Trial, pairs: list[tuple[str, Any]], classes: list[str]) -> None:
        if not pairs or not self.unlike(self.tried({**trial.raw, **dict(pairs)}, classes), trial):
            return
        if len(pairs) == 1:
            self.wake(pairs[0][0])
            return
        middle = len(pairs) // 2
        self._unmask(trial, pairs[:middle], classes[:1])
        self._unmask(trial, pairs[middle:], classes[:1])

    def _smaller(self, part: int) -> Raw:
        """The config to start from with every larger size divided by the same number."""
        raw = dict(self.space.start)
        for name in sorted(self.active):
            value = self.space.value(raw, name)
            if type(value) is int and value >= 4 * part and value % part == 0 and not self.space.layered(name):
                raw[name] = value // part
        return raw

    def _keep(self, trial: Trial) -> bool:
        """Put a trial to those that could be built, or to those that could not; one with a size of zero to neither."""
        if trial.config and any(type(v) is int and v == 0 and self.space.sized(k) for k, v in trial.config.items()):
            return False
        if any(part is None for part in trial.parts.values()):
            self.refusals.append(trial)
        if any(part is not None for part in trial.parts.values()):
            self.trials.append(trial)
            return True
        return False

    def _accepted(self, name: str, value: Any) -> bool:
        if resolved(self.space.config_class, {**self.space.start, name: value}) is None:
            self.refused.setdefault(name, []).append(value)
            if type(value) is int and value > 0 and value != LARGE:
                self.refusals.append(self.tried({**self.space.start, name: value}, []))
                if value > 1 and "list" not in self.space.fields[name].kinds:
                    self.active.add(name)  # a size that others must fit
            return False
        return True

    def _sort(self, base: Trial, batch: list[tuple[str, Any]], classes: list[str] | None = None) -> None:
        """Halve the batch until each part either changes nothing or is one field.

        The whole batch is tried on every class, its parts on one that it changed.
        """
        if not batch:
            return
        trial = self.tried({**base.raw, **dict(batch)}, classes)
        unlike = self.unlike(trial, base)
        if not unlike:
            for name, value in batch:
                self.fine.setdefault(name, []).append(value)
        elif len(batch) == 1:
            self._known(self.tried(trial.raw) if classes else trial, base, *batch[0])
        else:
            middle = len(batch) // 2
            self._sort(base, batch[:middle], unlike[:1])
            self._sort(base, batch[middle:], unlike[:1])
            if len(classes or self.classes) > 1:
                left = [
                    pair
                    for pair in batch
                    if pair[0] not in self.active and pair[1] not in self.refused.get(pair[0], [])
                ]
                if self.unlike(self.tried({**base.raw, **dict(left)}, classes), base):
                    self._sort(base, left[: len(left) // 2], classes)
                    self._sort(base, left[len(left) // 2 :], classes)

    def _known(self, trial: Trial, base: Trial, name: str, value: Any) -> None:
        """A value that changes something, or that is refused."""
        if value == -1:  # counted from the end by some classes, refused by others
            self.refused.setdefault(name, []).append(value)
        elif trial.config is None or any(trial.parts[c] is None for c in self.classes if base.parts[c] is not None):
            self.refused.setdefault(name, []).append(value)
            self.refusals.append(trial)
            if type(value) is int and value > 1 and value != LARGE and "list" not in self.space.fields[name].kinds:
                self.active.add(name)
        else:
            self.active.add(name)
            self.trials.append(trial)

    def unlike(self, one: Trial, other: Trial) -> list[str]:
        """The classes of which the two made something else."""
        return [
            name
            for name in one.parts
            if (one.parts[name] is None) != (other.parts[name] is None)
            or (one.parts[name] is not None and _text(one.parts[name][0]) != _text(other.parts[name][0]))
        ]

    def _probes(self, field: Field) -> list[Any]:
        """Values to put in a field, the telling ones first, default apart."""
        value, kinds = self.space.value(self.space.start, field.name), set(field.kinds)
        if field.name in self.space.kept:
            return []
        if field.name == "num_labels":
            return [5]
        found: list[Any] = []
        if type(value) is bool or "bool" in kinds:
            found += [not value, False, True] if type(value) is bool else [True, False]
        if type(value) is int:
            found += [value * 2, value + 1]
        if "int" in kinds or type(value) is int:
            found += [1, 0, -1, LARGE, *([2, MOST_COUNTED] if value is None else [])]
        if "float" in kinds or type(value) is float:
            found += [0.5, 0.0, 1.0, float(LARGE), -1.0, 1, 0, LARGE]
        if isinstance(value, str) or "str" in kinds:
            found += [*field.options, JUNK_TEXT]
        if isinstance(value, list) and value:
            changed = value[0] * 2 if type(value[0]) is int else not value[0] if type(value[0]) is bool else value[0]
            found += [[changed, *value[1:]]]
        if {"list", "str"} <= kinds and 1 < len(field.options) < FEW_OPTIONS:  # words in a list, or parted by bars
            orders = (field.options, field.options[::-1])
            found += [*orders, *map("|".join, orders), *([word] for word in field.options)]
        if "list" in kinds or isinstance(value, list):
            found += [[], [3, 1], [1, 0], ["a", "b"]]
            if "type" in field.name:
                found += [[name] * START_LAYERS for name in LAYER_TYPES]
        if "dict" in kinds or isinstance(value, dict):
            found += [{"a": 1}]
        if "null" in kinds and value is not None:
            found.append(None)
        if self.space.sized(field.name):
            found = [probe for probe in found if type(probe) is bool or probe != 0]
        if self.space.layered(field.name):
            found = [probe for probe in found if probe != LARGE]
        unlike = {json.dumps(probe): probe for probe in found if json.dumps(probe) != json.dumps(value)}
        return list(unlike.values())[:24]

    def walk(self, wanted: int, names: list[str]) -> None:
        """Go from one config that can be built to the next until `wanted` more were found.

        Each is built as the first class and as two others in turn.
        """
        here, found, turns = self.trials[0], 0, 0
        while found < wanted and turns < wanted * 3:
            turns += 1
            if self.draw.random() < 0.06:
                here = self.draw.choice(self.trials)
            raw = self.space.moved(here.raw, self.draw, names, self.draw.choice((1, 1, 2, 3)))
            trial = self.tried(raw, in_turn(self.classes, turns))
            if self._keep(trial):
                here, found = trial, found + 1


def in_turn(classes: list[str], turn: int) -> list[str]:
    """The first class and two of the others, each of them as often."""
    others = classes[1:]
    chosen = {others[(2 * turn + step) % len(others)] for step in range(2)} if others else set()
    return [name for name in classes if name == classes[0] or name in chosen]


def _are_widths(*names: str) -> bool:
    return all(("size" in name or "dim" in name) and not any(word in name for word in NO_WIDTHS) for name in names)


def _text(parts: Any) -> str:
    return json.dumps(parts)


__all__ = ["ACTIVATIONS", "LAYER_TYPES", "Explorer", "Trial"]
