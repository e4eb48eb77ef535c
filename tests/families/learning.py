"""A template (adaptlint/bases/templates.py) learnt from samples: names of a config, and the JSON that came of it.

What is equal in all samples is a constant; objects and lists are learnt entry by entry; whole numbers become formulas,
everything else that varies becomes a choice by a condition that tells the samples apart without exception. Nothing is
believed for having been learnt: the recorder holds every table against builds that it has not seen.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import numpy as np

from adaptlint.bases.templates import Filling, NotCovered
from tests.families.conditions import MAX_CASES, MAX_PAIRS, about_index, about_one
from tests.families.lookup import Lookup, Template
from tests.families.numbers import Formulas, fit
from tests.families.samples import (
    Sample,
    Unlearnt,
    entropy,
    kind_label,
    merged_order,
    parents,
    same,
    scalar_label,
    telling,
)

MAX_DEPTH = 5
MOST_FORMULAS = 12
MAX_SPLITS = 2
FEW_VALUES = 4
_DIGITS = re.compile(r"\d+")


class Learner:
    """Learns from samples; only the names in `usable` may stand in formulas and conditions."""

    def __init__(self, usable: Iterable[str]) -> None:
        self.usable = list(usable)
        self.fitted: dict[Any, Any] = {}
        self.formulas: dict[Any, Formulas] = {}
        self.sizes: list[Template] = []  # what other parts of the record have been found to be
        self.learnt: dict[Any, Template] = {}
        self.trees: dict[Any, Template] = {}
        self.entries: dict[tuple[int, int], Sample] = {}
        self.kept: list[Any] = []  # what is remembered by identity must not go away

    def learn(self, samples: Sequence[Sample], path: str = "", depth: int = 0) -> Template:
        """The template that gives every sample's value. Raises Unlearnt."""
        texts = tuple([json.dumps(sample.value) for sample in samples])
        if len(set(texts)) == 1:
            return samples[0].value
        key = (tuple([id(sample.facts) for sample in samples]), texts, depth)
        if key not in self.learnt:
            self.kept.append(samples)
            self.learnt[key] = self._varied(samples, path, depth)
        return self.learnt[key]

    def _varied(self, samples: Sequence[Sample], path: str, depth: int) -> Template:
        above = parents(samples)
        if above is not None:
            return self.learn(above, path, depth)
        named = self._same_as_a_name(samples, path.rpartition(".")[2])
        if named is not None:
            return {"$": named}
        kinds = {type(sample.value) for sample in samples}
        if kinds == {int}:
            return self._number(samples, path, depth)
        if kinds == {dict}:
            return self._object(samples, path, depth)
        if kinds == {list}:
            return self._list(samples, path, depth)
        if kinds == {str} and len({_DIGITS.sub("#", sample.value) for sample in samples}) == 1:
            return self._numbered_text(samples, path, depth)
        label = scalar_label if len(kinds) == 1 else kind_label
        return self._chosen(samples, label, path, depth)

    def _names(self, depth: int) -> list[str]:
        return [f"@{level}" for level in range(depth)] + self.usable

    def _same_as_a_name(self, samples: Sequence[Sample], hint: str) -> str | None:
        first = samples[0]
        found = [n for n in self.usable if n in first.names and same(first.names[n], first.value)]
        found.sort(key=lambda name: (name != hint, not name.endswith(hint), name.count(".")))
        for name in found:
            if all(name in s.names and same(s.names[name], s.value) for s in samples):
                return name
        return None

    def _number(self, samples: Sequence[Sample], path: str, depth: int) -> Template:
        known = next((template for template in self.sizes if _gives(template, samples)), None)
        if known is not None:
            return known
        found = self._fit(samples, depth)
        learnt = {"$": found} if found is not None else self._pieces(samples, path, depth)
        if '"@' not in json.dumps(learnt):
            self.sizes.append(learnt)
        return learnt

    def _pieces(self, samples: Sequence[Sample], path: str, depth: int) -> Template:
        """A whole number that no one formula gives: few values chosen between, or several formulas."""
        if len({sample.value for sample in samples}) <= FEW_VALUES:
            try:
                return self._chosen(samples, scalar_label, path, depth)
            except Unlearnt:
                pass
        return self._split(samples, path, depth)

    def _fit(self, samples: Sequence[Sample], depth: int) -> Any:
        values = tuple([sample.value for sample in samples])
        key = (values, tuple([id(sample.facts) for sample in samples]), depth)
        if key not in self.fitted:
            self.kept.append(samples)
            whole = np.flatnonzero(self._formulas(samples, depth).matches(values).all(axis=1))
            if len(whole):
                self.fitted[key] = self._formulas(samples, depth).expressions[whole[0]]
            else:
                self.fitted[key] = fit(values, [sample.names for sample in samples], self._names(depth))
        return self.fitted[key]

    def _formulas(self, samples: Sequence[Sample], depth: int) -> Formulas:
        key = (tuple([id(sample.facts) for sample in samples]), depth)
        if key not in self.formulas:
            self.kept.append(samples)
            if len(self.formulas) > MOST_FORMULAS:
                self.formulas.clear()
            self.formulas[key] = Formulas([sample.names for sample in samples], self._names(depth))
        return self.formulas[key]

    def _split(self, samples: Sequence[Sample], path: str, depth: int, level: int = 0) -> Template:
        """Two formulas and the condition between them; on one side there may be two again."""
        lookup = Lookup(self._formulas(samples, depth), [sample.value for sample in samples])
        whole = lookup.formula(np.ones(len(samples), dtype=bool))
        if whole is not None:
            return whole
        best: tuple[int, Any, Any, Template, bool] | None = None
        for condition in self._conditions(samples, depth):
            told = [sample.fact(repr(condition), condition) for sample in samples]
            if None in told or not 3 <= sum(map(bool, told)) <= len(told) - 3:
                continue
            sides = np.array(told, dtype=bool)
            parts = [lookup.formula(side) for side in (sides, ~sides)]
            if None not in parts:
                return {"$?": condition, "then": parts[0], "else": parts[1]}
            for part, side, then in ((parts[0], sides, True), (parts[1], ~sides, False)):
                if part is not None and "$" in str(part) and (best is None or side.sum() > best[0]):
                    best = int(side.sum()), condition, side, part, then
        if best is None or level == MAX_SPLITS:
            raise Unlearnt(path)
        _, condition, side, part, then = best
        left = [sample for sample, known in zip(samples, side, strict=True) if not known]
        found = self._fit(left, depth)
        rest = {"$": found} if found is not None else self._split(left, path, depth, level + 1)
        return {"$?": condition, "then": part if then else rest, "else": rest if then else part}

    def _object(self, samples: Sequence[Sample], path: str, depth: int) -> Template:
        if len({sample.value.get("class") for sample in samples}) > 1 and all("class" in s.value for s in samples):
            return self._chosen(samples, lambda value: value["class"], path, depth)
        order = merged_order([list(sample.value) for sample in samples])
        if order is None or (len(order) > 12 and any(_DIGITS.search(key) for key in order)):
            return self._pairs(samples, path, depth)
        return {key: self._entry(samples, key, f"{path}.{key}", depth) for key in order}

    def _pairs(self, samples: Sequence[Sample], path: str, depth: int) -> Template:
        try:
            moved = [sample.with_value([list(pair) for pair in sample.value.items()]) for sample in samples]
            return {"$pairs": self._list(moved, path, depth)}
        except Unlearnt:
            return self._chosen(samples, lambda value: tuple(value), path, depth)

    def _entry(self, samples: Sequence[Sample], key: str, path: str, depth: int) -> Template:
        there = [sample.with_value(sample.value[key]) for sample in samples if key in sample.value]
        if len(there) == len(samples):
            return self.learn(there, path, depth)
        presence = [sample.with_value(key in sample.value) for sample in samples]
        leaves = {True: self.learn(there, path, depth), False: {"$-": 0}}
        return self._tree(presence, leaves.__getitem__, path, depth)

    def _list(self, samples: Sequence[Sample], path: str, depth: int) -> Template:
        lengths = {len(sample.value) for sample in samples}
        if len(lengths) == 1:
            return [
                self.learn([s.with_value(s.value[index]) for s in samples], f"{path}.{index}", depth)
                for index in range(lengths.pop())
            ]
        try:
            count = self._number([s.with_value(len(s.value)) for s in samples], path + ".len", depth)
            return self._repeated(samples, count, path, depth)
        except Unlearnt:
            return self._chosen(samples, lambda value: len(value), path, depth)

    def _repeated(self, samples: Sequence[Sample], count: Template, path: str, depth: int) -> Template:
        index = f"@{depth}"
        parts = [
            self._element(sample, index, place).with_value(part)
            for sample in samples
            for place, part in enumerate(sample.value)
        ]
        if type(count) is not int and list(count) != ["$"]:
            raise Unlearnt(path)
        of = self.learn(parts, path + ".*", depth + 1)
        length = count if type(count) is int else count["$"]
        each = {"each": 1} if f'"{index}"' in json.dumps(of) else {}
        return {"$*": length, "of": of, **each}

    def _element(self, sample: Sample, index: str, place: int) -> Sample:
        """The sample with the place in a list among its names, the same object for the same place."""
        key = (id(sample.facts), place)
        if key not in self.entries:
            self.kept.append(sample.facts)
            self.entries[key] = Sample({**sample.names, index: place}, None, None, sample)
        return self.entries[key]

    def _numbered_text(self, samples: Sequence[Sample], path: str, depth: int) -> Template:
        pieces = _DIGITS.split(samples[0].value)
        numbers = [[int(part) for part in _DIGITS.findall(sample.value)] for sample in samples]
        parts: list[Template] = [pieces[0]]
        for place, piece in enumerate(pieces[1:]):
            column = [s.with_value(row[place]) for s, row in zip(samples, numbers, strict=True)]
            learnt = self.learn(column, path, depth) if len({s.value for s in column}) > 1 else str(column[0].value)
            parts += [learnt, piece]
        return {"$text": parts}

    def _chosen(self, samples: Sequence[Sample], label: Callable[[Any], Any], path: str, depth: int) -> Template:
        """A choice by label, each label's samples learnt on their own."""
        groups: dict[Any, list[Sample]] = {}
        for sample in samples:
            groups.setdefault(label(sample.value), []).append(sample)
        if len(groups) == 1 or len(groups) > MAX_CASES:
            raise Unlearnt(path)
        labelled = [sample.with_value(label(sample.value)) for sample in samples]
        leaves: dict[Any, Template] = {}
        for name, group in groups.items():
            leaves[name] = self.learn(group, path, depth)
        return self._tree(labelled, leaves.__getitem__, path, depth)

    def _tree(
        self, samples: Sequence[Sample], leaf: Callable[[Any], Template], path: str, depth: int, level: int = 0
    ) -> Template:
        """A decision tree over the samples' labels; every leaf is pure."""
        found = {sample.value for sample in samples}
        if len(found) == 1:
            return leaf(found.pop())
        if level == 0:
            return self._grown(samples, leaf, path, depth)
        if level > MAX_DEPTH:
            raise Unlearnt(path)
        best = self._best_condition(samples, depth)
        case = self._case(samples) if best is None or best[1] < entropy(samples) - 1e-9 else None
        if case is not None:
            parts = {text: leaf(label) for text, label in case[1].items()}
            return {"$case": case[0], "of": parts}
        if best is None:
            raise Unlearnt(path)
        condition, _, text = best
        sides: tuple[list[Sample], list[Sample]] = ([], [])
        for sample in samples:
            sides[not sample.fact(text, condition)].append(sample)
        then, other = (self._tree(side, leaf, path, depth, level + 1) for side in sides)
        return {"$?": condition, "then": then, "else": other}

    def _grown(self, samples: Sequence[Sample], leaf: Callable[[Any], Template], path: str, depth: int) -> Template:
        """A whole tree; one for the same division of the same samples is grown once, whatever its leaves."""
        numbers: dict[Any, int] = {}
        marks = [numbers.setdefault(sample.value, len(numbers)) for sample in samples]
        key = (tuple(marks), tuple([id(sample.facts) for sample in samples]), depth)
        if key not in self.trees:
            self.kept.append(samples)
            marked = [sample.with_value(mark) for sample, mark in zip(samples, marks, strict=True)]
            try:
                self.trees[key] = self._tree(marked, lambda mark: {"mark": mark}, path, depth, 1)
            except Unlearnt:
                self.trees[key] = None
        if self.trees[key] is None:
            raise Unlearnt(path)
        leaves = {mark: leaf(label) for label, mark in numbers.items()}
        return _planted(self.trees[key], leaves)

    def _case(self, samples: Sequence[Sample]) -> tuple[str, dict[str, Any]] | None:
        """A name whose value alone gives the label, each value known."""
        for name in self.usable:
            table: dict[str, Any] = {}
            for sample in samples:
                value = sample.names.get(name, sample)
                if value is sample or isinstance(value, dict | list | float):
                    break
                if table.setdefault(json.dumps(value), sample.value) != sample.value:
                    break
            else:
                if 1 < len(table) <= MAX_CASES and len(samples) >= len(table) * 2:
                    return name, table
        return None

    def _best_condition(self, samples: Sequence[Sample], depth: int) -> tuple[Any, float, str] | None:
        best: tuple[Any, float, str] | None = None
        samples = telling(samples)
        whole = entropy(samples)
        for condition in self._conditions(samples, depth):
            text = repr(condition)
            told = [sample.fact(text, condition) for sample in samples]
            if None in told or len(set(told)) == 1:
                continue
            sides = [[s for s, t in zip(samples, told, strict=True) if t is side] for side in (True, False)]
            gain = whole - sum(len(side) / len(samples) * entropy(side) for side in sides)
            if gain > 1e-9 and (best is None or gain > best[1] + 1e-9):
                best = condition, gain, text
                if gain > whole - 1e-9:
                    break
        return best

    def _conditions(self, samples: Sequence[Sample], depth: int) -> Iterable[Any]:
        """Conditions in the order in which they are believed: simple ones first."""
        numbers: list[str] = []
        lists: list[str] = []
        for name in self.usable:
            values = {json.dumps(s.names[name]): s.names[name] for s in samples if name in s.names}
            kinds = {type(value) for value in values.values()}
            if len(values) < 2 and not (depth and (list in kinds or int in kinds)):
                continue
            yield from about_one(name, values, kinds)
            if int in kinds:
                numbers.append(name)
            if list in kinds:
                lists.append(name)
        for level in range(depth):
            yield from about_index(f"@{level}", numbers, lists, samples)
        few = numbers[:MAX_PAIRS]
        for name in few:
            for other in few:
                if name != other:
                    yield from (["=", name, other], ["<", name, other], ["%", name, other])


def _gives(template: Template, samples: Sequence[Sample]) -> bool:
    """Whether a template for a whole number gives every sample's value."""
    try:
        return all(Filling([], sample.names).fill(template) == sample.value for sample in samples)
    except NotCovered:
        return False


def _planted(tree: Template, leaves: dict[int, Template]) -> Template:
    if "mark" in tree:
        return leaves[tree["mark"]]
    if "$case" in tree:
        return {**tree, "of": {text: _planted(part, leaves) for text, part in tree["of"].items()}}
    return {**tree, "then": _planted(tree["then"], leaves), "else": _planted(tree["else"], leaves)}
