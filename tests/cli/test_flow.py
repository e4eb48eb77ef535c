"""`adaptlint graph --flow`: with a recorder of our own in this process, and with the real one in another."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from adaptlint import cli
from tests.cli.running import adaptlint
from tests.conftest import ROOT
from tests.dataflow.fakes import install

BASE = str(ROOT / "fixtures" / "bases" / "tiny-llama")


def run(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, str, str]:
    status = cli.run(["graph", *arguments])
    return (status, *capsys.readouterr())


@pytest.mark.parametrize(
    ("form", "beginning"),
    [
        ("tree", "TinyForCausalLM  (sdpa, forward from live)\n"),
        ("json", '{\n "model": "tiny",\n "attn": "sdpa",\n "source": "live",\n'),
        ("dot", "digraph flow {\n"),
        ("mermaid", "flowchart LR\n"),
    ],
)
def test_formats(
    form: str, beginning: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    install(monkeypatch)
    status, out, err = run(capsys, "tiny", "--flow", "--format", form)
    assert (status, err) == (0, "")
    assert out.startswith(beginning)
    assert out.endswith("\n")
    assert "\x1b" not in out


def test_options_arrive(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    asked = install(monkeypatch)
    options = ["--attn", "eager", "--model-class", "X", "--batch", "2", "--seq=5", "--no-cache", "--format", "json"]
    status, out, _ = run(capsys, "tiny", "--flow", *options)
    assert status == 0
    first = ("tiny", "X", "eager", {"offline": False, "cache": False})
    again = ("tiny", "X", "eager", {"sizes": {"batch": 2, "seq": 5}, "offline": False, "cache": False})
    assert asked == [first, again]  # the fake knows nothing of one module: its branches at these sizes are looked at
    assert json.loads(out)["outputs"] == {"logits": [2, 5, 32000]}


def test_no_forward_is_3_and_one_sentence(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    install(monkeypatch)
    said = "nowhere\\x1b has no forward that could be recorded.\n"
    assert run(capsys, "nowhere", "--flow") == (3, "", said)


@pytest.mark.parametrize(
    ("options", "says"),
    [
        (["--flow", "--format", "graphml"], "--flow has no format graphml: choose tree, json, dot or mermaid."),
        (["--flow", "--decoder-seq", "4"], "has no size 'decoder_seq'; it has batch, seq."),
        (["--flow", "--task", "CAUSAL_LM"], "--task does not go with --flow: name the class with --model-class."),
        (["--flow", "--batch", "0"], "Invalid value for '--batch'"),
        (["--flow", "--attn", "fast"], "Invalid value for '--attn'"),
        (["--attn", "eager"], "--attn needs --flow."),
        (["--batch", "2"], "--batch needs --flow."),
        (["--seq", "2"], "--seq needs --flow."),
        (["--decoder-seq", "2"], "--decoder-seq needs --flow."),
    ],
)
def test_usage_errors(
    options: list[str], says: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    install(monkeypatch)
    status, out, err = run(capsys, "tiny", *options)
    assert (status, out) == (2, "")
    assert says in err


@pytest.mark.parametrize("attn", ["eager", "sdpa"])
def test_a_real_model(attn: str, tmp_path: Path) -> None:
    pytest.importorskip("transformers")
    env = {"XDG_CACHE_HOME": str(tmp_path)}
    done = adaptlint("graph", BASE, "--flow", "--attn", attn, "--format", "json", "--offline", env=env)
    assert (done.returncode, done.stderr) == (0, "")
    document = json.loads(done.stdout)
    assert document["attn"] == attn
    assert document["inputs"]["input_ids"] == ["batch", "seq"]
    assert document["outputs"]["logits"][:2] == ["batch", "seq"]
    assert document["modules"]["model.layers.0.self_attn.q_proj"]["out"] == [["batch", "seq", 32]]
    assert document["unknown"] == []


def test_a_real_model_with_numbers(tmp_path: Path) -> None:
    pytest.importorskip("transformers")
    env = {"XDG_CACHE_HOME": str(tmp_path)}
    done = adaptlint("graph", BASE, "--flow", "--batch", "2", "--seq", "9", "--offline", env=env)
    assert (done.returncode, done.stderr) == (0, "")
    assert "    layers.{0-2} -> (2, 9, 32)\n" in done.stdout


def test_a_real_model_without_a_config_is_3(tmp_path: Path) -> None:
    pytest.importorskip("transformers")
    done = adaptlint("graph", str(tmp_path), "--flow", "--offline")
    assert (done.returncode, done.stdout) == (3, "")
    assert done.stderr.count("\n") == 1
    assert "Traceback" not in done.stderr
