"""Graphs of one class under one backend, learnt from trials: one variant for each path that the forward can take.

Most of a trial is by name already, since the config's integers were tagged. What is left to learn are integers that
lost their tags on the way (the sizes of constants, say) and how the layers follow each other.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from itertools import islice
from typing import Any

from adaptlint.dataflow.shipped import likeness
from tests.families.flow_trials import SCALE, Trial
from tests.families.learning import Learner
from tests.families.lookup import Template
from tests.families.samples import Sample, Unlearnt

Conditions = frozenset[str]
DEPTHS = 3
TOKENS = ("_token_id", "_token_index", "_idx", "_id")


class FlowLearner(Learner):
    """A name that differs is a choice between names, and floats that differ are scales."""

    def _varied(self, samples: Sequence[Sample], path: str, depth: int) -> Template:
        if all(type(sample.value) is float for sample in samples):
            return SCALE
        return super()._varied(samples, path, depth)

    def _object(self, samples: Sequence[Sample], path: str, depth: int) -> Template:
        if any("$" in sample.value for sample in samples):
            return self._chosen(samples, json.dumps, path, depth)
        return super()._object(samples, path, depth)

    def _conditions(self, samples: Sequence[Sample], depth: int) -> Iterable[Any]:
        """The first layer, and the second, which has one before it, are unlike others before sizes are.

        What comes after layers of two kinds in turn depends on which of them is the last.
        """
        for level in range(depth):
            yield from (["is", f"@{level}", place] for place in (0, 1))
        yield from (one for one in super()._conditions(samples, depth) if not _is_of_one_depth(one))
        yield from (["%", name, 2] for name in self.usable if "layer" in name)

    def _number(self, samples: Sequence[Sample], path: str, depth: int) -> Template:
        """In a stack, which value is taken is chosen: no formula of a layer's number gives it."""
        if depth and self._fit(samples, depth) not in [f"@{level}" for level in range(depth)]:
            try:
                return self._chosen(samples, lambda value: ("int", value), path, depth)
            except Unlearnt:
                pass
        return super()._number(samples, path, depth)

    def _case(self, samples: Any) -> None:
        """No table by the value of a size."""
        return


class Group:
    """Trials of one path: the same settings where these matter, and templates that differ in integers at most."""

    def __init__(self, settings: dict[str, Any], trials: list[Trial]) -> None:
        self.settings = settings
        self.trials = trials

    def add(self, trial: Trial, asked: set[str]) -> None:
        """Take it in if it is of this path."""
        own = {path_of(one) for one in self.trials}
        if settings_of(trial, asked) == self.settings and path_of(trial) in own:
            self.trials = [*self.trials, trial]

    @property
    def mixed(self) -> bool:
        """Whether paths are learnt together that nothing but sizes of tensors told apart."""
        return len({path_of(trial) for trial in self.trials}) > 1

    @property
    def deepens(self) -> bool:
        """Whether there are trials of enough different depths, or no layers."""
        depths = {tuple(len(calls) for prefix, calls in t.graph["stacks"] if prefix) for t in self.trials}
        return len(depths) >= DEPTHS or depths == {()}

    @property
    def varies(self) -> bool:
        """Whether the sizes of constants, which no name is known of, differ between trials; or there are none."""
        found = {json.dumps(_constants(trial.graph["templates"])) for trial in self.trials}
        return len(found) > 1 or not _unnamed(self.trials[0].graph["templates"])

    @property
    def held(self) -> list[Conditions]:
        """Sets of conditions, each of which is enough: the smallest that were seen."""
        found = sorted({trial.held for trial in self.trials}, key=lambda one: (len(one), sorted(one)))
        return [one for at, one in enumerate(found) if not any(other <= one for other in found[:at])]

    def variant(self, pool: Pool) -> dict[str, Any]:
        """The variant as the table has it. Raises Unlearnt."""
        names = [name for name in self.trials[0].names if not _is_a_label(name)]
        learner = FlowLearner(sorted(names, key=lambda name: "layer" not in name))
        numbers: dict[str, int] = {}
        of: list[list[Sample]] = []
        graphs = []
        for trial in self.trials:
            sample = Sample(trial.names, None)
            own = []
            for mask, template in zip(masks_of(trial), trial.graph["templates"], strict=True):
                own.append(numbers.setdefault(mask, len(numbers)))
                if own[-1] == len(of):
                    of.append([])
                of[own[-1]].append(sample.with_value(template))
            graphs.append(sample.with_value(renumbered(trial.graph, own)))
        templates = [pool.number(learner.learn(samples, f"templates.{at}")) for at, samples in enumerate(of)]
        self.untagged = {name for expression in learner.fitted.values() for name in named(expression)}
        letters = {letter(number): place for number, place in enumerate(templates)}
        held = [[json.loads(text) for text in sorted(one)] for one in self.held]
        return {**self.settings, "held": held, "graph": learner.learn(graphs), "templates": letters}

    @property
    def paths(self) -> list[Group]:
        """Its trials by path."""
        found: dict[str, list[Trial]] = {}
        for trial in self.trials:
            found.setdefault(path_of(trial), []).append(trial)
        return [Group(self.settings, members) for members in found.values()]

    def of_each_path(self, drawn: set[str]) -> list[tuple[Group, dict[str, Any]]]:
        """Those of one path each, with the sizes that tell the others from them."""
        return [(part, self._apart(part, drawn)) for part in self.paths]

    def _apart(self, part: Group, drawn: set[str]) -> dict[str, Any]:
        first = part.trials[0].names
        others = [trial for trial in self.trials if path_of(trial) != path_of(part.trials[0])]
        return {
            name: first[name]
            for name in sorted(drawn & first.keys())
            if all(trial.names.get(name) == first[name] for trial in part.trials)
            and any(trial.names.get(name) != first[name] for trial in others)
        }

    def fixed(self, untagged: set[str], drawn: set[str]) -> dict[str, Any]:
        """Integers that some path loses the tags of, or this one may, and that were the same in all its trials."""
        first = self.trials[0].names
        untagged = untagged if self.varies else untagged | drawn
        names = sorted(name for name in untagged & first.keys() if type(first[name]) in (int, float))
        return {name: first[name] for name in names if all(t.names.get(name) == first[name] for t in self.trials)}


