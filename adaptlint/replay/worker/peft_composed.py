"""A composition played with real PEFT, and what it computes held against what its words mean.

A row's adapter is held against itself alone on a fresh base. Several active adapters, and an average, are held against
a base whose own weights have had the (weighted) differences added that merging each adapter alone makes: whatever an
adapter changes, layers, saved modules, rows of tokens, is in them.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Callable, Union

from .peft_arrow import arrow_faults

Written = Union[str, list[Any]]  # a name, or [kind, [children], {settings}]
NEAR = 1e-4  # of the largest number of an output in float32
IN_TURN = ("BOFT", "HRA", "IA3", "OFT", "ROAD")  # scaled or rotated: no sum says what is right
CALLED = ("BatchSplit", "Stack", "Average", "Arrow")
TASKED = ("POLY", "MULTITASK_PROMPT_TUNING")
BASE = "__base__"  # PEFT's own word for a row without an adapter


class NoReference(Exception):
    """Nothing says what is right: an adapter that cannot be merged into its base, or adapters that do the same."""


class NoCall(Exception):
    """PEFT has no call for such an expression, so that there is nothing to run."""


class Composed:
    """A model with its adapters loaded, and one expression over them.

    `answer` gives what a model makes of the inputs, with further arguments of the forward; `fresh` makes the base, and
    `alone` one adapter on it (NoReference for one that has no files), which lie in `folders` by their names. `near` is
    the bound, of the largest number.
    """

    def __init__(
        self,
        model: Any,
        answer: Callable[..., Any],
        fresh: Callable[[], Any],
        alone: Callable[[str], Any],
        folders: Mapping[str, Any],
        near: float = NEAR,
    ) -> None:
        self.model, self.answer, self.fresh, self.alone, self.bound = model, answer, fresh, alone, near
        self.folders = {name: str(folder) for name, folder in folders.items()}
        self.averages: dict[str, dict[str, float]] = {}

    def faults(self, written: Written) -> Iterator[str]:
        """Do it; what is not as the words mean it. Raises what PEFT raises, NoReference and NoCall."""
        import peft

        while kind(written) == "Stack" and len(written[1]) == 1:
            written = written[1][0]
        for word in words(written):
            if word not in CALLED and not is_by_task(written):
                getattr(peft, word)  # no such block: AttributeError
        if kind(written) == "Arrow":
            settings: Any = written[2]
            yield from arrow_faults(self, [single(child) for child in written[1]], settings)
            return
        if is_by_task(written):
            yield from self.tasks(single(written[1][0]), written[2])
            return
        written = self.averaged(written)
        if kind(written) == "BatchSplit":
            yield from self.rows(written)
            return
        names = [single(child) for child in written[1]] if kind(written) == "Stack" else [single(written)]
        if len(names) == 1:
            self.model.set_adapter(names[0])
        else:
            self.model.base_model.set_adapter(names)
        yield from self.added(names)

    def averaged(self, written: Written) -> Written:
        """Every Average made into an adapter, its name in its place, innermost first."""
        if isinstance(written, str):
            return written
        block, children, settings = written[0], [self.averaged(child) for child in written[1]], written[2]
        if block != "Average":
            return [block, children, settings]
        names = [single(child) for child in children]
        weights = [float(each) for each in settings.get("weights") or [1.0] * len(names)]
        total = sum(weights) if settings.get("normalize_weights", True) else 1.0
        weights = [weight / (total or 1.0) for weight in weights]
        new = next(name for n in range(len(self.averages), 1000) if (name := f"mean{n}") not in self.model.peft_config)
        self.model.add_weighted_adapter(names, weights, new, combination_type="linear")
        self.model.eval()
        self.averages[new] = dict(zip(names, weights))
        if len(weights) < len(names):  # who has no weight was not meant to have no part
            self.averages[new] = {name: 1 / len(names) for name in names}
        return new

    def rows(self, written: Written) -> Iterator[str]:
        """Each row against its adapter alone."""
        names = row_names(written)
        found = self.answer(self.model, adapter_names=names)
        wanted = {name: self.meant(name) for name in dict.fromkeys(names)}
        wrong = [(row, name) for row, name in enumerate(names) if not self.is_row(found, row, wanted[name])]
        known = [value for value in wanted.values() if value is not None]
        if not wrong and len(wanted) > 1 and all(self.near(known[0], other) for other in known):
            raise NoReference("its adapters give the same, so that nobody can tell them apart")
        for row, name in wrong:
            said = "is meant for {}, which is no adapter" if wanted[name] is None else "is not what {} gives"
            yield f"row {row} " + said.format(name)

    def tasks(self, name: str, settings: Any) -> Iterator[str]:
        """Each row against the adapter alone, with the row's task for every row."""
        import torch

        given = settings.get("task_ids")
        ids: list[int] = given if isinstance(given, list) else [given]
        self.model.set_adapter(name)

        def answer(model: Any, ids: list[int]) -> Any:
            return self.answer(model, task_ids=None if given is None else torch.tensor(ids))

        found = answer(self.model, ids)
        if self.model.peft_config[name].peft_type not in TASKED:
            yield f"{name} has no tasks, so that task_ids have no part in it"
            return
        rows = ids * len(found) if len(ids) == 1 else ids
        wanted = {task: answer(self.alone(name), [task] * len(rows)) for task in dict.fromkeys(rows) if task >= 0}
        for row, task in enumerate(rows):
            if not self.is_row(found, row, wanted.get(task)):
                yield f"row {row} is not what task {task} gives"

    def is_row(self, found: Any, row: int, meant: Any) -> bool:
        """Whether one row of the output is the same row of what is meant."""
        return meant is not None and self.near(found[row], meant[row])

    def meant(self, name: str) -> Any:
        """What one name gives on a fresh base; None for a name that nobody has."""
        if name in self.averages:
            return self.answer(self.shifted(self.averages[name]))
        if name != BASE and name not in self.model.peft_config:
            return None
        try:
            return self.answer(self.fresh() if name == BASE else self.alone(name))
        except NoReference:
            raise
        except Exception as problem:
            raise NoReference(f"{name} alone cannot be run: {type(problem).__name__}: {problem}") from problem

    def added(self, names: Sequence[str]) -> Iterator[str]:
        """What is active against the sum of all differences."""
        found = self.answer(self.model)
        unknown = [name for name in names if name not in self.model.peft_config]
        yield from (f"{name} is to be active, and is no adapter" for name in unknown)
        if unknown:
            return
        if self.model.peft_config[names[0]].peft_type in IN_TURN and len(names) > 1:
            same = [name for name in names if self.near(found, self.meant(name))]
            yield from (f"the output is that of {name} alone" for name in same[:1])
            return
        if len(names) == 1 and names[0] not in self.averages:
            if not self.near(found, self.meant(names[0])):
                yield f"the output is not what {names[0]} gives alone"
            return
        weights: dict[str, float] = {}
        for name in names:
            for part, weight in self.averages.get(name, {name: 1.0}).items():
                weights[part] = weights.get(part, 0.0) + weight
        if not self.near(found, self.answer(self.shifted(weights))):
            yield f"the output is not that of the base with {sum_of(weights)} added"
            return
        fewer = ({other: weight for other, weight in weights.items() if other != name} for name in weights)
        if len(weights) > 1 and any(self.near(found, self.answer(self.shifted(few))) for few in fewer):
            raise NoReference("an adapter does nothing to be seen")

    def shifted(self, weights: Mapping[str, float]) -> Any:
        """A fresh base with the weighted differences of the merged adapters added to its own weights.

        That is (1 - the sum of the weights) times the base, and each merged one by its weight.
        """
        import torch

        model = self.fresh()
        own = {name: value for name, value in model.state_dict().items() if value.is_floating_point() and value.numel()}
        first: dict[int, str] = {}  # weights that are one are one tensor under two names
        with torch.no_grad():
            for name, value in own.items():
                if first.setdefault(value.data_ptr(), name) == name:
                    value.mul_(1.0 - sum(weights.values()))
            for name, weight in weights.items():
                merged = self.merged(name)
                for key, value in own.items():
                    same = first[value.data_ptr()]
                    if same == key:
                        value.add_(merged[key], alpha=weight)
                    elif not torch.equal(merged[key], merged[same]):
                        raise NoReference("the base has weights that are one, and its adapters have them apart")
                del merged  # as large as the base, and the next one is made before it would be let go
        return model.eval()

    def merged(self, name: str) -> dict[str, Any]:
        """The weights of the base with one adapter's update in them."""
        try:
            return dict(self.alone(name).merge_and_unload().state_dict())
        except NoReference:
            raise
        except Exception as problem:
            raise NoReference(f"{name} cannot be merged into its base") from problem

    def near(self, one: Any, other: Any) -> bool:
        """Equal within what two orders of adding leave, which grows with the numbers."""
        import torch

        if one.shape != other.shape:
            return False
        return bool(torch.allclose(one, other, rtol=self.bound, atol=self.bound * max(1.0, float(other.abs().max()))))


