"""Recordings of wrapped models, by the library that is installed: one config, one class, one backend.

deberta's scripted functions are run as Python: PYTORCH_JIT=0 must be in the environment.
"""

from __future__ import annotations

import json
import traceback
import warnings
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from copy import deepcopy
from typing import Any

from adaptlint.bases.base import BaseProblem
from adaptlint.bases.classes import choose
from adaptlint.bases.meta_build import import_libraries, silence
from adaptlint.dataflow import record
from adaptlint.dataflow.flow_graph import FlowGraph
from adaptlint.dataflow.fold import fold
from adaptlint.dataflow.kernels import standing_in, taken_for_installed
from adaptlint.dataflow.load import FlowProblem
from adaptlint.dataflow.shims import put
from adaptlint.dataflow.wrapped import as_operations
from tests.hub.graph_repeats import without_collected

BACKENDS = ("eager", "sdpa", "flash_attention_2")
UNSUPPORTED = "does not support"
BETWEEN = ("torch/nn/modules/module.py", "torch/utils/_device.py", "torch/overrides.py")
"""Files of torch that hand a call on."""
LIBRARIES = ("transformers", "adapters")
Recorded = FlowGraph | dict[str, Any] | str
"""A graph; {"raises": [type, text]}; or why there is neither."""


def forwards(config: dict[str, Any], model_class: str, backend: str) -> dict[str, Recorded]:
    """What became of the forward with an attention mask and without."""
    names = (f"{backend}.mask", f"{backend}.no_mask")
    config = {name: value for name, value in config.items() if name not in ("torch_dtype", "dtype")}
    with warnings.catch_warnings(), silence():
        warnings.simplefilter("ignore")
        try:
            built = record.build(deepcopy(config), model_class, backend)
            if type(built.model).__name__ != model_class:
                return dict.fromkeys(names, f"transformers takes {type(built.model).__name__}")
            import adapters  # type: ignore[import-not-found, unused-ignore]

            with built.torch.device("meta"):
                adapters.init(built.model)
            for _ in built.model.iter_layers():  # numbers them
                pass
        except FlowProblem as problem:
            refused = refusal(config, model_class, backend) or str(problem)
            return dict.fromkeys(names, refused)
        except Exception as error:
            return dict.fromkeys(names, f"cannot be wrapped: {type(error).__name__}: {error}"[:300])
        found: Recorded = "no recipe"
        for recipe in built.recipes:  # a class that refuses one may take the next
            built = built._replace(inputs=recipe)
            found = _forward(built)
            if not isinstance(found, str):
                break
        bare = {name: entry for name, entry in built.inputs.items() if name != "attention_mask"}
        return {names[0]: found, names[1]: _forward(built._replace(inputs=bare))}


def refusal(config: dict[str, Any], model_class: str, backend: str) -> dict[str, Any] | None:
    """What the class or a part of it raises when it is built for a backend it does not support; None for nothing."""
    libraries = import_libraries()
    choice = choose(libraries, deepcopy(config), deepcopy(config), model_class)
    if isinstance(choice, BaseProblem):
        return None
    try:
        with libraries.torch.device("meta"), taken_for_installed(backend):
            choice.model_class._from_config(choice.config, attn_implementation=backend)
    except Exception as error:  # a config's values provoke others, which say nothing about the backend
        if isinstance(error, ValueError | ImportError) and UNSUPPORTED in str(error):
            return {"raises": [type(error).__name__, str(error)]}
    return None


def _forward(built: record.Built) -> Recorded:
    sizes = {name: record.FIRST[name] for name in built.symbols}
    with put(record, "standing_in", _both(standing_in)):
        try:
            return without_collected(fold(record.trace_at(built, sizes)))
        except FlowProblem as problem:
            return raised(problem) or str(problem)


def raised(problem: FlowProblem) -> dict[str, Any] | None:
    """What the libraries' own Python raised; None for what a meta tensor or torch could not do.

    An index too many is the same error on every device.
    """
    cause = problem.__context__
    while isinstance(cause, FlowProblem):
        cause = cause.__context__
    if not isinstance(cause, AttributeError | ImportError | IndexError):
        return None
    frames = [frame.filename.replace("\\", "/") for frame in traceback.extract_tb(cause.__traceback__)]
    inside = [file for file in frames if "/adaptlint/" not in file and not file.endswith(BETWEEN)]
    if not inside or not any(f"/{name}/" in inside[-1] for name in LIBRARIES):
        return None
    return {"raises": [type(cause).__name__, str(cause)]}


def _both(kernels: Any) -> Any:
    """The kernels' place-holders, and the library's layers as operations."""

    @contextmanager
    def standing_in(torch: Any, recorder: Any, model: Any, backend: str) -> Iterator[None]:
        with ExitStack() as stack:
            stack.enter_context(kernels(torch, recorder, model, backend))
            stack.enter_context(as_operations(torch, recorder, model))
            stack.enter_context(_counted_spans())
            yield

    return standing_in


@contextmanager
def _counted_spans() -> Iterator[None]:
    """DeBERTa's span of positions as a number: since 4.48 transformers makes a tensor of it and slices by its value."""
    from transformers.models.deberta import modeling_deberta

    if hasattr(modeling_deberta, "compute_attention_span"):
        with put(modeling_deberta, "compute_attention_span", _span):
            yield
    else:
        yield


def _span(queries: Any, keys: Any, most: int) -> int:
    return min(max(queries.size(-2), keys.size(-2)), most)


def plain(value: Any) -> Any:
    """As JSON gives it back."""
    return json.loads(json.dumps(value, default=str))


def comparable(graph: FlowGraph) -> Any:
    """What a filled template has to equal: everything but floats, which are the modules' own, and what is no shape."""
    told = {name: value for name, value in graph.to_json().items() if name not in ("constants", "assumed")}
    return _without_floats(plain(told))


def _without_floats(value: Any) -> Any:
    if isinstance(value, list):
        return [_without_floats(part) for part in value]
    if isinstance(value, dict):
        return {name: _without_floats(part) for name, part in value.items()}
    return 0.5 if isinstance(value, float) else value


def difference(left: Any, right: Any, path: str = "") -> str:
    """Where two comparable graphs differ first; "" where they do not."""
    if type(left) is type(right) and isinstance(left, list) and len(left) == len(right):
        return next(
            (d for at, pair in enumerate(zip(left, right, strict=True)) if (d := difference(*pair, f"{path}/{at}"))), ""
        )
    if isinstance(left, dict) and isinstance(right, dict) and left.keys() == right.keys():
        return next((found for name in left if (found := difference(left[name], right[name], f"{path}/{name}"))), "")
    return "" if left == right else f"{path}: {left} is {right}"[:300]
