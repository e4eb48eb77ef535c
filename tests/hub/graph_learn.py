"""One variant of an architecture: configs drawn for it, and templates learnt from their graphs."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from random import Random
from typing import Any

from adaptlint.bases.templates import evaluate
from adaptlint.replay.shrink import LAYERS
from tests.hub.graph_classes import Known
from tests.hub.graph_expressions import NoExpression, Search, aligned
from tests.hub.graph_forward import Recorded, plain
from tests.hub.graph_repeats import with_repeats
from tests.hub.graph_specs import Spec, Variant


class Learner:
    """Draws configs of a variant; sizes that the config class does not have are nobody's."""

    def __init__(self, spec: Spec, variant: Variant, known: Known, rng: Random) -> None:
        self.spec = spec
        self.variant = variant
        self.known = known
        self.rng = rng
        self.settings = {**spec.settings, **variant.settings}

    def drawn(self) -> dict[str, Any]:
        """Sizes of a config."""
        sizes: dict[str, Any] = {n: v for n, v in self.spec.sizes(self.rng).items() if n in self.known.names}
        for name, value in self.variant.sizes.items():
            sizes[name] = value(self.rng) if callable(value) else sizes[value] if isinstance(value, str) else value
        return sizes

    def samples(self, count: int) -> list[dict[str, Any]]:
        """Configs to learn from: numbers of layers are few, so they are dealt out, no two alike in all of them."""
        drawn = [self.drawn() for _ in range(count)]
        names = [name for name in drawn[0] if self.deep(name)]
        least = 2 * self.spec.turns + 2
        dealt: list[list[int]] = []
        while len(dealt) < len(names):
            layers = self.rng.sample(range(least, least + count), count)
            dealt += [] if layers in dealt else [layers]
        return [one | {n: deal[at] for n, deal in zip(names, dealt, strict=True)} for at, one in enumerate(drawn)]

    def deep(self, name: str) -> bool:
        """Whether a size is a number of layers that is free."""
        return name.rpartition(".")[2] in LAYERS and name not in self.variant.sizes

    def shallow(self) -> dict[str, Any]:
        """Sizes with as few layers as a table covers."""
        sizes = self.drawn()
        return sizes | {name: 2 * self.spec.turns for name in sizes if self.deep(name)}

    def search(self, samples: list[dict[str, Any]]) -> Search:
        """Expressions over the sizes that vary, and over what the spec counts as operands."""
        names = {name: tuple(one[name] for one in samples) for name in samples[0] if samples[0][name] is not None}
        search = Search(names)
        for part in self.spec.parts:
            values = [{**self.known.defaults, **one, **self.settings} for one in samples]
            vector = tuple(evaluate(part, value) for value in values)
            search.leaves[vector] = search.levels[0][vector] = part
        return search

    def entry(self, graphs: dict[str, int]) -> dict[str, Any]:
        """The variant as a table has it, before settings are tried."""
        drawn = self.drawn()
        return {
            "when": [*self.variant.when],
            "sizes": {name: self.spec.least.get(name, 2) for name, size in drawn.items() if size is not None},
            "nullable": [],
            "demands": [*self.spec.demands],
            "turns": [],
            "allowed": {},
            "graphs": graphs,
        }

    def fresh(self) -> Iterator[tuple[str, dict[str, Any], bool]]:
        """(what it is, a config as dotted names, whether it has to have a graph), drawn after the learning."""
        yield "other sizes", {**self.drawn(), **self.settings}, True
        few = self.shallow()
        least = {name: size for name, size in self.spec.least.items() if name in few and few[name] is not None}
        free = {name: size for name, size in least.items() if name not in self.variant.sizes}
        yield "least sizes", {**few, **self.settings, **free}, True
        absent = {**self.drawn(), **self.settings}
        asked = [name for name in self.spec.fallbacks if name in absent and name not in self.variant.sizes]
        if asked:
            yield "absent", {**absent, **dict.fromkeys(asked)}, False
        yield "defaults", {**self.spec.settings}, False


def graph_template(found: list[Recorded], search: Search, share: Callable[[Any], int]) -> Any:
    """One template for what became of a forward in several configs. NoExpression where there is none."""
    if all(isinstance(one, dict) for one in found):
        return aligned(found, search)
    reasons = [one if isinstance(one, str) else str(one) for one in found if isinstance(one, str | dict)]
    if reasons:
        raise NoExpression(reasons[0])
    template = aligned([plain(with_repeats(one)) for one in found], search)  # type: ignore[arg-type]
    template["templates"] = [{"$=": share(one)} for one in template["templates"]]
    return template
