"""What a table says of the values of each field: which may stand there, from what an explorer tried."""

from __future__ import annotations

import json
from typing import Any

from tests.families.explore import JUNK_TEXT, LARGE, Explorer
from tests.families.space import START_LAYERS, Field

SIZES = 3


def domains(explorer: Explorer) -> dict[str, Any]:
    """What may stand in each field, from what was tried (see `resolved.admits`)."""
    return {name: _domain(explorer, field) for name, field in explorer.space.fields.items() if name != "num_labels"}


def layer_lists(explorer: Explorer) -> list[Any]:
    """A demand for each list of names that changes nothing: it has an entry for each layer; and for lists of
    numbers that the class makes itself of that length."""
    space = explorer.space
    deep = [name for name in space.fields if space.layered(name) and space.start.get(name) == START_LAYERS]
    made = explorer.trials[0].config or {}
    found = []
    for name, field in space.fields.items():
        values = [v for v in explorer.fine.get(name, []) if isinstance(v, list) and v]
        own = made.get(name) if field.default is None else None
        texts = [v for v in values if isinstance(v[0], str)]
        numbers = values and isinstance(own, list) and len(own) == START_LAYERS
        if name not in explorer.active and deep and (numbers or (texts and ["a", "b"] not in texts)):
            found.append(["=", f"len({name})", deep[0]])
    return found


def _domain(explorer: Explorer, field: Field) -> dict[str, Any]:
    active = field.name in explorer.active
    seen = [] if field.default is None and field.name in explorer.space.unlisted else [field.default]
    told = [(t.raw[field.name], t.parts.values()) for t in explorer.trials if field.name in t.raw]
    seen += [value for value, parts in told if value is not None or None not in parts]  # a class may ask for it
    refused = [json.dumps(value) for value in explorer.refused.get(field.name, [])]
    fine = [value for value in explorer.fine.get(field.name, []) if json.dumps(value) not in refused]
    seen += [value for value in fine if not active or (isinstance(value, list) and value and isinstance(value[0], str))]
    disowned = explorer.disowned.get(field.name, [])
    return _domain_of([one for one in seen if one not in disowned], active)


def _domain_of(seen: list[Any], active: bool) -> dict[str, Any]:
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
            sized = active and kind == "int" and len(set(values)) >= SIZES
            domain[kind] = [min([1] * sized + values), None if free else max(values)]
        elif kind == "str":
            domain[kind] = True if JUNK_TEXT in values and not active else sorted(set(values) - {JUNK_TEXT})
        elif kind == "list":
            domain[kind] = _lists(values, active)
        elif not active:
            domain[kind] = {"a": 1} in values
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
    return [_domain_of(entries, active)]
