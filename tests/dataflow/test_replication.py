"""Batches that some modules replicate: a recorded forward against real ones with hooks that repeat the rows."""

from __future__ import annotations

import json
import random
import re
from functools import cache
from typing import Any

import pytest

from adaptlint.dataflow.changes import Changes, Resize
from adaptlint.dataflow.inputs import axes_of, recipes_of, taken_by
from tests.conftest import ROOT
from tests.dataflow.real import inputs_for

torch = pytest.importorskip("torch")
transformers = pytest.importorskip("transformers")

BASES = ROOT / "fixtures" / "bases"
NAMES = ("tiny-llama", "tiny-bert", "tiny-t5", "tiny-gpt2", "tiny-opt", "tiny-gpt-neox", "tiny-bloom", "tiny-vit")
PAIRS = [
    (name, backend) for name in NAMES for backend in ("eager", "sdpa") if (name, backend) != ("tiny-bloom", "sdpa")
]
DRAWN = 12  # for each model and backend


@cache
def graph_of(name: str, backend: str) -> Any:
    from adaptlint.dataflow.record import record

    graph, doubt = record(json.loads((BASES / name / "config.json").read_text()), None, backend)
    assert doubt == ""
    return graph


@cache
def model_of(name: str, backend: str) -> Any:
    config = transformers.AutoConfig.from_pretrained(BASES / name)
    built = getattr(transformers, graph_of(name, backend).model_class)
    return built._from_config(config, attn_implementation=backend).eval()


def really(model: Any, sizes: dict[str, int], factors: dict[str, int]) -> tuple[str, Any]:
    """The module in which the forward raises and the exception's class; else "" and the first output's shape."""
    inside: list[str] = []
    hooks = []
    for path, module in model.named_modules():

        def enter(_: Any, __: Any, path: str = path) -> None:
            inside.append(path)

        def leave(_: Any, __: Any, result: Any, path: str = path) -> Any:
            if result is None:
                return None
            inside.pop()
            return result.repeat(factors[path], *[1] * (result.dim() - 1)) if path in factors else None

        hooks += [module.register_forward_pre_hook(enter), module.register_forward_hook(leave)]
    axes = axes_of(recipes_of(model, model.config.to_dict())[-1])
    given = inputs_for(model, sizes, axes)
    try:
        with torch.no_grad():
            result = model(**given, **({"use_cache": False} if "use_cache" in taken_by(model) else {}))
    except (RuntimeError, IndexError, ValueError) as problem:
        return inside[-1], type(problem).__name__
    finally:
        for hook in hooks:
            hook.remove()
    return "", tuple(result[0].shape)


def agrees(graph: Any, sizes: dict[str, int], changes: Changes, real: tuple[str, Any]) -> bool:
    """Whether anything is told of the changed forward; what is told has to be what `really` saw."""
    from adaptlint.dataflow.propagate import propagate

    moved = propagate(graph, sizes, changes)
    if moved.conflict is not None:
        assert real[0] == moved.conflict.module, (changes, sizes, moved.conflict, real)
    elif not moved.unknown:
        assert real == ("", next(iter(moved.outputs.values()))), (changes, sizes)
    return moved.conflict is not None or not moved.unknown


def drawn(source: random.Random, model: Any) -> dict[str, int]:
    """Linear layers that repeat the batch: one alone, those of one name in one layer, or some of them anywhere."""
    linears = [path for path, module in model.named_modules() if type(module).__name__ in ("Linear", "Conv1D")]
    kind = source.randrange(3)
    if kind == 0:
        chosen = [source.choice(linears)]
    elif kind == 1:
        parent = source.choice(linears).rpartition(".")[0]
        chosen = [path for path in linears if path.rpartition(".")[0] == parent and source.random() < 0.7]
    else:
        chosen = source.sample(linears, source.randint(1, 3))
    return dict.fromkeys(chosen, source.choice((2, 3)))


