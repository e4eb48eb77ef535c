"""The verbs that need no rules to do their work."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from adaptlint.bases import write_lock
from adaptlint.testing import build, read_recipe
from tests.cli.running import adaptlint
from tests.conftest import ROOT
from tests.graph.bases import decoder


@pytest.fixture
def lock(tmp_path: Path) -> str:
    path = str(tmp_path / "tiny.lock.json")
    write_lock(decoder(), path)
    return path


@pytest.mark.parametrize(
    ("form", "beginning"),
    [
        ("tree", "TinyForCausalLM  (tiny, shapes from lock"),
        ("json", '{\n "model": "'),
        ("dot", "digraph model {"),
        ("graphml", "<graphml "),
        ("mermaid", "flowchart LR"),
    ],
)
def test_graph(form: str, beginning: str, lock: str) -> None:
    done = adaptlint("graph", lock, "--format", form)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith(beginning)
    assert done.stdout.endswith("\n")


def test_lock_of_a_lock_is_the_same_and_never_overwrites(lock: str, tmp_path: Path) -> None:
    again = str(tmp_path / "again.json")
    done = adaptlint("lock", lock, "--output", again)
    assert done.returncode == 0
    assert "TinyForCausalLM, 10 modules" in done.stdout
    assert Path(again).read_bytes() == Path(lock).read_bytes()
    Path(again).write_text("mine")
    refused = adaptlint("lock", lock, "--output", again)
    assert refused.returncode == 2
    assert "--force" in refused.stderr
    assert Path(again).read_text() == "mine"
    assert adaptlint("lock", lock, "--output", again, "--force").returncode == 0


def test_lock_is_named_after_the_model(lock: str, tmp_path: Path) -> None:
    assert adaptlint("lock", lock, cwd=tmp_path).returncode == 0
    assert f"{tmp_path.name}.lock.json" in os.listdir(tmp_path)


@pytest.mark.parametrize("verb", ["lock", "graph"])
def test_a_base_that_cannot_be_had_is_3(verb: str, tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text("{not json")
    for model in (str(tmp_path), str(tmp_path / "nowhere")):
        done = adaptlint(verb, model, "--offline", cwd=tmp_path)
        assert done.returncode == 3
        assert done.stdout == ""
        assert done.stderr.startswith(model)
        assert "Traceback" not in done.stderr
    assert os.listdir(tmp_path) == ["config.json"]


def test_inspect(tmp_path: Path) -> None:
    table = {
        "base": {"config": {"model_type": "llama"}},
        "config": {"target_modules": ["q_proj"], "base_model_name_or_path": "x\x1b[31m", "r": 4},
        "tensors": [{"modules": "model.layers.{0-2}.self_attn.q_proj", "rank": 4, "in": 8, "out": 8}],
    }
    adapter = build(read_recipe(table), str(tmp_path), "").adapter
    done = adaptlint("inspect", adapter)
    assert (done.returncode, done.stderr) == (0, "")
    assert "  scale      2 = alpha / rank\n" in done.stdout
    assert "  base       x\\x1b[31m\n" in done.stdout
    assert "model.layers.{0-2}  4\n" in done.stdout
    document = json.loads(adaptlint("inspect", adapter, "--format", "json").stdout)
    assert document["tensors"] == 6
    assert document["ranks"] == {f"model.layers.{layer}.self_attn.q_proj": 4 for layer in range(3)}


def test_inspect_on_a_base(tmp_path: Path) -> None:
    table = {
        "base": "tiny-llama",
        "config": {"target_modules": ["q_proj", "v_proj"], "r": 4, "alpha_pattern": {"v_proj": 2}},
        "tensors": [{"modules": "model.layers.{0-2}.self_attn.{q_proj,v_proj}", "rank": 4, "in": 32, "out": 32}],
        "mutate": [{"op": "drop", "match": "layers\\.2.*lora_B"}],
    }
    built = build(read_recipe(table), str(tmp_path), str(ROOT / "fixtures" / "bases"))
    done = adaptlint("inspect", built.adapter, "--base", built.model)
    assert (done.returncode, done.stderr) == (0, "")
    assert "4 of 6 adapted modules have all their tensors" in done.stdout
    rows = {line.split()[0]: line.split(maxsplit=1)[1] for line in done.stdout.splitlines() if "model.layers" in line}
    assert rows["model.layers.{0-1}"].replace(" ", "") == "4x24x0.5"
    assert "4 x2 (1 of 2)" in rows["model.layers.2"]
    document = json.loads(adaptlint("inspect", built.adapter, "--base", built.model, "--format", "json").stdout)
    assert document["sites"]["whole"] == 4
    assert document["sites"]["modules"]["model.layers.2.self_attn.v_proj"] == {
        "module": "model.layers.2.self_attn.v_proj",
        "rank": 4,
        "scale": 0.5,
        "arrived": 1,
        "own": 2,
    }


@pytest.mark.parametrize(
    ("fields", "says"),
    [
        ({"lora_alpha": 0}, "it cannot change the output: its scale is zero"),
        ({"r": 8}, "does not load: PEFT"),
        ({"target_modules": ["nothing"]}, "NoMatchingPeftModuleError"),
    ],
)
def test_inspect_says_why_nothing_comes_of_it(fields: dict[str, object], says: str, tmp_path: Path) -> None:
    table = {
        "base": "tiny-llama",
        "config": {"target_modules": ["q_proj"], "r": 4, **fields},
        "tensors": [{"modules": "model.layers.{0-2}.self_attn.q_proj", "rank": 4, "in": 32, "out": 32}],
    }
    built = build(read_recipe(table), str(tmp_path), str(ROOT / "fixtures" / "bases"))
    assert says in adaptlint("inspect", built.adapter, "--base", built.model).stdout


def test_inspect_of_what_is_no_adapter_is_3(tmp_path: Path) -> None:
    for path in (tmp_path, tmp_path / "nowhere"):
        done = adaptlint("inspect", str(path))
        assert done.returncode == 3
        assert done.stdout == ""
        assert str(path) in done.stderr
    (tmp_path / "adapter_config.json").write_text('{"r": 8,}')
    broken = adaptlint("inspect", str(tmp_path))
    assert broken.returncode == 3
    assert "adapter_config.json:1:9: " in broken.stderr
