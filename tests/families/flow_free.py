"""Settings that change nothing in a graph but how a number in it is said: one variant then serves all their values.

The kind of a rotary embedding is one (the size of its constant comes out of another formula of the same value), whether
there is a padding token another (an embedding is told its number). A table that has them apart needs a variant for each
combination with every other setting; merged, any combination is covered.
"""

from __future__ import annotations

import json
import random
from collections.abc import Callable
from typing import Any

from adaptlint.bases.templates import NotCovered, evaluate
from tests.families.flow_learning import Pool, named
from tests.families.space import PADDING

Entry = dict[str, Any]
FREE = (PADDING, "rope_parameters")
"""The settings that are looked at: what else makes no difference in the variants at hand may make one in others."""
PADDING_ROW = "padding_idx"
DRAWS = 40
LARGEST = 512
SHARES = (0.25, 0.5, 1.0)


class Unlike(Exception):
    """Two variants differ in more than how a number is said."""


def free(entry: Entry, pool: Pool) -> None:
    """Merge the variants of one class that differ in such a setting alone; their templates go into the pool."""
    entry["free"] = {}
    for key, usual in [pair for pair in entry["variants"][0]["settings"].items() if pair[0] in FREE]:
        likes = [one["settings"][key] for one in entry["variants"] if one["settings"].get(key, usual) != usual]
        for like in [json.loads(text) for text in dict.fromkeys(map(json.dumps, likes))]:
            found = _merged(entry["variants"], [key, *entry["free"]], usual, like, pool)
            if found is not None:
                told = entry["free"].setdefault(key, {"usual": usual, "others": []})
                told["others"].append([like, found])
    _say_all(entry, pool)


def _say_all(entry: Entry, pool: Pool) -> None:
    """Choices that merging made, in the variants that had none to be merged with as well."""
    choices: dict[str, dict[str, Any]] = {}
    opened = {n: pool.at(n) for one in entry["variants"] for n in one["templates"].values()}
    for nodes, *_ in opened.values():
        for node in nodes:
            if node[0] == "embedding" and "$?" in str(node[4].get(PADDING_ROW)):
                choices[json.dumps(node[1:3])] = node[4][PADDING_ROW]
    for variant in entry["variants"]:
        for letter, n in variant["templates"].items():
            for node in opened[n][0]:
                known = choices.get(json.dumps(node[1:3]))
                if node[0] == "embedding" and known and node[4][PADDING_ROW] in (None, known["else"]):
                    node[4] = {**node[4], PADDING_ROW: known}
            variant["templates"][letter] = pool.number(opened[n])


def _merged(variants: list[Entry], keys: list[str], usual: Any, like: Any, pool: Pool) -> list[Any] | None:
    """The conditions under which the variants of this likeness are the usual ones, alternatives each; None if they are
    not. Those that are so are taken out of `variants`. `keys`: the setting, and those that are merged already."""
    key = keys[0]
    extra: dict[str, list[Any]] = {}
    merges: list[tuple[Entry, Entry, dict[str, Any]]] = []
    for other in [one for one in variants if one["settings"].get(key) == like]:
        beside = [one for one in variants if one["settings"].get(key) == usual and _rest(one, key) == _rest(other, key)]
        pairs = [(one, _templates(one, other, keys, pool)) for one in beside]
        found = next(((one, made) for one, made in pairs if made is not None), None)
        if beside and found is None:
            return None
        if found is not None:
            merges.append((other, *found))
            known = [json.dumps(condition) for held in found[0]["held"] for condition in held]
            for held in other["held"]:
                own = [condition for condition in held if json.dumps(condition) not in known]
                extra.setdefault(json.dumps(own), own)
    if not merges:
        return None
    for other, one, made in merges:
        again = _templates(one, other, keys, pool) or made
        one["templates"] = {letter: pool.number(template) for letter, template in again.items()}
        variants[:] = [each for each in variants if each is not other]
    alternatives = sorted(extra.values(), key=len)
    return [[]] if not alternatives[0] else alternatives


def _rest(variant: Entry, key: str) -> str:
    settings = {name: like for name, like in variant["settings"].items() if name != key}
    return json.dumps([settings, variant["powers"], variant["fixed"], variant["within"]], sort_keys=True)


def _templates(one: Entry, other: Entry, keys: list[str], pool: Pool) -> dict[str, Any] | None:
    """The templates that serve both, by letter; None where there are none."""
    if one["graph"] != other["graph"] or one["templates"].keys() != other["templates"].keys():
        return None
    try:
        pairs = {letter: (pool.at(n), pool.at(other["templates"][letter])) for letter, n in one["templates"].items()}
        return {letter: _template(left, right, keys) for letter, (left, right) in pairs.items()}
    except Unlike:
        return None


def _template(one: Any, other: Any, keys: list[str]) -> Any:
    if one == other:
        return one
    if not isinstance(one, list) or one[1:] != other[1:]:
        raise Unlike
    return [_each(one[0], other[0], lambda left, right: _node(left, right, keys)), *one[1:]]


def _node(one: Any, other: Any, keys: list[str]) -> Any:
    if one[:3] != other[:3] or one[6:] != other[6:]:
        raise Unlike
    said = [_argument(left, right, keys) for left, right in zip(one[3:5], other[3:5], strict=True)]
    return [*one[:3], *said, _each(one[5], other[5], _shape), *one[6:]]


def _each(one: Any, other: Any, both: Callable[[Any, Any], Any]) -> Any:
    if one == other:
        return one
    if not isinstance(one, list) or not isinstance(other, list) or len(one) != len(other):
        raise Unlike
    return [left if left == right else both(left, right) for left, right in zip(one, other, strict=True)]


def _argument(one: Any, other: Any, keys: list[str]) -> Any:
    """The same argument, or a setting that is null in one of the two."""
    if one == other:
        return one
    for key in keys:
        choice = {"$?": ["null", key], "then": None, "else": {"$": key}}
        if all(value in (None, {"$": key}, choice) for value in (one, other)):
            return choice
    if isinstance(one, dict) and isinstance(other, dict) and one.keys() == other.keys() and "$" not in one:
        return {name: _argument(value, other[name], keys) for name, value in one.items()}
    return _each(one, other, lambda left, right: _argument(left, right, keys))


def _shape(one: Any, other: Any) -> Any:
    return _each(one, other, _same_size)


def _same_size(one: Any, other: Any) -> Any:
    """The first of two formulas that have the same value wherever every number is even, as widths of heads are."""
    left, right = (value["$"] if isinstance(value, dict) and value.keys() == {"$"} else value for value in (one, other))
    draw = random.Random(json.dumps([left, right]))
    told = 0
    for _ in range(DRAWS):
        names = {name: _drawn(name, draw) for name in sorted({*named(left), *named(right)})}
        try:
            if evaluate(left, names) != evaluate(right, names):
                raise Unlike
            told += 1
        except (NotCovered, ZeroDivisionError):
            continue
    if not told:
        raise Unlike
    return one


def _drawn(name: str, draw: random.Random) -> int | float:
    return draw.choice(SHARES) if "factor" in name or "pct" in name else 2 * draw.randint(1, LARGEST)
