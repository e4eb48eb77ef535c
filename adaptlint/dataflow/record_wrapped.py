"""A forward of a model that the installed `adapters` has wrapped, recorded with its layers as operations."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module

from adaptlint.bases.meta_build import silence
from adaptlint.dataflow import record
from adaptlint.dataflow.flow_graph import FlowGraph
from adaptlint.dataflow.fold import fold
from adaptlint.dataflow.kernels import standing_in
from adaptlint.dataflow.load import FlowProblem
from adaptlint.dataflow.shims import put
from adaptlint.dataflow.wrapped import as_operations
from adaptlint.hints import Any

MASK = "attention_mask"


def record_wrapped(config: dict[str, Any], asked: str | None, backend: str, *, masked: bool) -> FlowGraph:
    """The graph of the class after `adapters.init`, with an attention mask or without one. Raises FlowProblem."""
    if "torch" not in sys.modules:  # torch reads it once: functions that a model has compiled are then plain Python
        os.environ.setdefault("PYTORCH_JIT", "0")
    with silence():
        built = record.build(config, asked, backend)
        try:
            with built.torch.device("meta"):
                import_module("adapters").init(built.model)
        except Exception as error:  # the library raises whatever a model provokes
            raise FlowProblem(f"{type(built.model).__name__} cannot be wrapped: {error}.") from None
        inputs = {name: entry for name, entry in built.inputs.items() if masked or name != MASK}
        built = built._replace(inputs=inputs)
        with put(record, "standing_in", _with_layers(standing_in)):
            return fold(record.trace_at(built, {name: record.FIRST[name] for name in built.symbols}))


def _with_layers(kernels: Any) -> Any:
    """The kernels' place-holders, and the library's layers as operations."""

    @contextmanager
    def both(torch: Any, recorder: Any, model: Any, backend: str) -> Iterator[None]:
        with kernels(torch, recorder, model, backend), as_operations(torch, recorder, model):
            yield

    return both
