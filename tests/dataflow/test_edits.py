"""Other widths in a recorded forward, against real models whose layers were cut or widened in the same way."""

from __future__ import annotations

import json
import random
from typing import Any

import pytest

from adaptlint.dataflow.changes import Changes
from tests.conftest import ROOT

torch = pytest.importorskip("torch")
transformers = pytest.importorskip("transformers")

BASES = ROOT / "fixtures" / "bases"
SIZES = {"batch": 2, "seq": 7}
LAYER = "model.layers.1."
# what may be cut: module -> (axis of its weight, role), where a role's size is drawn once or for each module
PLACES = {
    "self_attn.q_proj": (0, "queries"),
    "self_attn.k_proj": (0, "keys"),
    "self_attn.v_proj": (0, "keys"),
    "self_attn.o_proj": (1, "queries"),
    "mlp.gate_proj": (0, "inner"),
    "mlp.up_proj": (0, "inner"),
    "mlp.down_proj": (1, "inner"),
}
CHOICES = {"queries": (8, 16, 24, 32, 20), "keys": (8, 16, 32, 12), "inner": (40, 48, 56)}


def drawn(seed: int) -> dict[str, tuple[int, int]]:
    """New weights' shapes by module: half the time every module of a role has the same, half the time its own."""
    source = random.Random(seed)
    together = source.random() < 0.5
    roles = {role: source.choice(sizes) for role, sizes in CHOICES.items()}
    shapes = {}
    for module, (axis, role) in PLACES.items():
        if not together and source.random() < 0.6:
            continue
        size = roles[role] if together else source.choice(CHOICES[role])
        shapes[module] = (size, 32) if axis == 0 else (32, size)
    return shapes


def leaves(shapes: dict[str, tuple[int, int]]) -> Changes:
    return Changes({f"{LAYER}{module}.weight": shape for module, shape in shapes.items()})


def really(shapes: dict[str, tuple[int, int]]) -> tuple[str, str]:
    """The real forward with these layers: the exception's class and the module that raised it, or empty texts."""
    from tests.differential.folders import model_of

    model = model_of(BASES / "tiny-llama", "AutoModelForCausalLM")
    model.set_attn_implementation("eager")
    for module, shape in shapes.items():
        linear = model.get_submodule(LAYER + module)
        linear.weight = torch.nn.Parameter(torch.zeros(shape))
        linear.out_features, linear.in_features = shape
    inside: list[str] = []
    names = {id(module): path for path, module in model.named_modules()}

    def enter(module: Any, _: Any) -> None:
        inside.append(names[id(module)])

    def leave(module: Any, _: Any, result: Any) -> None:
        if result is not None:
            inside.pop()

    for module in model.modules():
        module.register_forward_pre_hook(enter)
        module.register_forward_hook(leave)
    ids = torch.randint(3, 30, (SIZES["batch"], SIZES["seq"]))
    try:
        with torch.no_grad():
            model(input_ids=ids, attention_mask=torch.ones_like(ids), use_cache=False)
    except RuntimeError as problem:
        return type(problem).__name__, inside[-1]
    return "", ""


@pytest.fixture(scope="module")
def graph() -> Any:
    from adaptlint.dataflow.record import record

    config = json.loads((BASES / "tiny-llama" / "config.json").read_text())
    found, doubt = record(config, None, "eager")
    assert doubt == ""
    return found


@pytest.mark.parametrize("seed", range(60))
def test_cut_and_widened_layers(seed: int, graph: Any) -> None:
    from adaptlint.dataflow.propagate import propagate

    shapes = drawn(seed)
    moved = propagate(graph, SIZES, leaves(shapes))
    kind, module = really(shapes)
    if moved.conflict is not None:
        assert (kind, module) == ("RuntimeError", moved.conflict.module), moved.conflict
    elif not moved.unknown:
        assert kind == "", (shapes, module)


def test_most_is_told_and_not_left_unknown(graph: Any) -> None:
    from adaptlint.dataflow.propagate import propagate

    found = [propagate(graph, SIZES, leaves(drawn(seed))) for seed in range(60)]
    told = [moved for moved in found if moved.conflict is not None or not moved.unknown]
    assert len(told) > 0.9 * len(found), [moved.unknown for moved in found if moved not in told][:3]


def test_a_bigger_vocabulary_fits(graph: Any) -> None:
    from adaptlint.dataflow.propagate import propagate

    moved = propagate(graph, SIZES, Changes({"model.embed_tokens.weight": (104, 32), "lm_head.weight": (104, 32)}))
    assert (moved.conflict, moved.outputs["logits"]) == (None, (2, 7, 104))


def test_an_index_past_the_end_of_a_table_is_a_conflict(graph: Any) -> None:
    from adaptlint.dataflow.propagate import propagate

    moved = propagate(graph, SIZES, Changes({"model.embed_tokens.weight": (60, 32)}))
    assert moved.conflict is not None
    assert (moved.conflict.op, moved.conflict.module) == ("embedding", "model.embed_tokens")
