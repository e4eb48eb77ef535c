"""What is changed in a recorded forward before it is run again: widths of weights, and sizes of what modules return."""

from __future__ import annotations

from collections.abc import Mapping

from adaptlint.dataflow.flow_graph import Run, Shape
from adaptlint.dataflow.value import Value
from adaptlint.hints import TypeVar
from adaptlint.named_tuple import NamedTuple

Given = TypeVar("Given")


class Resize(NamedTuple):
    """One axis of a tensor: `times` as large, and `plus` more. Both are numbers or symbols, as "batch" is one."""

    axis: int = 0
    times: int | str = 1
    plus: int | str = 0

    def of(self, value: Value, sizes: Mapping[str, int]) -> Value:
        """The tensor with its axis resized, itself if it has no such axis. KeyError for a symbol without a size."""
        rank = len(value.shape)
        if not -rank <= self.axis < rank:
            return value
        times, plus = (sizes[each] if isinstance(each, str) else each for each in (self.times, self.plus))
        shape = list(value.shape)
        shape[self.axis] = shape[self.axis] * times + plus
        return value._replace(shape=tuple(shape))


class Changes(NamedTuple):
    """`leaves`: parameters and buffers of other shapes, by name. `modules` and `inputs`: what becomes of the tensors
    that a module returns, by its path, or of an argument of the model, by its name.

    A batch that an adapter replicates n times behind `q_proj` is `modules={"...q_proj": Resize(times="n")}`.
    """

    leaves: Mapping[str, Shape] = {}
    modules: Mapping[str, Resize] = {}
    inputs: Mapping[str, Resize] = {}

    def of(self, run: Run) -> dict[int, Changes]:
        """The changes of single layers of a run: call -> changes by name in the template."""
        leaves, modules = _own(run, self.leaves), _own(run, self.modules)
        return {call: Changes(leaves.get(call, {}), modules.get(call, {})) for call in {**leaves, **modules}}

    def joined(self, own: Changes | None) -> Changes:
        """These with those of one layer."""
        if own is None:
            return self
        return Changes({**self.leaves, **own.leaves}, {**self.modules, **own.modules}, self.inputs)


def _own(run: Run, changes: Mapping[str, Given]) -> dict[int, dict[str, Given]]:
    found: dict[int, dict[str, Given]] = {}
    for name, change in changes.items():
        number, dot, rest = name[len(run.prefix) :].partition(".")
        if run.prefix and name.startswith(run.prefix) and number.isdecimal() and number.isascii() and len(number) < 9:
            call = int(number) - run.first
            for each in (call,) if run.step else range(run.times) if not call else ():
                if 0 <= each < run.times:
                    found.setdefault(each, {})[f".{rest}" if dot else "."] = change
    return found
