"""A real forward recorded once on meta tensors. The one file of this room that imports torch, inside its functions.

Operations are seen where Python calls them (a torch function mode), before torch takes them apart; the sizes that a
model reads from a tensor's shape are handed out as integers that remember the tensor and the axis.
Facts about torch: torch 2.13, overrides.py (TorchFunctionMode), nn/modules/module.py (global forward hooks).
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager

from adaptlint.dataflow.checks import checks_in
from adaptlint.dataflow.constants import constant_at
from adaptlint.dataflow.flow_graph import Guard, Node
from adaptlint.dataflow.recording import Place
from adaptlint.dataflow.tagged import TaggedInt, term_of
from adaptlint.hints import Any

PROPERTIES = ("T", "mT", "H", "data", "real", "imag")  # attributes that are tensors of their own
ASKED = (
    "__bool__",
    "__contains__",
    "item",
    "__int__",
    "__float__",
    "__index__",
    "tolist",
)  # what a meta tensor cannot answer
OWN = ("adaptlint", "torch")  # frames of these packages are no source of the model's
MAX_NODES = 200_000


class TooLong(Exception):
    """A forward of more operations than are recorded."""


class Recorder:
    """The nodes and guards of one forward; `tensors` keeps every tensor alive, so that no id comes twice."""

    def __init__(self, torch: Any, model: Any, inputs: dict[str, Any]) -> None:
        self.torch = torch
        self.nodes: list[Node] = []
        self.guards: list[Guard] = []
        self.assumed: list[tuple[str, str]] = []
        self.modules: dict[str, tuple[list[tuple[int, int]], int, Place]] = {}
        self.places: list[Place] = []
        self.guard_places: list[Place] = []
        self.tensors: list[Any] = []
        self.known: dict[int, tuple[int, int]] = {}
        self.names = {id(module): path for path, module in model.named_modules()}
        self.paths = {path: id(module) for path, module in model.named_modules(remove_duplicate=False)}
        self.stack: list[tuple[str, Place]] = [("", ("", 0))]
        self.calls = 0
        self.leaves = {id(tensor): name for name, tensor in (*model.named_parameters(), *model.named_buffers())}
        for name, tensor in inputs.items():
            self._leaf(tensor, [name])

    def add(self, op: str, args: Any, kwargs: dict[str, Any], result: Any) -> None:
        """Note one operation and its outputs; what returns no tensor is noted only if it has an effect."""
        found = tensors_in(result, self.torch)
        if not found and op != "__setitem__" and not op.startswith("hub."):
            return
        if len(self.nodes) > MAX_NODES:
            raise TooLong
        told = [self.as_data(argument) for argument in args]
        named = {name: self.as_data(value) for name, value in kwargs.items()}
        shapes = [tuple(map(int, tensor.shape)) for tensor in found]
        kinds = [kind_of(tensor) for tensor in found]
        index = len(self.nodes)
        self._append(Node(op, self.stack[-1][0], source_line(), told, named, shapes, kinds, []))
        for output, tensor in enumerate(found):
            self.tensors.append(tensor)
            self.known[id(tensor)] = (index, output)

    def _append(self, node: Node) -> None:
        self.nodes.append(node)
        self.places.append(self.stack[-1][1])

    def reference(self, tensor: Any) -> tuple[int, int]:
        """The node and output of a tensor; a parameter, buffer or constant becomes a leaf when it is first met."""
        found = self.known.get(id(tensor))
        if found is None:
            found = self._leaf(tensor, [self.leaves[id(tensor)]] if id(tensor) in self.leaves else [])
        return found

    def _leaf(self, tensor: Any, name: list[str]) -> tuple[int, int]:
        place = (len(self.nodes), 0)
        with self.torch._C.DisableTorchFunction():
            shape, kind = tuple(map(int, tensor.shape)), kind_of(tensor)
        self._append(Node("", self.stack[-1][0], "", name, {}, [shape], [kind], []))
        self.tensors.append(tensor)
        self.known[id(tensor)] = place
        return place

    def size(self, tensor: Any, axis: int) -> TaggedInt:
        """One axis of a tensor's shape, with its term."""
        n, o = self.reference(tensor)
        axis = axis % max(tensor.dim(), 1)
        return TaggedInt(int(tensor.shape[axis]), ["size", n, o, axis], self.compared)

    def compared(self, left: Any, op: str, right: Any, held: bool) -> None:
        """A branch, or what may become one."""
        self.guards.append(Guard(len(self.nodes), left, op, right, held, source_line(), raised_else()))
        self.guard_places.append(self.stack[-1][1])

    def as_data(self, value: Any) -> Any:
        """An argument as flow_graph.py has it."""
        if isinstance(value, self.torch.Tensor):
            return {"n": list(self.reference(value))}
        if isinstance(value, TaggedInt):
            return {"e": value.term}
        if isinstance(value, tuple):
            return {"t": [self.as_data(part) for part in value]}
        if isinstance(value, list):
            told = [self.as_data(part) for part in value]
            return self._whole(told) or told
        if isinstance(value, slice):
            return {"s": [self.as_data(part) for part in (value.start, value.stop, value.step)]}
        if value is Ellipsis:
            return {"x": 0}
        if value is None or isinstance(value, bool | int | float | str):
            return value
        return {"o": str(value)[:80]}

    def _whole(self, told: list[Any]) -> Any:
        """All outputs of one operation in their order, which may be more at other sizes; else nothing."""
        first = told[0] if len(told) > 1 and isinstance(told[0], dict) else {}
        n = first.get("n", [-1])[0]
        if n < 0 or told != [{"n": [n, o]} for o in range(len(self.nodes[n].shapes))]:
            return None
        return {"a": n, "o": told}

    def entered(self, module: Any, *_: Any) -> None:
        """A module's forward begins."""
        above, place = self.stack[-1]
        path = self.names.get(id(module), above)
        layer = layer_of(path)
        if layer and self.paths.get(place[0] + path[len(layer) :]) == id(module):
            layer = place[0]  # one module that several layers have, as OpenAI GPT's activation
        if layer and layer == path:
            self.calls += 1
            place = (layer, self.calls)
        elif layer and layer != place[0]:
            place = (layer, 0)
        self.stack.append((path, place))

    def left(self, module: Any, _: Any, result: Any) -> None:
        """It ends; what it returned is noted."""
        path, place = self.stack[-1]
        if id(module) in self.names:
            refs = [self.reference(tensor) for tensor in tensors_in(result, self.torch)]
            self.modules[path] = (refs, len(self.nodes), place)
        self.stack.pop()


