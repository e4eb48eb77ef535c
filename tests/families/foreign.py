"""Names that are no fields of a class: values of them that change nothing but the config's own text."""

from __future__ import annotations

from typing import Any

from tests.families.explore import JUNK_TEXT, Explorer, Trial
from tests.families.live import resolved

HARMLESS: tuple[Any, ...] = (False, True, None, 0, 1, 0.25, "")
"""What keys that are no fields are tried with one by one, where not every value of a kind is the same."""
FOREIGN: tuple[Any, ...] = (7, True, 0.5, JUNK_TEXT, None, [3, 1], {"a": 1})


def foreign_kinds(explorer: Explorer, names: list[str]) -> dict[str, list[str]]:
    """For names that are no fields: the kinds of values that change nothing but the config's own text."""
    base, kinds = explorer.trials[0], dict[str, list[str]]()
    left = [name for name in names if name.isidentifier() and name not in explorer.space.fields]
    for value in FOREIGN:
        batch = [n for n in left if resolved(explorer.space.config_class, {**base.raw, n: value}) is not None]
        kind = "null" if value is None else type(value).__name__
        inert = _inert(explorer, base, batch, value, None)
        for name in inert:
            kinds.setdefault(name, []).append(kind)
        left = [name for name in left if name in inert or name not in batch]
    return {name: found for name, found in kinds.items() if name in left}


def harmless(explorer: Explorer, names: list[str]) -> dict[str, list[Any]]:
    """For names that are no fields: the values of HARMLESS that change nothing but the config's own text."""
    base, found = explorer.trials[0], dict[str, list[Any]]()
    tested = [name for name in names if name.isidentifier() and name not in explorer.space.fields]
    for value in HARMLESS:
        batch = [n for n in tested if resolved(explorer.space.config_class, {**base.raw, n: value}) is not None]
        for name in _inert(explorer, base, batch, value, None):
            found.setdefault(name, []).append(value)
    return found


def _inert(explorer: Explorer, base: Trial, batch: list[str], value: Any, classes: list[str] | None) -> list[str]:
    if not batch:
        return []
    trial = explorer.tried({**base.raw, **dict.fromkeys(batch, value)}, classes)
    kept = trial.config is not None and {**(base.config or {}), **dict.fromkeys(batch, value)} == trial.config
    if kept and not explorer.unlike(trial, base):
        return batch
    if len(batch) == 1:
        return []
    middle = len(batch) // 2
    some = explorer.unlike(trial, base)[:1] or explorer.classes[:1]
    found = [n for part in (batch[:middle], batch[middle:]) for n in _inert(explorer, base, part, value, some)]
    return _inert(explorer, base, found, value, None) if classes is None and len(found) < len(batch) else found