def kind(written: Written) -> str:
    """The block, "" for an adapter's name."""
    return "" if isinstance(written, str) else str(written[0])


def is_by_task(written: Written) -> bool:
    """One adapter of several tasks."""
    return kind(written) == "MultiTask" and len(written[1]) == 1


def words(written: Written) -> list[str]:
    """The blocks of an expression, each once."""
    if isinstance(written, str):
        return []
    inner = [word for child in written[1] for word in words(child)]
    return list(dict.fromkeys([str(written[0]), *inner]))


def single(written: Written) -> str:
    """One adapter's name, where PEFT takes nothing else."""
    if isinstance(written, str):
        return written
    if written[0] == "Stack" and len(written[1]) == 1:
        return single(written[1][0])
    raise NoCall(f"PEFT takes names of adapters where {written[0]} stands")


def sizes_of(written: Any) -> list[int]:
    """How many rows each member of a BatchSplit is given."""
    given = written[2]["batch_sizes"]
    return [int(size) for size in given] if isinstance(given, list) else [int(given)] * len(written[1])


def row_names(written: Any) -> list[str]:
    """The adapter of every row of a BatchSplit, as `adapter_names` has them."""
    children, sizes = written[1], sizes_of(written)
    if len(sizes) != len(children) or min(sizes, default=0) < 1:
        raise NoCall("its sizes are not one for each member")
    return [name for child, size in zip(children, sizes) for name in [single(child)] * size]


def sum_of(weights: Mapping[str, float]) -> str:
    """The weighted updates, for people."""
    return " + ".join(name if weight == 1.0 else f"{weight:g} * {name}" for name, weight in weights.items())
