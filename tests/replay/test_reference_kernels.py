"""The reference for flash-attn's kernels: its numbers are torch's own attention, and what it shows never refutes."""

from __future__ import annotations

import json
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest

import adaptlint
from adaptlint.replay.conduct import base_of, job_of
from adaptlint.replay.decide import mark_verdict
from adaptlint.replay.plan import Run, Settings, plan
from adaptlint.replay.worker import reference_kernels as kernels
from adaptlint.testing import build, read_recipe
from tests.cli.running import adaptlint as run_adaptlint
from tests.conftest import ROOT
from tests.recipes import QUERIES
from tests.replay.inside import entry_with

torch = pytest.importorskip("torch")
pytest.importorskip("peft")


def drawn(*shape: int) -> Any:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(sum(shape)), dtype=torch.float64).float()


def by_torch(q: Any, k: Any, v: Any, mask: Any) -> Any:
    """torch's own attention with heads before positions, keys repeated for their groups of heads."""
    groups = q.shape[2] // k.shape[2]
    q, k, v = (each.transpose(1, 2) for each in (q, k.repeat_interleave(groups, 2), v.repeat_interleave(groups, 2)))
    return torch.nn.functional.scaled_dot_product_attention(q, k, v, attn_mask=mask).transpose(1, 2)


@pytest.mark.parametrize(("queries", "keys"), [(5, 5), (1, 5), (3, 6)])
@pytest.mark.parametrize(("causal", "window"), [(False, (-1, -1)), (True, (-1, -1)), (True, (2, 0)), (False, (1, 2))])
def test_a_batch_is_what_torch_s_attention_gives(
    queries: int, keys: int, causal: bool, window: tuple[int, int]
) -> None:
    q, k, v = drawn(2, queries, 4, 8), drawn(2, keys, 2, 8), drawn(2, keys, 2, 8).neg()
    place, key = torch.arange(queries)[:, None] + keys - queries, torch.arange(keys)[None]
    left, right = window
    mask = torch.ones(queries, keys, dtype=torch.bool)
    mask &= key <= place if causal else mask
    mask &= key >= place - left if left >= 0 else mask
    mask &= key <= place + right if right >= 0 and not causal else mask
    seen = kernels.flash_attn_func(q, k, v, causal=causal, window_size=window)
    assert torch.allclose(seen, by_torch(q, k, v, mask), atol=1e-6)


def test_texts_one_behind_the_other_are_what_each_is_alone() -> None:
    whole, mask = drawn(2, 6, 4, 8), torch.tensor([[1, 1, 1, 1, 0, 0], [1, 1, 1, 1, 1, 1]])
    flat, indices, starts, longest = kernels.unpad_input(whole, mask)
    assert (starts.tolist(), longest) == ([0, 4, 10], 6)
    found = kernels.flash_attn_varlen_func(flat, flat, flat, starts, starts, longest, longest, causal=True)
    back = kernels.pad_input(found, indices, 2, 6)
    for row, length in enumerate((4, 6)):
        own = whole[row : row + 1, :length]
        assert torch.allclose(back[row, :length], kernels.flash_attn_func(own, own, own, causal=True)[0], atol=1e-6)
    assert not back[0, 4:].any()


def test_rows_without_a_key_are_zero_and_what_does_not_fit_is_refused() -> None:
    q, k = drawn(1, 4, 2, 8), drawn(1, 2, 2, 8)
    assert not kernels.flash_attn_func(q, k, k, causal=True)[:, :2].any()
    with pytest.raises(RuntimeError, match=r"k must have shape \(batch_size"):
        kernels.flash_attn_func(q.repeat(2, 1, 1, 1), k, k)
    with pytest.raises(RuntimeError, match="must divide"):
        kernels.flash_attn_func(q, drawn(1, 2, 3, 8), drawn(1, 2, 3, 8))
    with pytest.raises(RuntimeError, match="at most 256"):
        kernels.flash_attn_func(*[drawn(1, 2, 1, 264)] * 3)


HALF = 'base = { from = "tiny-llama", config = { dtype = "bfloat16" } }'
CASE = QUERIES.replace('base = "tiny-llama"', HALF).replace("[config]", '[config]\ntask_type = "CAUSAL_LM"')


@pytest.mark.skipif(find_spec("flash_attn") is not None, reason="flash-attn is installed")
def test_a_run_with_the_reference_says_so_and_calls_nothing_right(tmp_path: Path) -> None:
    """The forward is the one of sdpa, the record names the reference, and a verdict of "works" stays open."""
    built = build(read_recipe(CASE), str(tmp_path), str(ROOT / "fixtures" / "bases"))
    record = tmp_path / "run.json"
    given = [
        "check",
        built.model,
        built.adapter,
        "--attn",
        "flash_attention_2",
        "--replay",
        "--all",
        "--format",
        "json",
    ]
    report = json.loads(run_adaptlint(*given, "--record", str(record)).stdout)
    (verdict,) = report["verdicts"]
    assert (verdict["outcome"], verdict["replay"]["status"]) == ("works", "inconclusive")
    assert verdict["replay"]["observed"].endswith("a reference stood in for flash-attn's kernel")
    (run,) = json.loads(record.read_text())["runs"]
    assert run["versions"]["flash_attn"] == "reference"
    assert run["forward"].get("outcome") == "ok", run


def test_what_it_shows_confirms_and_never_refutes(tmp_path: Path) -> None:
    built = build(read_recipe(CASE), str(tmp_path), str(ROOT / "fixtures" / "bases"))
    report = adaptlint.check(built.model, built.adapter, attn="flash_attention_2")
    (run,) = (each for each in plan(report, base_of(report), Settings(all=True)) if isinstance(each, Run))
    versions = {"peft": run.version, "transformers": report.verdicts[0].transformers, "flash_attn": "reference"}
    loaded = {"event": "step", "number": 0, "op": "load", "adapter": "default", "outcome": "ok"}
    events: list[dict[str, Any]] = [
        {"event": "versions", **versions}, loaded,
        {"event": "forward", "outcome": "ok", "effect": True, "finite": True},
        {"event": "ended", "status": "done", "detail": ""},
    ]  # fmt: skip
    entry = entry_with(report, run, base_of(report), Settings(), events)
    failing = report.verdicts[0]._replace(outcome="fails", stage="forward")
    assert mark_verdict(failing, entry).status == "inconclusive"
    entry["forward"] = {"outcome": "raises", "error": {"type": "RuntimeError", "message": "k must have shape (a, b)"}}
    assert mark_verdict(failing, entry).status == "confirmed"
    del entry["versions"]["flash_attn"]
    entry["forward"] = {"outcome": "ok", "effect": True, "finite": True}
    assert mark_verdict(failing, entry).status == "refuted"
    assert job_of(report, run, Settings())["conditions"]["attn"] == kernels.FLASH


def test_an_error_that_came_of_handling_the_predicted_one_confirms_it() -> None:
    """transformers 4.57 runs a forward again that raised TypeError; the worker tells of both."""
    code = (
        "import json; from adaptlint.replay.worker.telling import Channel\n"
        "try:\n    try: raise TypeError('first')\n    except TypeError: raise ValueError('second')\n"
        "except ValueError as problem: told = Channel({}).error(problem)\n"
        "import sys; print(json.dumps(told), file=sys.stderr)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT)
    told = json.loads(done.stderr)
    assert told == {"type": "ValueError", "message": "second", "before": [{"type": "TypeError", "message": "first"}]}
