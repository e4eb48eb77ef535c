"""Weights cut and widened anywhere in small models of many kinds, against the real forward with such weights."""

from __future__ import annotations

import copy
import random
from typing import Any

import pytest

from adaptlint.dataflow.changes import Changes
from tests.dataflow.test_replication import PAIRS, agrees, graph_of, model_of, really

torch = pytest.importorskip("torch")

DRAWN = 12  # for each model and backend


def resized(source: random.Random, model: Any) -> dict[str, tuple[int, ...]]:
    """Shapes by parameter name: one or two weights with an axis cut or widened, with or without their bias."""
    weights = [name for name, parameter in model.named_parameters() if parameter.dim() in (1, 2)]
    shapes: dict[str, tuple[int, ...]] = {}
    for name in source.sample(weights, source.choice((1, 1, 2))):
        shape = list(model.get_parameter(name).shape)
        axis = source.randrange(len(shape))
        shape[axis] = source.choice((shape[axis] // 2, shape[axis] * 2, shape[axis] + 8))
        shapes[name] = tuple(shape)
        bias = name.replace(".weight", ".bias")
        names = {each for each, _ in model.named_parameters()}
        if name != bias and bias in names and axis == 0 and source.random() < 0.7:
            shapes[bias] = (shape[0],)
    return shapes


def with_weights(model: Any, shapes: dict[str, tuple[int, ...]]) -> Any:
    """A copy of the model that holds zeros of these shapes."""
    changed = copy.deepcopy(model)
    names = [*changed.named_parameters(remove_duplicate=False)]
    for name, shape in shapes.items():
        weight, before = torch.nn.Parameter(torch.zeros(shape)), changed.get_parameter(name)
        for path, _, last in (each.rpartition(".") for each, tied in names if tied is before):
            setattr(changed.get_submodule(path), last, weight)
    return changed


@pytest.mark.parametrize(("name", "backend"), PAIRS)
@pytest.mark.filterwarnings("ignore")
def test_other_widths_fail_where_they_do_for_real(name: str, backend: str) -> None:
    graph, model = graph_of(name, backend), model_of(name, backend)
    source = random.Random(f"widths {name} {backend}")
    told = 0
    for _ in range(DRAWN):
        shapes = resized(source, model)
        sizes = {symbol: {"batch": 2, "seq": 7, "decoder_seq": 5}[symbol] for symbol in graph.symbols}
        told += agrees(graph, sizes, Changes(shapes), really(with_weights(model, shapes), sizes, {}))
    assert told >= 0.8 * DRAWN