def _is_of_one_depth(condition: Any) -> bool:
    """True where a number of layers is asked for: what is so for three says nothing of ten."""
    kind, name, *rest = condition
    return kind == "is" and "layer" in name and type(rest[0]) is int and rest[0] > 1


def _is_a_label(name: str) -> bool:
    """True for tokens and labels: they count nothing, but for the padding, and may be as many as layers by accident."""
    return name == "num_labels" or (name.partition(".")[0].endswith(TOKENS) and not name.startswith("pad"))


def _constants(templates: Sequence[Any]) -> list[Any]:
    """The shapes of leaves that are no numbers and that the base's table has not."""
    return [node[5] for nodes, _, _ in templates for node in nodes if not node[0] and node[5] not in ([], [[]])]


def _unnamed(templates: Sequence[Any]) -> bool:
    """Whether some size of a constant is a number of its own."""
    return any(type(dim) is int and dim > 1 for shapes in _constants(templates) for shape in shapes for dim in shape)


def named(expression: Any) -> set[str]:
    """The names of a config in an expression."""
    if isinstance(expression, str):
        return {expression} if expression[0] != "@" else set()
    return set().union(*map(named, expression[1:])) if isinstance(expression, list) else set()


class Pool:
    """Templates of all variants of a table, each once, as JSON text."""

    def __init__(self) -> None:
        self.texts: dict[str, int] = {}

    def number(self, template: Template) -> int:
        """The place of a template."""
        return self.place(json.dumps(template, separators=(",", ":")))

    def place(self, text: str) -> int:
        """The place of a template's text."""
        return self.texts.setdefault(text, len(self.texts))

    def at(self, number: int) -> Template:
        """The template at a place."""
        return json.loads(next(islice(self.texts, number, None)))


def grouped(trials: Sequence[Trial], asked: set[str]) -> list[Group]:
    """Trials by path. Paths of the same settings that conditions do not tell apart are learnt together."""
    found: dict[str, list[Trial]] = {}
    for trial in trials:
        key = json.dumps([settings_of(trial, asked), path_of(trial)])
        found.setdefault(key, []).append(trial)
    groups = [Group(settings_of(members[0], asked), members) for members in found.values()]
    merged: list[Group] = []
    for group in groups:
        same = next((one for one in merged if one.settings == group.settings and _overlap(one, group)), None)
        if same is None:
            merged.append(group)
        else:
            same.trials = [*same.trials, *group.trials]
    return merged


def _overlap(one: Group, other: Group) -> bool:
    """Whether the conditions of one path hold under a config that took the other."""
    return any(
        conditions <= trial.held
        for first, second in ((one, other), (other, one))
        for trial in second.trials
        for conditions in first.held
    )


def settings_of(trial: Trial, asked: set[str]) -> dict[str, Any]:
    """The likeness of the settings that matter, and which numbers of heads are powers of two."""
    likes = {key: likeness(trial.config[key]) for key in sorted(asked) if key in trial.config}
    return {"settings": likes, "powers": trial.powers}


def masks_of(trial: Trial) -> list[str]:
    """The masks of a trial's templates, worked out once."""
    if not trial.masks:
        trial.masks.extend(masks(trial.graph["templates"]))
    return trial.masks


def path_of(trial: Trial) -> str:
    """What its templates are but for integers."""
    return "\n".join(sorted(masks_of(trial)))


def masks(templates: Sequence[Any]) -> list[str]:
    """Each template without its integers; equal ones in one graph are numbered."""
    seen: dict[str, int] = {}
    found = []
    for nodes, guards, modules in templates:
        told = [[node[0], node[1], node[2], *map(masked, node[3:])] for node in nodes]
        text = json.dumps([told, [[g[0], masked(g[1]), g[2], masked(g[3]), *g[4:]] for g in guards], modules])
        seen[text] = seen.get(text, -1) + 1
        found.append(f"{seen[text]} {text}")
    return found


def masked(value: Any) -> Any:
    """JSON with one integer for all but those that name a node."""
    if isinstance(value, list):
        return value if value[:1] == ["size"] else [masked(part) for part in value]
    if isinstance(value, dict):
        return value if value.keys() & {"n", "a", "$"} else {key: masked(part) for key, part in value.items()}
    return "#" if type(value) is int else value


def letter(number: int) -> str:
    """a, b, ... z, za, zb, ..."""
    return "z" * (number // 25) + chr(ord("a") + number % 25)


def renumbered(graph: dict[str, Any], own: Sequence[int]) -> dict[str, Any]:
    """A graph less its templates, each call's by its letter in the group: a number would be taken for a size."""
    stacks = [
        [prefix, [[layer, letter(own[t]), given] for layer, t, given in calls]] for prefix, calls in graph["stacks"]
    ]
    return {**{key: part for key, part in graph.items() if key != "templates"}, "stacks": stacks}
