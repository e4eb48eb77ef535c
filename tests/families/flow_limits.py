"""What a table may not speak of: configs that were learnt from and still come out wrong, and all that are like them.

A path that is right for ordinary sizes is worth more than none. So the config that came out wrong is led back to the
default one, field by field, as long as it stays wrong; what is left names the sizes, the value or the path to refuse.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

from adaptlint.bases.resolved import flat
from adaptlint.dataflow.shipped import asked_of, covers, likeness, names_of, rope_numbers
from tests.families.flow_trials import Raw, Trial

ALIGNED = 8
"""What torch's grouped products ask of sizes, in numbers of two bytes."""
EACH_MODEL_HAS = ("vocab", "hidden_size", "embd", "d_model", "intermediate", "ffn_dim", "head", "layer", "position")
"""Words in the names of sizes that differ from model to model; others are refused but for the usual size."""

Entry = dict[str, Any]
Fault = Callable[[Entry, Raw], str | None]


class NothingLeft(Exception):
    """The default config itself comes out wrong; the text says how."""


class Limits:
    """Takes out of one class's entry what `fault` finds wrong.

    The default config has other numbers in the fields of `apart` than the one that learning started from, and is to
    stay covered: they are not bound.
    """

    def __init__(
        self,
        start: Trial,
        trials: list[Trial],
        base: Callable[[Raw], Any],
        fault: Fault,
        apart: frozenset[str] = frozenset(),
    ) -> None:
        self.start = start
        self.trials = trials
        self.base = base
        self.fault = fault
        self.apart = apart

    def restrict(self, entry: Entry, raw: Raw) -> None:
        """Refuse what is wrong about this config. Raises NothingLeft."""
        if not self.fault(entry, raw):
            return
        raw = self._led_back(entry, raw)
        variant = self._variant(entry, raw)
        if variant is None:
            return
        usual = variant is self._variant(entry, self.start.raw)
        changed = [name for name in raw if raw[name] != self.start.raw.get(name, self._default(name))]
        numbers = [name for name in changed if type(self._default(name)) is int and type(raw[name]) is int]
        settings = [name for name in changed if name not in numbers]
        sizes = [name for name in numbers if name not in self.apart]
        if sizes:
            self._bound(entry, variant, sizes, raw)
        elif usual and settings:
            self._refuse(entry, settings, raw)
        elif usual:
            raise NothingLeft(str(self.fault(entry, raw)))
        if self.fault(entry, raw):
            if usual:
                raise NothingLeft(f"{self.fault(entry, raw)} under {json.dumps(raw)}")
            entry["variants"] = [one for one in entry["variants"] if one is not variant]

    def _default(self, name: str) -> Any:
        return flat(self.start.config).get(name, self.start.names.get(name))

    def _led_back(self, entry: Entry, raw: Raw) -> Raw:
        """The config with as many fields as the default one has, and still wrong."""
        for name in sorted(raw, key=lambda one: not _ordinary(one)):
            less = {key: value for key, value in raw.items() if key != name}
            if name in self.start.raw:
                less[name] = self.start.raw[name]
            if less != raw and self.fault(entry, less):
                raw = less
        return raw

    def _variant(self, entry: Entry, raw: Raw) -> Entry | None:
        base = self.base(raw)
        if base is None:
            return None
        config = asked_of(base.resolved_config, base.config, entry["rope"])
        names = names_of(config, base.resolved_config, rope_numbers(entry["rope"], base.config))
        return next((one for one in entry["variants"] if covers(entry, one, config, names)), None)

    def _bound(self, entry: Entry, variant: Entry, sizes: list[str], raw: Raw) -> None:
        """Bound the first size that helps, rare ones before those that differ from model to model."""
        for name in sorted(sizes, key=lambda one: (_ordinary(one), one)):
            before = dict(variant["fixed"]), dict(variant["within"])
            self._bound_by(variant, name, raw)
            if not self.fault(entry, raw):
                self._align_all(entry, variant, name)
                return
            variant["fixed"], variant["within"] = before

    def _align_all(self, entry: Entry, variant: Entry, name: str) -> None:
        """What has to be a multiple on one path has to be one on all."""
        if variant["within"].get(name, (None, None, 1))[2] == ALIGNED:
            for one in entry["variants"]:
                one["within"][name] = [*one["within"].get(name, (None, None, 1))[:2], ALIGNED]

    def _bound_by(self, variant: Entry, name: str, raw: Raw) -> None:
        wrong, usual = raw[name], self._default(name)
        if not _ordinary(name):
            variant["fixed"][name] = usual
            return
        least, most, step = variant["within"].get(name, (None, None, 1))
        found = {trial.names.get(name) for trial in self.trials}
        seen = sorted({value for value in found if type(value) is int} | {usual})
        if usual % ALIGNED == 0 and wrong % ALIGNED:
            step = ALIGNED
        elif wrong < usual:
            least = min(value for value in seen if value > wrong)
        else:
            most = max(value for value in seen if value < wrong)
        variant["within"][name] = [least, most, step]

    def _refuse(self, entry: Entry, settings: list[str], raw: Raw) -> None:
        """No value of this likeness, and of no other than the default where it was not tried."""
        base = self.base(raw)
        config = asked_of(base.resolved_config, base.config, entry["rope"])
        for key, value in config.items():
            like = likeness(value)
            usual = likeness(self.start.config.get(key))
            if key in entry["idle"] and like != usual and like in entry["idle"][key]:
                entry["idle"][key] = [one for one in entry["idle"][key] if one != like]


def _ordinary(name: str) -> bool:
    return any(word in name for word in EACH_MODEL_HAS)
