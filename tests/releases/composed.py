"""A composition played with real PEFT, and what it computes held against what its words mean.

A row's adapter is held against itself alone on a fresh base. Several active adapters, and an average, are held against
a base whose own weights have had the (weighted) differences added that merging each adapter alone makes: whatever an
adapter changes, layers, saved modules, rows of tokens, is in them. Nothing of adaptlint is imported.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import peft
import torch

from tests.differential.folders import ordinary_inputs
from tests.differential.truth import outputs, with_task

Tree = dict[str, Any]
NEAR = 1e-4
IN_TURN = ("BOFT", "HRA", "IA3", "OFT", "ROAD")  # scaled or rotated: no sum says what is right


def near(one: torch.Tensor, other: torch.Tensor) -> bool:
    """Equal within what two orders of adding leave, which grows with the numbers."""
    return bool(torch.allclose(one, other, atol=NEAR * max(1.0, float(other.abs().max()))))


class NoReference(Exception):
    """Nothing says what is right: an adapter that cannot be merged into its base, or adapters that do the same."""


def words(tree: Tree) -> set[str]:
    """The blocks of an expression."""
    return {tree["kind"]} - {""} | {word for child in tree["children"] for word in words(child)}


class Composed:
    """A model with its adapters loaded, and one expression: `fresh` makes the base, `alone` one adapter on it."""

    def __init__(
        self, model: Any, asked: Mapping[str, Any], fresh: Callable[[], Any], alone: Callable[[str], Any]
    ) -> None:
        self.model, self.asked = model, dict(asked)
        self.fresh, self.alone = fresh, alone
        self.averages: dict[str, dict[str, float]] = {}

    def answer(self, model: Any, **extra: Any) -> torch.Tensor:
        """What a model gives for the texts that are asked for."""
        inner = model.get_base_model() if hasattr(model, "get_base_model") else model
        torch.manual_seed(7)
        with torch.no_grad():
            return outputs(model(**with_task(model, ordinary_inputs(inner, self.asked)), **extra))[0]

    def right(self, tree: Tree) -> bool:
        """Do it; True if the numbers are those that the words mean. Raises what PEFT raises."""
        for word in words(tree):
            if word not in ("BatchSplit", "Stack", "Average"):
                getattr(peft, word)  # no such block: AttributeError
        tree = self.averaged(tree)
        while tree["kind"] == "Stack" and len(tree["children"]) == 1:
            tree = tree["children"][0]
        if tree["kind"] == "BatchSplit":
            return self.rows(tree)
        names = [child["name"] for child in tree["children"]] if tree["kind"] == "Stack" else [tree["name"]]
        if len(names) == 1:
            self.model.set_adapter(names[0])
        else:
            self.model.base_model.set_adapter(names)
        return self.added(names)

    def averaged(self, tree: Tree) -> Tree:
        """Every Average made into an adapter, its name in its place."""
        tree = {**tree, "children": [self.averaged(child) for child in tree["children"]]}
        if tree["kind"] != "Average":
            return tree
        names = [child["name"] for child in tree["children"]]
        weights = tree["settings"].get("weights") or [1.0] * len(names)
        total = sum(weights) if tree["settings"].get("normalize_weights", True) else 1.0
        weights = [weight / (total or 1.0) for weight in weights]
        new = f"mean{len(self.averages)}"
        self.model.add_weighted_adapter(names, weights, new, combination_type="linear")
        self.model.eval()
        self.averages[new] = dict(zip(names, weights, strict=False))
        if len(weights) < len(names):  # who has no weight was not meant to have no part
            self.averages[new] = {name: 1 / len(names) for name in names}
        return {"kind": "", "name": new, "children": [], "settings": {}}

    def rows(self, tree: Tree) -> bool:
        """Each row against its adapter alone."""
        if any(child["kind"] for child in tree["children"]):
            raise TypeError("a name of a row is no block")
        names = [
            child["name"]
            for child, size in zip(tree["children"], tree["settings"]["batch_sizes"], strict=True)
            for _ in range(size)
        ]
        self.asked = {"batch": len(names), **self.asked}
        found = self.answer(self.model, adapter_names=names)
        wanted = {name: self.meant(name) for name in set(names)}
        right = all(near(found[row], wanted[name][row]) for row, name in enumerate(names))
        first = wanted[names[0]]
        if right and len(wanted) > 1 and all(near(first, other) for other in wanted.values()):
            raise NoReference("adapters that nobody can tell apart")
        return right

    def meant(self, name: str) -> torch.Tensor:
        """What one name stands for, on a fresh base; nobody's name for nothing."""
        if name in self.averages:
            return self.answer(self.shifted(self.averages[name]))
        known = name == "__base__" or name in self.model.peft_config
        return self.answer(self.fresh() if name == "__base__" else self.alone(name)) if known else self.nothing()

    def nothing(self) -> torch.Tensor:
        """What no row can be: a name that is not there has no meaning."""
        return torch.full((64,), float("nan"))

    def added(self, names: Sequence[str]) -> bool:
        """What is active against the sum of all differences."""
        found = self.answer(self.model)
        if not set(names) <= set(self.model.peft_config):
            return False
        if self.model.peft_config[names[0]].peft_type in IN_TURN and len(names) > 1:
            return not any(near(found, self.meant(name)) for name in names)
        weights: dict[str, float] = {}
        for name in names:
            for part, weight in self.averages.get(name, {name: 1.0}).items():
                weights[part] = weights.get(part, 0.0) + weight
        if len(names) == 1 and names[0] not in self.averages:
            return near(found, self.meant(names[0]))
        right = near(found, self.answer(self.shifted(weights)))
        fewer = ({other: weight for other, weight in weights.items() if other != name} for name in weights)
        if right and len(weights) > 1 and any(near(found, self.answer(self.shifted(few))) for few in fewer):
            raise NoReference("an adapter that does nothing to be seen")
        return right

    def shifted(self, weights: Mapping[str, float]) -> Any:
        """A fresh base with the weighted differences of the merged adapters added to its own weights."""
        model = self.fresh()
        state = {name: value.clone() for name, value in model.state_dict().items()}
        total = {name: value.clone() for name, value in state.items()}
        for name, weight in weights.items():
            try:
                merged = self.alone(name).merge_and_unload().state_dict()
            except Exception as problem:
                raise NoReference(name) from problem
            for key, value in total.items():
                if value.is_floating_point():
                    value += weight * (merged[key] - state[key])
        model.load_state_dict(total)
        held = model.state_dict()
        if any(not torch.equal(held[key], value) for key, value in total.items()):
            raise NoReference("weights that are one in the base, and not in its adapters")
        return model.eval()


def error_of(problem: Exception) -> dict[str, str]:
    """As a record has it; a KeyError's message is the key as it prints."""
    return {"type": type(problem).__name__, "message": str(problem)}
