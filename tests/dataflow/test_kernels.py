"""The demands of attention kernels: of torch's flex attention, and of what transformers does round flash attention.

No CPU has flash attention: in its place stand functions that demand what flash-attn 2.8 checks before it launches
anything (csrc/flash_attn/flash_api.cpp, `mha_fwd` and `mha_varlen_fwd`).
"""

from __future__ import annotations

import json
import os
import warnings
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from adaptlint.dataflow.operations import apply
from adaptlint.dataflow.value import Conflict, Unknown, Value
from tests.conftest import ROOT
from tests.dataflow.cases import f

torch = pytest.importorskip("torch")
EXAMPLES = int(os.environ.get("DATAFLOW_EXAMPLES", "60"))
SIZE = st.integers(1, 3)
NEAR = st.sampled_from((0, 0, 0, 0, 1))
LENGTH = st.sampled_from((1, 5, 7))
Told = tuple[Any, ...] | str


def by_rule(op: str, *args: Any, **kwargs: Any) -> Told:
    """The shape of the first result, "raises" or "unknown"."""
    try:
        return apply(op, list(args), kwargs)[0].shape
    except Conflict:
        return "raises"
    except Unknown:
        return "unknown"


def by_play(call: Callable[[], Any]) -> Told:
    with warnings.catch_warnings(), torch.no_grad():
        warnings.simplefilter("ignore")
        try:
            return tuple(call().shape)
        except Exception:
            return "raises"


def agree(told: Told, played: Told) -> bool:
    return told in ("unknown", played)


def real(value: Value) -> Any:
    return torch.zeros(value.shape)


@settings(max_examples=2 * EXAMPLES, deadline=None, database=None)
@given(st.data())
def test_flex_attention(data: st.DataObject) -> None:
    flex = pytest.importorskip("torch.nn.attention.flex_attention")
    draw = data.draw
    own, head = draw(SIZE), draw(st.sampled_from((16, 24, 80, 96)))  # torch rounds up inside its kernels
    query = f(draw(SIZE), own * draw(SIZE) + draw(NEAR), draw(LENGTH), head)
    batch = draw(st.sampled_from((query.shape[0], query.shape[0], 1, 2)))
    key = f(batch, own, draw(LENGTH), head + draw(NEAR))
    value = f(*key.shape[:3], draw(st.sampled_from((16, 32))))
    grouped = draw(st.booleans())
    mask = None
    if draw(st.booleans()):
        mask = f(draw(st.sampled_from((query.shape[0], 1, 2))), 1, query.shape[2], key.shape[2] + draw(NEAR))

    def play() -> Any:
        made = mask and flex.create_block_mask(
            lambda b, h, q, k: q >= k, mask.shape[0], None, mask.shape[2], mask.shape[3], device="cpu"
        )
        flex._FLEX_ATTENTION_DISABLE_COMPILE_DEBUG = True  # as it is written, not compiled anew for every shape
        return flex.flex_attention(real(query), real(key), real(value), block_mask=made, enable_gqa=grouped)

    told = by_rule("flex_attention", query, key, value, mask, enable_gqa=grouped)
    assert agree(told, by_play(play)), (query, key, value, mask, grouped, told)


def whole(query: Any, key: Any, value: Any, **_: Any) -> Any:
    """`mha_fwd`: batches of one size, keys and values alike, as many query heads as key heads or several times that."""
    batch, _, heads, size = query.shape
    assert key.shape == value.shape == (batch, *key.shape[1:3], size)
    assert heads % key.shape[2] == 0
    return torch.empty_like(query)


def varlen(query: Any, key: Any, value: Any, cu_seqlens_q: Any, cu_seqlens_k: Any, **_: Any) -> Any:
    """`mha_varlen_fwd`: the same of rows; as many ends of queries as of keys, in one vector each."""
    assert key.shape == value.shape
    assert query.shape[2] == key.shape[2]
    assert query.shape[1] % key.shape[1] == 0
    assert cu_seqlens_q.dim() == 1
    assert cu_seqlens_q.shape == cu_seqlens_k.shape
    return torch.empty_like(query)


