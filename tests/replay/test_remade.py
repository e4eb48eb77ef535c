"""Adapters of an 8B base, made anew for a tiny one: the fault is the same one, and the real library decides it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

import adaptlint
from adaptlint.findings import Report
from adaptlint.replay.conduct import base_of
from adaptlint.replay.plan import Passed, Run, Settings, plan
from adaptlint.replay.remade import fitted
from adaptlint.testing import build, read_recipe
from tests.conftest import ROOT

pytest.importorskip("peft")
TINY = Settings(scale="tiny", all=True)
PAIRS = """
[[tensors]]
modules = "model.layers.{0-3}.self_attn.q_proj"
rank = 16
in = 4096
out = 4096
values = "%s"
[[tensors]]
modules = "model.layers.{0-3}.self_attn.k_proj"
rank = 16
in = 4096
out = 1024
values = "%s"
"""
CONFIG = """
base = { from = "llama-3-8b", config = { num_hidden_layers = 4, vocab_size = 8000 } }
[config]
r = 16
target_modules = ["q_proj", "k_proj"]
task_type = "CAUSAL_LM"
"""


def recipe(more: str = "", config: str = CONFIG, values: str = "sparse") -> str:
    """A LoRA of two projections of every layer, with what is done to it."""
    return config + PAIRS % (values, values) + more


VOCABULARY = """
[[tensors]]
name = "base_model.model.lm_head.weight"
shape = [4000, 4096]
dtype = "BF16"
"""
FAULTS: dict[str, tuple[str, str, str]] = {
    "a module's tensors are missing": (recipe('[[mutate]]\nop = "drop"\nmatch = "layers.2.*q_proj"'), "wrong", "AL201"),
    "tensors of a layer too many": (recipe(PAIRS.replace("{0-3}", "{4-5}") % ("sparse", "sparse")), "wrong", "AL202"),
    "another rank than the config's": (recipe().replace("r = 16", "r = 8"), "fails", "AL301"),
    "a wider base's": (recipe().replace("in = 4096", "in = 5120"), "fails", "AL302"),
    "as if every head had its own keys": (recipe().replace("out = 1024", "out = 4096"), "fails", "AL302"),
    "a factor lies the other way round": (
        recipe('[[mutate]]\nop = "reshape"\nmatch = "layers.3.*k_proj.lora_B"\nshape = [16, 1024]'), "fails", "AL309",
    ),
    "the head of another vocabulary": (
        recipe(VOCABULARY).replace('task_type =', 'modules_to_save = ["lm_head"]\ntask_type ='), "fails", "AL304",
    ),
    "numbers that are none in one layer": (
        recipe('[[mutate]]\nop = "fill"\nmatch = "layers.3.*q_proj.lora_A"\nvalues = "nan"'), "works", "AL401",
    ),
}  # fmt: skip


def checked(text: str, folder: Path, **more: Any) -> Report:
    built = build(read_recipe(text), str(folder), str(ROOT / "fixtures" / "bases"))
    return adaptlint.check(built.model, built.adapter, values="full", **more)


def tiny_run(report: Report) -> Run:
    (run,) = plan(report, base_of(report), TINY)
    assert isinstance(run, Run), run
    return run


@pytest.mark.parametrize("name", FAULTS)
def test_a_fault_is_the_same_one_at_tiny_sizes_and_is_confirmed(name: str, tmp_path: Path) -> None:
    from tests.replay.inside import replayed
    from tests.replay.oracle import with_planted

    text, outcome, code = FAULTS[name]
    report = checked(text, tmp_path)
    assert report.verdicts[0].outcome in (outcome, "wrong")
    marked, (entry,) = replayed(with_planted(report), TINY)
    assert entry["scale"] == "tiny"
    assert entry["base"]["parameters"] < 40_000_000
    marks = {f.code: f.replay.status for f in marked.findings if f.name != "planted" and f.replay.status != "not-run"}
    assert marks[code] == "confirmed", marked.verdicts[0].replay
    planted = [f.replay for f in marked.findings if f.name == "planted"]
    assert planted
    assert {mark.status for mark in planted} <= {"refuted", "inconclusive"}, planted


def test_every_module_is_there_and_only_widths_shrink(tmp_path: Path) -> None:
    report = checked(recipe(), tmp_path)
    run = tiny_run(report)
    kept = ("num_hidden_layers", "vocab_size")
    assert [run.config[name] for name in kept] == [4, 8000]
    heads, keys = run.config["num_attention_heads"], run.config["num_key_value_heads"]
    assert heads // keys == 4
    (made,) = run.remade
    shapes = {tuple(shape) for key, shape in made["shapes"].items() if "k_proj" in key}
    width = run.config["hidden_size"]
    assert shapes == {(16, width), (width * keys // heads, 16)}
    assert width * keys // heads > 16  # the rank is still smaller than every width
    assert made["config"]["r"] == 16


def test_a_healthy_adapter_holds_the_invariants_that_a_layer_alone_could_not_show(tmp_path: Path) -> None:
    from tests.replay.inside import replayed

    report, (entry,) = replayed(checked(recipe(values="random"), tmp_path), TINY._replace(invariants=(1, 6, 7)))
    assert report.verdicts[0].replay.status == "confirmed", report.verdicts[0].replay
    assert [row["status"] for row in entry["invariants"]] == ["held"] * 3


def test_what_would_be_another_case_is_told_and_decided_on_another_scale(tmp_path: Path) -> None:
    wide = recipe().replace("r = 16", "r = 512").replace("rank = 16", "rank = 512")
    told, *runs = plan(report := checked(wide, tmp_path), base_of(report), TINY)
    assert isinstance(told, Passed), told
    assert "its rank of 512 would be no smaller than a width" in told.reason
    assert [run.scale for run in runs if isinstance(run, Run)] == ["load", "layer"]


SMALL = """
base = { from = "tiny-llama", config = { hidden_size = 16, num_attention_heads = 2, num_key_value_heads = 2 } }
[config]
r = 2
target_modules = ["q_proj"]
[[tensors]]
modules = "model.layers.{0-1}.self_attn.q_proj"
rank = 2
in = 16
out = 16
"""


def test_a_base_that_is_small_already_is_run_whole(tmp_path: Path) -> None:
    told, run = plan(report := checked(SMALL, tmp_path), base_of(report), TINY)
    assert isinstance(told, Passed)
    assert "as small as a tiny model of it already" in told.reason
    assert isinstance(run, Run)
    assert run.scale == "full"


@pytest.mark.parametrize(
    ("saved", "large", "small", "meant"),
    [
        ([8, 4096], (8, 4096), (8, 64), [8, 64]),
        ([4096, 8], (8, 4096), (8, 64), [64, 8]),
        ([16, 4096], (8, 4096), (8, 64), [16, 64]),
        ([8, 5120], (8, 4096), (8, 64), [8, 80]),
        ([8, 2048], (8, 4096), (8, 64), [8, 32]),
        ([8, 4097], (8, 4096), (8, 64), [8, 65]),
    ],
)
def test_a_size_that_is_wrong_stays_wrong_in_its_way(
    saved: list[int], large: tuple[int, ...], small: tuple[int, ...], meant: list[int]
) -> None:
    alone = {8: 8, 16: 16, 4096: 64, 5120: 80, 2048: 32, 4097: 64}
    assert fitted(saved, large, small, [alone[size] for size in saved]) == meant
