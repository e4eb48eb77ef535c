"""Forwards behind a prefix of keys and values, right and wrong ones, against the real model that is handed the same."""

from __future__ import annotations

import json
from functools import cache
from typing import Any

import pytest

from adaptlint.dataflow.changes import Changes, Resize
from adaptlint.dataflow.inputs import axes_of, recipes_of
from tests.conftest import ROOT
from tests.dataflow.real import inputs_for
from tests.dataflow.test_replication import model_of

torch = pytest.importorskip("torch")
transformers = pytest.importorskip("transformers")

BASES = ROOT / "fixtures" / "bases"
NAMES = ("tiny-llama", "tiny-gpt2", "tiny-opt", "tiny-gpt-neox", "tiny-mixtral", "tiny-t5", "tiny-bloom")
PAIRS = [
    (name, backend) for name in NAMES for backend in ("eager", "sdpa") if (name, backend) != ("tiny-bloom", "sdpa")
]
SIZES = {"batch": 3, "seq": 5, "decoder_seq": 4, "prefix": 3}
FIRST_PAIR = ("past.0.key", "past.0.value")
WRONG = {
    "heads": dict.fromkeys(FIRST_PAIR, Resize(axis=1, times=2)),
    "head size": dict.fromkeys(FIRST_PAIR, Resize(axis=3, plus=2)),
    "one row": dict.fromkeys(FIRST_PAIR, Resize(axis=0, plus=-2)),
    "keys and values": {"past.0.key": Resize(axis=2, plus=1)},
    "a longer first layer": dict.fromkeys(FIRST_PAIR, Resize(axis=2, plus=2)),
    "mask of too few rows": {"attention_mask": Resize(axis=0, plus=-1)},
}


@cache
def graph_of(name: str, backend: str) -> Any:
    from adaptlint.dataflow.record import record

    graph, doubt = record(json.loads((BASES / name / "config.json").read_text()), None, backend, prefix=True)
    assert doubt == ""
    return graph


def really(model: Any, graph: Any, changed: dict[str, Resize]) -> tuple[str, dict[str, list[tuple[int, ...]]]]:
    """The module that raises, else "", and the shapes of everything that modules returned."""
    from adaptlint.dataflow.prefix import handed_in
    from adaptlint.dataflow.trace import tensors_in

    given = inputs_for(model, SIZES, axes_of(recipes_of(model, model.config.to_dict())[-1]))
    for name, axes in graph.inputs.items():
        if name.startswith("past.") or name in changed or name == "attention_mask":
            shape = [axis if isinstance(axis, int) else sum(SIZES[part] for part in axis.split(" + ")) for axis in axes]
            resize = changed.get(name, Resize())
            shape[resize.axis] = shape[resize.axis] * int(resize.times) + int(resize.plus)
            given[name] = torch.randn(shape)
            if name == "attention_mask":
                given[name] = torch.ones(shape, dtype=torch.long)
                given[name][0, 0] = 0
    inside: list[str] = []
    found: dict[str, list[tuple[int, ...]]] = {}
    hooks = []
    for path, module in model.named_modules():

        def enter(_: Any, __: Any, path: str = path) -> None:
            inside.append(path)

        def leave(_: Any, __: Any, result: Any, path: str = path) -> None:
            found[path] = [tuple(tensor.shape) for tensor in tensors_in(result, torch)]
            inside.pop()

        hooks += [module.register_forward_pre_hook(enter), module.register_forward_hook(leave)]
    try:
        with torch.no_grad():
            model(**handed_in(given))
    except (RuntimeError, IndexError, ValueError):
        return inside[-1], found
    finally:
        for hook in hooks:
            hook.remove()
    return "", found


@pytest.mark.parametrize(("name", "backend"), PAIRS)
@pytest.mark.filterwarnings("ignore")
def test_every_module_gives_what_it_gives_behind_a_real_prefix(name: str, backend: str) -> None:
    from adaptlint.dataflow.propagate import propagate

    graph = graph_of(name, backend)
    moved = propagate(graph, SIZES)
    raised, shapes = really(model_of(name, backend), graph, {})
    assert (moved.conflict, moved.unknown, raised) == (None, {}, "")
    assert {path: found for path, found in moved.modules.items() if shapes[path] != found} == {}


@pytest.mark.parametrize("fault", WRONG)
@pytest.mark.parametrize(("name", "backend"), PAIRS)
@pytest.mark.filterwarnings("ignore")
def test_a_prefix_that_does_not_fit_fails_where_it_does_for_real(name: str, backend: str, fault: str) -> None:
    from adaptlint.dataflow.propagate import propagate

    graph = graph_of(name, backend)
    moved = propagate(graph, SIZES, Changes(inputs=WRONG[fault]))
    raised, _ = really(model_of(name, backend), graph, WRONG[fault])
    if moved.conflict is not None:
        assert raised == moved.conflict.module, moved.conflict
    elif not moved.unknown:
        assert raised == ""


def test_most_faults_of_a_prefix_are_told() -> None:
    from adaptlint.dataflow.propagate import propagate

    moves = [propagate(graph_of(*pair), SIZES, Changes(inputs=wrong)) for pair in PAIRS for wrong in WRONG.values()]
    told = [moved for moved in moves if moved.conflict is not None or not moved.unknown]
    assert len(told) > 0.6 * len(moves)