def layer_of(path: str) -> str:
    """The path up to its first number; "" where it has none."""
    parts = path.split(".")
    first = next((index for index, part in enumerate(parts) if _is_number(part)), None)
    return "" if first is None else ".".join(parts[: first + 1])


def _is_number(part: str) -> bool:
    return part.isascii() and part.isdecimal() and (part == "0" or part[0] != "0")


def tensors_in(value: Any, torch: Any) -> list[Any]:
    """Every tensor of a result, in order: of tuples, lists and mappings, and of nothing else."""
    if isinstance(value, torch.Tensor):
        return [value]
    if isinstance(value, dict):
        return [tensor for part in value.values() for tensor in tensors_in(part, torch)]
    if isinstance(value, list | tuple):
        return [tensor for part in value for tensor in tensors_in(part, torch)]
    return []


def kind_of(tensor: Any) -> str:
    """float, int, bool or complex."""
    text = str(tensor.dtype)
    if tensor.dtype.is_floating_point:
        return "float"
    return "complex" if tensor.dtype.is_complex else "bool" if text == "torch.bool" else "int"


def source_line() -> str:
    """The nearest line of the model's own code: "modeling_llama.py:193"."""
    frame = _outside(sys._getframe(2))
    return f"{frame.f_code.co_filename.replace(chr(92), '/').rpartition('/')[2]}:{frame.f_lineno}" if frame else ""


