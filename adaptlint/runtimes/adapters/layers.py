"""What every layer of AdapterHub does with a composition: its blocks, in the order in which the library runs them.

Facts: adapters 0.2.2 to 1.3.0, methods/adapter_layer_base.py (`ComposableAdapterLayerBase`), composition.py.
"""

from __future__ import annotations

from collections.abc import Mapping

from adaptlint.hints import Any
from adaptlint.runtimes.adapters.composition import Block
from adaptlint.runtimes.adapters.rows import Raised
from adaptlint.runtimes.adapters.validation import allowed_in

Config = Mapping[str, Any]
ROUNDED = 1e-6
INDIVISIBLE = (
    "The total input batch size in a Parallel adapter block must be divisible by the number of parallel channels."
)


class Context:
    """What one forward keeps from layer to layer (`ForwardContext`): `batch` rows came from the caller."""

    __slots__ = ("batch", "divided", "masked", "original", "parallel", "prompt", "release", "tasks")

    def __init__(self, release: tuple[int, ...], batch: int, masked: bool, tasks: bool) -> None:
        self.release = release
        self.batch = batch
        self.masked = masked  # an attention mask was passed to this model
        self.tasks = tasks  # so were `task_ids`
        self.parallel = False
        self.original: int | None = None
        self.prompt = 0
        self.divided: list[Block] = []  # averages whose weights, divided by their number, do not add up to one

    def state(self) -> tuple[Any, ...]:
        """All that later layers depend on."""
        return self.parallel, self.original, self.prompt


class Layer:
    """One site and the configs of the adapters that it has; subclasses say what their states are.

    States are of any type that `rows_in` counts; `slice`, `concat`, `repeat` and `mean` do what the library's do.
    """

    again = False  # `allow_multi_parallelize`

    def __init__(self, adapters: Mapping[str, Config], context: Context) -> None:
        self.adapters = adapters
        self.context = context

    def rows_in(self, state: Any) -> int:
        """Rows of the batch."""
        raise NotImplementedError

    def before(self, setup: Block, state: Any) -> Any:
        """`pre_block`."""
        return state

    def slice(self, state: Any, start: int, stop: int) -> Any:
        """`vslice`."""
        raise NotImplementedError

    def concat(self, states: list[Any]) -> Any:
        """`pad_and_concat`."""
        raise NotImplementedError

    def repeat(self, state: Any, times: int) -> Any:
        """`repeat`."""
        raise NotImplementedError

    def mean(self, states: list[Any], weights: list[float]) -> Any:
        """`mean`."""
        raise NotImplementedError

    def single(self, name: str, state: Any) -> Any:
        """`compose_single`."""
        raise NotImplementedError

    def picked(self, state: Any) -> Any:
        """`vslice` by a tensor of indices: all rows in another order."""
        return state

    def fuse(self, setup: Block, state: Any, level: int) -> Any:
        """`compose_fuse`, which only bottlenecks have."""
        return self._unless_absent(setup, state)

    def split(self, setup: Block, state: Any, level: int) -> Any:
        """`compose_split`, which only bottlenecks have."""
        return self._unless_absent(setup, state)

    def compose(self, setup: Block, state: Any, level: int = 0) -> Any:
        """Run a block. Raises Raised."""
        return self._functions()[setup.kind](setup, state, level)

    def child(self, setup: Block, child: Block, state: Any, level: int) -> Any:
        """A block inside a block."""
        allowed_in(setup, child, level, self.context.release)
        return self.compose(child, state, level + 1)

    def _functions(self) -> dict[str, Any]:
        return {
            "Stack": self._stack,
            "Fuse": self.fuse,
            "Split": self.split,
            "BatchSplit": self._batch_split,
            "Parallel": self._parallel,
            "Average": self._average,
            "MultiTask": self._multi_task,
        }

    def _unless_absent(self, setup: Block, state: Any) -> Any:
        if self.adapters.keys().isdisjoint(setup.names()):
            return state
        raise Raised("NotImplementedError", "")

    def _stack(self, setup: Block, state: Any, level: int) -> Any:
        for child in setup.children:
            if child.kind:
                state = self.child(setup, child, state, level)
            elif child.name in self.adapters:
                state = self.single(child.name, self.before(child, state))
        return state

    def _part(self, setup: Block, child: Block, state: Any, level: int) -> Any:
        """Some rows through a child; an adapter that the site lacks lets them pass."""
        if child.kind:
            return self.child(setup, child, state, level)
        return self.single(child.name, state) if child.name in self.adapters else state

    def _batch_split(self, setup: Block, state: Any, level: int) -> Any:
        sizes = setup.sizes("batch_sizes")
        if sum(sizes) != self.rows_in(state):
            raise Raised(
                "IndexError",
                f"The given batch has a size of {self.rows_in(state)} which is not equal to the sum of"
                f" batch_sizes {sizes}",
            )
        return self._by_rows(setup, sizes, self.before(setup, state), level)

    def _by_rows(self, setup: Block, sizes: list[int], state: Any, level: int) -> Any:
        states = []
        for number, child in enumerate(setup.children):
            start, stop = sum(sizes[:number]), sum(sizes[: number + 1])
            states.append(self._part(setup, child, self.slice(state, start, stop), level))
        return self.concat(states)

    def _multi_task(self, setup: Block, state: Any, level: int) -> Any:
        """Sorted by task, split, and sorted back; every task has rows here."""
        state = self.before(setup, state)
        if not self.context.tasks:
            raise Raised("AssertionError", "")
        if self.rows_in(state) < self.context.batch:
            size = self.rows_in(state)
            raise Raised("IndexError", f"is out of bounds for dimension 0 with size {size}")
        sizes = shared_out(self.context.batch, len(setup.children))
        split = setup._replace(kind="BatchSplit", settings=(("batch_sizes", sizes),))
        return self.picked(self.compose(split, self.picked(state), level))

    def _parallel(self, setup: Block, state: Any, level: int) -> Any:
        context, channels, rows = self.context, setup.channels, self.rows_in(state)
        if not context.parallel:
            state = self.repeat(state, channels)
            context.parallel, context.original = True, rows
        elif self.again and rows == context.original:
            state = self.repeat(state, channels)
        elif rows % channels:
            raise Raised("ValueError", INDIVISIBLE)
        else:
            rows //= channels
        state = self.before(setup, state)
        states = []
        for number, child in enumerate(setup.children):
            part = self.slice(state, number * rows, (number + 1) * rows)
            states.append(self._part(setup, child, part, level))
        return self.concat(states)

    def _average(self, setup: Block, state: Any, level: int) -> Any:
        state = self.before(setup, state)
        states = []
        for child in setup.children:
            if child.kind:
                states.append(self.child(setup, child, state, level))
            elif child.name in self.adapters:
                states.append(self.single(child.name, state))
        weights = weights_of(setup)
        if states and abs(sum(weights) - len(weights)) > ROUNDED:
            self.context.divided.append(setup)
        return self.mean(states, weights)


def shared_out(rows: int, tasks: int) -> list[int]:
    """Rows for each task, the first ones one more where they do not come out even."""
    return [rows // tasks + (number < rows % tasks) for number in range(tasks)]


def weights_of(setup: Block) -> list[float]:
    """The weights of an Average as the block keeps them (`Average.__init__`)."""
    given = setup.setting("weights")
    if given is None:
        return [1 / len(setup.children)] * len(setup.children)
    if setup.setting("normalize_weights") is False:
        return list(given)
    total = sum(given) if given else 1
    if not total:
        raise Raised("ZeroDivisionError", "division by zero")
    return [weight / total for weight in given]
