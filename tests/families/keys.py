"""Keys of a config that a class does not list: other names of fields, and what configs of older releases still have."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from tests.families.explore import Explorer, Trial
from tests.families.live import resolved
from tests.families.space import ROPE_NAMES, START_LAYERS, Raw


def aliases_of(config_class: Any, fields: set[str]) -> dict[str, str]:
    """Other names of fields: what is given by one of them is set by `PreTrainedConfig.__setattr__`."""
    pairs = [pair for old, new in config_class.attribute_map.items() for pair in ((old, new), (new, old))]
    return {one: other for one, other in pairs if other in fields and one not in fields}


def taken_of(explorer: Explorer, sources: str, table: dict[str, Any]) -> list[str]:
    """The names that the class puts into its rotary settings, where these are told of no config."""
    if "told" in table.get("rope", {"told": 1}):
        return []
    base, found = explorer.trials[0], []
    for name in ROPE_NAMES:
        raws = [{**explorer.space.start, name: value} for value in (0.5, 1.0)]
        trials = [explorer.tried(raw) for raw in raws] if f'"{name}"' in sources else []
        if trials and all(_but_rope(t) == _but_rope(base) and not explorer.unlike(t, base) for t in trials):
            found.append(name)
    return found


def unlisted_of(explorer: Explorer) -> dict[str, int]:
    """Fields that the class does not list; 1 for those that stay in its config, which may depend on another field."""
    space, found = explorer.space, {}
    for name in space.unlisted:
        values = [trial.raw[name] for trial in explorer.trials if name in trial.raw]
        raws = [{**space.start, name: value} for value in [*values, *explorer.fine.get(name, [])]]
        configs = [(raw[name], resolved(space.config_class, raw)) for raw in raws]
        found[name] = int(any(config is not None and config.get(name) == value for value, config in configs))
    return found


def kept_at_times(explorer: Explorer) -> set[str]:
    """Fields that the class does not list and that stay in its config beside some values of others alone."""
    told = [(name, t) for name in explorer.space.unlisted for t in explorer.trials if t.config and name in t.raw]
    stays = [(name, trial.config.get(name) == trial.raw[name]) for name, trial in told if trial.config]
    return {name for name, kept in stays if (name, not kept) in stays}


def each_value(table: dict[str, Any], start: Raw) -> Iterator[Raw]:
    """The config to start from with one field given, once for each kind of value that it may have."""
    for name, domain in table["fields"].items():
        for kind, known in domain.items():
            if kind == "list":
                values = [[part] * START_LAYERS for part in some_of(*next(iter(known[0].items())))] if known else []
            else:
                values = some_of(kind, known)
            yield from ({**start, name: value} for value in values)


def some_of(kind: str, known: Any) -> list[Any]:
    """Values of a part of a field's domain (`resolved.admits`)."""
    if kind == "null":
        return [None]
    if known is True:
        return ["a|b", "c|d|e"] if kind == "str" else []
    if kind in ("int", "float"):
        return [known[0], *([] if known[1] in (None, known[0]) else [known[1]])]
    return list(known) if kind in ("bool", "str") else []


def _but_rope(trial: Trial) -> Raw | None:
    return trial.config and {**trial.config, "rope_parameters": None}