@settings(max_examples=2 * EXAMPLES, deadline=None, database=None)
@given(st.data())
def test_flash_attention(data: st.DataObject) -> None:
    transformers = pytest.importorskip("transformers.modeling_flash_attention_utils")
    draw = data.draw
    batch, own, length = draw(SIZE), draw(SIZE), draw(LENGTH)
    query = f(batch, length, own * draw(SIZE) + draw(NEAR), 8)
    keys = draw(st.sampled_from((length, length, 5, 7)))
    key = f(batch + draw(NEAR), keys, own, 8 + draw(NEAR))
    value = f(*key.shape[:3], key.shape[3] + draw(NEAR))
    rows = draw(st.sampled_from((batch, batch, 1, 2)))
    mask = draw(st.sampled_from((None, f(rows, keys), f(rows, keys + 1), f(rows, 1, length, keys))))
    padded = mask and torch.ones(mask.shape, dtype=torch.long)
    if padded is not None and keys > 1:
        padded[..., 0, 0] = 0  # a row of one key has no place for padding

    def play() -> Any:
        pads = transformers._pad_input, transformers._unpad_input
        with pytest.MonkeyPatch.context() as patch:
            kernels = (whole, varlen, None, *pads), (lambda **_: {}, None)
            patch.setattr(transformers, "lazy_import_flash_attention", lambda *_, **__: kernels)
            tensors = real(query), real(key), real(value)
            return transformers._flash_attention_forward(*tensors, padded, length, is_causal=True)

    told = by_rule("flash_attention", query, key, value, mask, length)
    assert agree(told, by_play(play)), (query, key, value, mask, told)


def test_answers_are_given_where_they_can_be() -> None:
    query, key = f(2, 5, 4, 8), f(2, 5, 2, 8)
    assert by_rule("flash_attention", query, key, key, None, 5) == query.shape
    assert by_rule("flash_attention", query, key, key, f(2, 5), 5) == query.shape
    assert by_rule("flash_attention", query, f(1, 5, 2, 8), f(1, 5, 2, 8), None, 5) == "raises"
    assert by_rule("flash_attention", query, key, key, f(2, 1, 5, 5), 5) == "raises"
    query, key = f(2, 4, 5, 8), f(2, 2, 5, 8)
    assert by_rule("flex_attention", query, key, key, f(2, 1, 5, 5), enable_gqa=True) == query.shape
    assert by_rule("flex_attention", query, key, key, enable_gqa=False) == "raises"
    assert by_rule("flex_attention", query, key, key, f(2, 1, 5, 6), enable_gqa=True) == "raises"
    assert by_rule("flex_attention", query, f(1, 2, 5, 8), f(1, 2, 5, 8), enable_gqa=True) == "raises"


@pytest.mark.parametrize("name", ["tiny-llama", "tiny-gemma3", "tiny-bert", "tiny-t5"])
@pytest.mark.filterwarnings("ignore")
def test_whole_forwards_with_real_flex_attention(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """On the CPU it can be run as it is written; it then returns no sums of scores, which attention hands on else."""
    from adaptlint.dataflow.load import FlowProblem
    from adaptlint.dataflow.propagate import propagate
    from adaptlint.dataflow.record import record
    from tests.dataflow.real import real_shapes

    transformers = pytest.importorskip("transformers")
    flex = pytest.importorskip("torch.nn.attention.flex_attention")
    monkeypatch.setattr(flex, "_FLEX_ATTENTION_DISABLE_COMPILE_DEBUG", True)
    monkeypatch.setattr(
        transformers.integrations.flex_attention,
        "compile_friendly_flex_attention",
        lambda query, key, value, training, **options: flex.flex_attention(query, key, value, **options),
    )
    real = flex.create_block_mask
    monkeypatch.setattr(
        transformers.masking_utils, "create_block_mask", lambda *args, _compile, **options: real(*args, **options)
    )
    config = json.loads((ROOT / "fixtures" / "bases" / name / "config.json").read_text())
    sizes = {"batch": 3, "seq": 21, "decoder_seq": 19}
    eager = record(config, None, "eager").graph
    model = getattr(transformers, eager.model_class)._from_config(
        transformers.AutoConfig.from_pretrained(ROOT / "fixtures" / "bases" / name),
        attn_implementation="flex_attention",
    )
    if name == "tiny-t5":  # its bias of positions has one batch, and flex attention reads it at each
        with pytest.raises(IndexError):
            real_shapes(model.eval(), sizes, eager.inputs)
        with pytest.raises(FlowProblem, match="IndexError"):
            record(config, None, "flex_attention")
        return
    graph, doubt = record(config, None, "flex_attention")
    assert doubt == ""
    moved = propagate(graph, sizes)
    found = real_shapes(model.eval(), sizes, graph.inputs)
    without = {path: shapes[: len(found[path])] for path, shapes in moved.modules.items()}
    assert (without, moved.unknown) == (found, {})
    more = [path for path in found if moved.modules[path] != found[path]]
    assert all(path.endswith(("self", "self_attn", "attention")) for path in more)
