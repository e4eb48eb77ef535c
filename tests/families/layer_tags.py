"""Tags of a config's integers that tell which comparisons are with the number of a layer."""

from __future__ import annotations

from collections.abc import Mapping, Set
from typing import Any

from adaptlint.dataflow.tagged import ConfigTags


class LayerTags(ConfigTags):
    """Tags that keep comparisons with the number of the layer that is being made out of the conditions.

    `by_index` are the names that such comparisons had: which layers are of which kind. A comparison with 0 in the
    first layer may be one with nothing: it counts as one with the layer where the next layers compare with theirs, or
    did so in an earlier trial (`known`).
    """

    def __init__(self, known: Set[str] = frozenset()) -> None:
        super().__init__()
        self.by_index = set(known)
        self.layers: dict[str, set[int]] = {}
        self.either: list[tuple[Any, str, Any, bool]] = []

    def note(self, comparison: tuple[Any, str, Any, bool], seen: Mapping[str, Any]) -> None:
        """As ConfigTags has it."""
        left, _, right, _ = comparison
        layer = seen.get("layer_idx", seen.get("i"))
        names = names_in(left) | names_in(right)
        if type(layer) is int and _divided(left, right, layer):
            self.by_index |= names
        elif type(layer) is int and layer in (left, right) and _plain_name(left, right):
            self.layers.setdefault(min(names), set()).add(layer)
            self.either.append(comparison)
        else:
            super().note(comparison, seen)

    def settle(self) -> None:
        """Say of the comparisons with a layer's number, or with a number like it, which they are."""
        self.by_index |= {name for name, layers in self.layers.items() if len(layers) > 1}
        self.held += [one for one in self.either if not (names_in(one[0]) | names_in(one[2])) & self.by_index]


def _plain_name(left: Any, right: Any) -> bool:
    return any(isinstance(side, list) and side[0] == "config" for side in (left, right))


def _divided(left: Any, right: Any, layer: int) -> bool:
    """Whether a side is what is left when a layer's number is divided by a setting."""
    return any(isinstance(side, list) and side[0] == "%" and side[1] in (layer, layer + 1) for side in (left, right))


def names_in(term: Any) -> set[str]:
    """The names of a config that a term has."""
    if not isinstance(term, list) or term[0] == "size":
        return set()
    return {term[1]} if term[0] == "config" else set().union(*map(names_in, term[1:]))
