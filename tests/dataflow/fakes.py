"""A recorded forward made of formulas in Python, and the modules of the room that would record and run a real one."""

from __future__ import annotations

import sys
from collections.abc import Callable
from types import ModuleType
from typing import Any, NamedTuple

import pytest

Shapes = dict[str, list[tuple[int, ...]]]


class Conflict(NamedTuple):
    module: str
    text: str
    op: str = "add"
    source: str = ""
    operands: tuple[tuple[int, ...], ...] = ()


class Moved(NamedTuple):
    outputs: dict[str, tuple[int, ...]]
    modules: Shapes
    unknown: dict[str, str]
    conflict: Conflict | None


class Graph:
    """What a flow is made from; `moves` is what the propagator says under some sizes."""

    def __init__(self, moves: Callable[[dict[str, int]], Moved]) -> None:
        self.moves = moves
        self.model_class = "TinyForCausalLM"
        self.backend = "sdpa"
        self.symbols = ("batch", "seq")
        self.inputs: dict[str, list[object]] = {"input_ids": ["batch", "seq"], "table": [7, "seq"]}
        self.constants = frozenset({0, 2, 16, 29, 64, 32000})


class FlowProblem(Exception):
    pass


class NotRecorded(FlowProblem):
    """Stands for that of adaptlint.dataflow.load."""


class Unsteady(FlowProblem):
    pass


def decoder(sizes: dict[str, int]) -> Moved:
    """Three layers with attention and a list of two parts, a head, and a module that nothing is known about."""
    batch, seq = sizes["batch"], sizes["seq"]
    modules: Shapes = {"model.embed": [(batch, seq, 16)]}
    for layer in range(3):
        modules[f"model.layers.{layer}.attn"] = [(batch, seq, 16), (batch, 4, seq, seq)]
        modules[f"model.layers.{layer}.parts.0"] = [(batch * seq, 64)]
        modules[f"model.layers.{layer}.parts.1"] = [(batch * seq, 64 if layer < 2 else 32)]
        modules[f"model.layers.{layer}"] = [(batch, seq, 16)]
    modules["model"] = [(batch, seq, 16)]
    modules["head"] = [(batch, seq, 32000)]
    modules["nothing"] = []
    modules[""] = [(batch, seq, 32000)]
    return Moved({"logits": (batch, seq, 32000)}, modules, {"model.odd\x1b": "an operation without a rule"}, None)


def install(monkeypatch: pytest.MonkeyPatch, moves: Callable[[dict[str, int]], Moved] = decoder) -> list[Any]:
    """Put the fakes where the real modules are; returns a list that gets the arguments of every `load_flow`."""
    asked: list[Any] = []

    def load_flow(model: str, model_class: str | None, attn: str, **options: bool) -> tuple[Graph, str]:
        asked.append((model, model_class, attn, options))
        if model == "nowhere":
            raise FlowProblem("nowhere\x1b has no forward that could be recorded.")
        return Graph(moves), "live"

    load: Any = ModuleType("adaptlint.dataflow.load")
    load.load_flow, load.FlowProblem, load.Unsteady = load_flow, FlowProblem, Unsteady
    load.NotRecorded = NotRecorded
    propagating: Any = ModuleType("adaptlint.dataflow.propagate")
    propagating.propagate = lambda graph, sizes: graph.moves(sizes)
    for module in (load, propagating):
        monkeypatch.setitem(sys.modules, module.__name__, module)
    return asked
