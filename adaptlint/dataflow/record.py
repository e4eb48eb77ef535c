"""A graph from a config: the class is built on the meta device, and its forward recorded twice.

The second recording, at other sizes, is what the graph has to reproduce before anybody may use it.
"""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext

from adaptlint.bases.base import BaseProblem
from adaptlint.bases.classes import choose
from adaptlint.bases.meta_build import import_libraries, silence
from adaptlint.bases.wanted import buildable, refuse_absurd
from adaptlint.dataflow.flow_graph import FlowGraph, integers, size_of, symbols_of
from adaptlint.dataflow.fold import fold
from adaptlint.dataflow.inputs import Input, Recipe, axes_of, recipes_of, taken_by
from adaptlint.dataflow.kernels import FLASH, standing_in, supports, taken_for_installed
from adaptlint.dataflow.load import FlowProblem
from adaptlint.dataflow.prefix import PREFIX, NoCacheError, handed_in, prefixed
from adaptlint.dataflow.propagate import propagate
from adaptlint.dataflow.recording import Recording
from adaptlint.dataflow.shims import given_a_language, with_numbers
from adaptlint.dataflow.tagged import ConfigTags
from adaptlint.dataflow.trace import Recorder, TooLong, recording
from adaptlint.hints import Any
from adaptlint.named_tuple import NamedTuple

# small enough for most tables of positions
FIRST = {"batch": 31, "seq": 37, "decoder_seq": 41, "question_seq": 23, "frames": 211, "samples": 4001, "patches": 61}
SECOND = {"batch": 43, "seq": 29, "decoder_seq": 47, "question_seq": 19, "frames": 173, "samples": 5009, "patches": 71}
FIRST[PREFIX], SECOND[PREFIX] = 7, 11
NARROW = "BF16"  # what grouped_mm's meta kernel says to anything else


class Recorded(NamedTuple):
    """A graph, and why it may not be propagated ("" where it may)."""

    graph: FlowGraph
    doubt: str


class Built(NamedTuple):
    """A model on the meta device, ready to be run with `inputs`, which is one of `recipes`."""

    torch: Any
    model: Any
    recipes: list[Recipe]
    inputs: Recipe
    backend: str
    transformers: str
    options: dict[str, Any]
    tags: ConfigTags | None = None

    @property
    def symbols(self) -> list[str]:
        """The sizes that are free, in the order of the inputs' axes."""
        return list(symbols_of(axis for entry in self.inputs.values() for axis in entry.axes))


def record(
    config: dict[str, Any],
    asked: str | None,
    backend: str,
    sizes: dict[str, int] | None = None,
    *,
    prefix: bool = False,
) -> Recorded:
    """Build, record twice, compare. Raises FlowProblem where the forward cannot be recorded at all.

    `sizes` fixes some of the symbols: the branches of the forward are then those that are taken at these sizes. With
    `prefix` it is handed keys and values of so many earlier positions (see prefix.py).
    """
    with silence():
        built = build(config, asked, backend)
        if prefix:
            return _twice(_behind_a_prefix(built._replace(inputs=built.recipes[-1])), sizes)
        for recipe in built.recipes[:-1]:  # a richer one serves where its forward can be told to the end
            built = built._replace(inputs=recipe)
            try:
                found = _twice(built, sizes)
            except FlowProblem:
                continue
            if not found.doubt and not propagate(found.graph, _at(SECOND, built, sizes)).unknown:
                return found
        return _twice(built._replace(inputs=built.recipes[-1]), sizes)


def _at(known: dict[str, int], built: Built, sizes: dict[str, int] | None) -> dict[str, int]:
    return {name: known[name] for name in built.symbols} | (sizes or {})


def _twice(built: Built, sizes: dict[str, int] | None) -> Recorded:
    graph, second = fold(trace_at(built, _at(FIRST, built, sizes))), _at(SECOND, built, sizes)
    return Recorded(graph, _doubt(graph, trace_at(built, second), second))


def build(config: dict[str, Any], asked: str | None, backend: str, tags: ConfigTags | None = None) -> Built:
    """The class's own modules on the meta device, and inputs for them; with `tags` these are put into the config.

    Raises FlowProblem.
    """
    problem = refuse_absurd(config)
    if problem:
        raise FlowProblem(f"The config cannot be built: {problem.reason}.")
    libraries = import_libraries()
    choice = choose(libraries, buildable(config), config, asked)
    if isinstance(choice, BaseProblem):
        raise FlowProblem(f"No class of transformers fits this config: {choice.reason}.")
    name = choice.model_class.__name__
    if not supports(choice.model_class, backend):
        raise FlowProblem(f"{name} does not support {backend}, by its own word.")
    torch = libraries.torch
    if tags is not None:
        tags.put_into(choice.config)
    try:
        with torch.device("meta"), with_numbers(torch), taken_for_installed(backend), _kept(tags, choice.model_class):
            model = choice.model_class._from_config(choice.config, attn_implementation=backend).eval()
            model.to("meta")  # a few parameters are made by constructors that know no default device
    except Exception as error:  # transformers raises whatever a config's values provoke
        raise FlowProblem(f"{name} cannot be built for {backend}: {_said(error)}.") from None
    taken = getattr(model.config, "_attn_implementation", backend)
    if taken != backend:  # some classes have their own choice of kernels
        raise FlowProblem(f"{name} takes {taken} where {backend} is asked for.")
    if backend == FLASH:  # the kernel takes no others than half-precision numbers
        model.to(torch.bfloat16)
    given_a_language(model)
    found = recipes_of(model, model.config.to_dict())
    if not found:
        raise FlowProblem(f"There is no recipe for the inputs of {name} yet.")
    options = {"use_cache": False} if "use_cache" in taken_by(model) else {}
    release = str(libraries.transformers.__version__)
    return Built(torch, model, found, found[0], backend, release, options, tags)