@pytest.mark.parametrize(("name", "backend"), PAIRS)
@pytest.mark.filterwarnings("ignore")
def test_replicated_rows_fail_where_they_do_for_real(name: str, backend: str) -> None:
    graph, model = graph_of(name, backend), model_of(name, backend)
    source = random.Random(f"{name} {backend}")
    told = 0
    for _ in range(DRAWN):
        factors = drawn(source, model)
        sizes = {
            symbol: {"batch": source.choice((1, 2)), "seq": 7, "decoder_seq": 5}[symbol] for symbol in graph.symbols
        }
        changes = Changes(modules={path: Resize(times=factor) for path, factor in factors.items()})
        told += agrees(graph, sizes, changes, really(model, sizes, factors))
    assert told >= 0.8 * DRAWN


def leaving(name: str, modules: tuple[str, ...], backend: str = "eager") -> Any:
    """What becomes of a model whose modules of these names in its first layer replicate the batch n times."""
    from adaptlint.dataflow.explain import explain

    model = model_of(name, backend)
    first = [path for path, _ in model.named_modules() if path.rpartition(".")[2] in modules and ".0." in path]
    return explain(graph_of(name, backend), Changes(modules={path: Resize(times="n") for path in first}))


def test_the_cause_is_the_view_and_not_the_product() -> None:
    found = leaving("tiny-llama", ("q_proj", "v_proj"))
    attention = "model.layers.0.self_attn"
    assert (found.conflict.op, found.conflict.module) == ("matmul", attention)
    assert found.operands == [["batch", "4*n", "seq", 8], ["batch", 4, 8, "seq"]]
    assert found.makers == [f"{attention}.q_proj", f"{attention}.k_proj"]
    assert (found.leak.op, found.leak.module, found.leak.source.partition(":")[0]) == (
        "view",
        attention,
        "modeling_llama.py",
    )
    assert (found.leak.taken, found.leak.given) == (["batch*n", "seq", 32], ["batch", "seq", "4*n", 8])


def test_a_position_bias_is_named_as_the_other_side() -> None:
    found = leaving("tiny-t5", ("q", "k", "v"))
    assert found.conflict.op == "add"
    assert found.makers[1].endswith("relative_attention_bias")
    assert found.operands[1] == [1, 4, "seq", "seq"]


def test_a_batch_of_one_hides_what_a_larger_one_shows() -> None:
    model = model_of("tiny-bert", "eager")
    path = next(path for path, _ in model.named_modules() if path.endswith("intermediate.dense"))
    from adaptlint.dataflow.explain import explain

    found = explain(graph_of("tiny-bert", "eager"), Changes(modules={path: Resize(times="n")}))
    assert found.conflict is not None
    assert (found.at_one, found.leak) == (True, None)
    assert really(model, {"batch": 1, "seq": 7}, {path: 3})[0] == ""
    assert really(model, {"batch": 2, "seq": 7}, {path: 3})[0] == found.conflict.module


def test_rows_that_all_are_replicated_fit() -> None:
    from adaptlint.dataflow.explain import explain

    graph = graph_of("tiny-llama", "sdpa")
    found = explain(graph, Changes(inputs={name: Resize(times="n") for name in graph.inputs}))
    assert (found.conflict, found.unknown, found.leak) == (None, "", None)


def test_the_words_name_layers_sizes_and_the_cause() -> None:
    from adaptlint.dataflow.explain import explain

    layers = [f"model.layers.{layer}.self_attn.{name}" for layer in range(3) for name in ("q_proj", "v_proj")]
    found = explain(graph_of("tiny-llama", "eager"), Changes(modules=dict.fromkeys(layers, Resize(times="n"))))
    text = re.sub(r"py:\d+", "py:1", found.text())
    attention = "model.layers.0.self_attn"
    assert text == (
        "matmul in model.layers.{0-2}.self_attn (modeling_llama.py:1) cannot take"
        f" (batch, 4*n, seq, 8) from {attention}.q_proj and (batch, 4, 8, seq) from {attention}.k_proj;"
        " the rows leave the batch axis before, where view (modeling_llama.py:1) makes"
        " (batch, seq, 4*n, 8) of (batch*n, seq, 32)"
    )