def raised_else() -> str:
    """What the model's own code raises where the comparison on its present line comes out otherwise; "" for nothing."""
    frame = _outside(sys._getframe(2))
    return checks_in(frame.f_code.co_filename).get(frame.f_lineno, "") if frame else ""


def _outside(frame: Any) -> Any:
    """The nearest frame of the model's own code."""
    while frame is not None and frame.f_globals.get("__name__", "").partition(".")[0] in OWN:
        frame = frame.f_back
    return frame


@contextmanager
def recording(torch: Any, recorder: Recorder) -> Iterator[None]:
    """Everything that Python asks of torch is seen, and every module's forward."""
    from torch.nn.modules import module as modules
    from torch.overrides import TorchFunctionMode

    class Mode(TorchFunctionMode):  # type: ignore[misc]
        def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
            return seen(recorder, func, args, kwargs or {})

    hooks = [
        modules.register_module_forward_pre_hook(recorder.entered),
        modules.register_module_forward_hook(recorder.left, always_call=True),
    ]
    try:
        with Mode(), torch.no_grad(), unasked(torch):
            yield
    finally:
        for hook in hooks:
            hook.remove()


@contextmanager
def unasked(torch: Any) -> Iterator[None]:
    """Questions about values that torch itself asks: distributions are not validated, nothing is zero for nonzero."""
    from torch.fx.experimental import _config

    distribution = torch.distributions.Distribution
    before = distribution._validate_args
    distribution.set_default_validate_args(False)
    try:
        with _config.patch(meta_nonzero_assume_all_nonzero=True):
            yield
    finally:
        distribution.set_default_validate_args(before)


def seen(recorder: Recorder, func: Any, args: Any, kwargs: dict[str, Any]) -> Any:
    """One call: shapes are answered with tagged sizes, questions about values by assumption, the rest is recorded."""
    name = getattr(func, "__name__", "")
    owner = getattr(func, "__self__", None)
    if name == "__get__":
        attribute = getattr(owner, "__name__", "")
        if attribute == "shape":
            return _shape(recorder, args[0])
        result = func(*args, **kwargs)
        if attribute in PROPERTIES:
            recorder.add(f".{attribute}", args[:1], {}, result)
        return result
    if name == "size":
        axis = args[1] if len(args) > 1 else kwargs.get("dim")
        return _shape(recorder, args[0]) if axis is None else recorder.size(args[0], int(axis))
    if name in ("numel", "nelement"):
        return _count(recorder, args[0])
    if name == "__bool__" and args[0].is_meta and id(args[0]) in recorder.known:
        held = constant_at(recorder.nodes, recorder.known[id(args[0])])
        if held is not None:
            return bool(held)
    if name in ASKED and args[0].is_meta:
        recorder.assumed.append((recorder.stack[-1][0], name))
        return _assumed(name, args[0])
    result = func(*args, **kwargs)
    recorder.add(name, args, kwargs, result)
    return result


def _shape(recorder: Recorder, tensor: Any) -> Any:
    return recorder.torch.Size([recorder.size(tensor, axis) for axis in range(tensor.dim())])


def _count(recorder: Recorder, tensor: Any) -> Any:
    count: Any = TaggedInt(1, 1, recorder.compared)
    for axis in range(tensor.dim()):
        count = count * recorder.size(tensor, axis)
    return TaggedInt(int(count), term_of(count), recorder.compared)


def _assumed(name: str, tensor: Any) -> Any:
    """The pessimistic answer: a mask has padding, a condition does not hold, a number is zero."""
    if name == "__bool__":
        return False
    if name == "__contains__":  # transformers 4 asks so whether there is a 0 in a mask
        return True
    if name == "tolist":
        return torch_zeros(tuple(map(int, tensor.shape)))
    return (
        0.0 if name == "__float__" else 0 if kind_of(tensor) == "int" else False if kind_of(tensor) == "bool" else 0.0
    )


def torch_zeros(shape: tuple[int, ...]) -> Any:
    """Nested lists of zeros."""
    return 0 if not shape else [torch_zeros(shape[1:]) for _ in range(shape[0])]