def _kept(tags: ConfigTags | None, model_class: type) -> AbstractContextManager[None]:
    return nullcontext() if tags is None else tags.kept_in(model_class)


def trace_at(built: Built, sizes: dict[str, int]) -> Recording:
    """One recorded forward at these sizes. Raises FlowProblem."""
    torch, model = built.torch, built.model
    recorder, result = _forward(built, sizes, built.options)
    fields = result.items() if isinstance(result, dict) else ()
    return Recording(
        type(model).__name__,
        built.backend,
        built.transformers,
        axes_of(built.inputs),
        {name: entry.bound for name, entry in built.inputs.items()},
        recorder.nodes,
        recorder.places,
        recorder.guards,
        recorder.guard_places,
        recorder.modules,
        {name: recorder.reference(value) for name, value in fields if isinstance(value, torch.Tensor)},
        recorder.assumed,
        frozenset(integers(model.config.to_dict())),
    )


def _forward(built: Built, sizes: dict[str, int], options: dict[str, Any]) -> tuple[Recorder, Any]:
    """What was recorded and returned, in bfloat16 where an operation demands it. Raises FlowProblem."""
    try:
        return _forward_as_is(built, sizes, options)
    except FlowProblem as problem:
        if NARROW not in str(problem) or built.model.dtype is built.torch.bfloat16:
            raise
        built.model.to(built.torch.bfloat16)
        return _forward_as_is(built, sizes, options)


def _forward_as_is(built: Built, sizes: dict[str, int], options: dict[str, Any]) -> tuple[Recorder, Any]:
    torch, model = built.torch, built.model
    given = {name: _empty(built, entry, sizes) for name, entry in built.inputs.items()}
    recorder = Recorder(torch, model, given)
    if built.tags is not None:
        built.tags.forward = recorder.compared
    try:
        with (
            recording(torch, recorder),
            torch.device("meta"),
            standing_in(torch, recorder, model, built.backend),
            _kept(built.tags, type(model)),
        ):
            return recorder, model(**(handed_in(given) if PREFIX in built.symbols else {**given, **options}))
    except TooLong:
        raise FlowProblem("The forward has more operations than are recorded.") from None
    except Exception as error:
        told = f"{type(error).__name__}: {_said(error)}"
        raise FlowProblem(f"The forward cannot be run on meta tensors: {told}.") from None


def _behind_a_prefix(built: Built) -> Built:
    try:
        _, result = _forward(built, _at(FIRST, built, None), dict.fromkeys(built.options, True))
        cache = getattr(result, "past_key_values", None)
        return built._replace(inputs=prefixed(built.inputs, cache, FIRST["batch"]))
    except NoCacheError as problem:
        raise FlowProblem(f"{type(built.model).__name__} takes no prefix: {problem}.") from None


def _empty(built: Built, entry: Input, sizes: dict[str, int]) -> Any:
    torch = built.torch
    shape = [size_of(axis, sizes) for axis in entry.axes]
    return torch.empty(shape, dtype=torch.long if entry.kind == "int" else built.model.dtype, device="meta")


def _said(error: Exception) -> str:
    return " ".join(str(error).split())[:300]


def _doubt(graph: FlowGraph, other: Recording, sizes: dict[str, int]) -> str:
    """Why the graph does not give what the second recording saw; "" where it does."""
    runs = [(graph.templates[run.template].nodes, run.times) for run in graph.runs]
    if [node.op for nodes, times in runs for _ in range(times) for node in nodes] != [node.op for node in other.nodes]:
        return "its forward has other operations at other sizes, as a loop over the sequence has"
    moved = propagate(graph, sizes)
    if moved.conflict is not None:
        return f"{moved.conflict.op} at {moved.conflict.source} seems to fail where it does not"
    found = (outputs for calls in moved.calls for _ in range(calls.times) for outputs in calls.results)
    for node, outputs in zip(other.nodes, found, strict=True):
        if not isinstance(outputs, str) and [value.shape for value in outputs] != node.shapes:
            return (
                f"{node.op or 'a leaf'} at {node.source} comes out as {[v.shape for v in outputs]}, not {node.shapes}"
            )
    return ""
