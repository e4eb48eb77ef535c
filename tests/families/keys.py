"""Keys of a config that a class does not list: other names of fields, and what configs of older releases still have."""

from __future__ import annotations

import re
from collections.abc import Iterator
from itertools import product
from typing import Any

from tests.families.explore import Explorer, Trial
from tests.families.live import resolved
from tests.families.space import ROPE_NAMES, START_LAYERS, Raw, Space


def aliases_of(space: Space, fields: set[str]) -> dict[str, str]:
    """Other names of fields: what is given by one of them is set by `PreTrainedConfig.__setattr__`.

    That is after the class worked out what depends on the field: names under which this makes another config are none.
    """
    pairs = [pair for old, new in space.config_class.attribute_map.items() for pair in ((old, new), (new, old))]
    named = [(one, other) for one, other in pairs if other in fields and one not in fields]
    return {one: other for one, other in named if _means_the_same(space, one, other)}


def _means_the_same(space: Space, alias: str, field: str) -> bool:
    """Whether it does so in the config to start from, and in each with another answer to a yes or no."""
    default = space.value(space.start, field)
    if type(default) is not int:
        return True
    flags = [name for name in space.fields if type(space.value(space.start, name)) is bool]
    others = [space.start, *({**space.start, name: not space.value(space.start, name)} for name in flags)]
    for raw, value in product(others, [value for value in (2 * default, default // 2) if value]):
        one, other = (resolved(space.config_class, {**raw, name: value}) for name in (alias, field))
        if one != other:
            return False
    return True


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
    return {name: int(True in _stays(explorer, name)) for name in explorer.space.unlisted}


def kept_at_times(explorer: Explorer) -> set[str]:
    """Fields that the class does not list and that stay in its config beside some values of others alone."""
    return {name for name in explorer.space.unlisted if len(_stays(explorer, name)) > 1}


def _stays(explorer: Explorer, name: str) -> set[bool]:
    """Whether the field is in the configs that were made with it."""
    space = explorer.space
    told = [(t.raw[name], t.config) for t in explorer.trials if name in t.raw]
    values = [value for value, _ in told] + explorer.fine.get(name, [])
    lists = {other: part for other, fine in explorer.fine.items() for part in fine if isinstance(part, list) and part}
    beside = [{}, *({other: part} for other, part in lists.items() if other != name)]
    for value, other in product(values, beside):
        told.append((value, resolved(space.config_class, {**space.start, **other, name: value})))
    return {config.get(name) == value for value, config in told if config is not None}


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
