"""`--python`: interpreters that are refused, and forwards that another one's library records."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import venv
from pathlib import Path

import pytest

import adaptlint
from adaptlint.dataflow.flow_graph import FlowGraph
from adaptlint.dataflow.load import FlowProblem
from adaptlint.runtimes.adapters import elsewhere
from adaptlint.runtimes.adapters.recorded import recorded_graph
from adaptlint.testing.demo import tell
from tests.cli.running import adaptlint as run
from tests.conftest import ROOT
from tests.environments import ENVIRONMENTS

STORY = ROOT / "fixtures" / "stories" / "llama-attention"
CLASS = "LlamaForTokenClassification"  # none of those that ship
MADE = sorted(place for place in ENVIRONMENTS.glob("adapters-*") if (place / "bin" / "python").exists())
needs_a_library = pytest.mark.skipif(
    not MADE, reason="no environment with AdapterHub's library: `make prove-hub` makes them"
)


def saying(folder: Path, text: str) -> str:
    """A program that prints this, whatever it is asked."""
    place = folder / "python"
    place.write_text(f"#!/bin/sh\ncat <<'END'\n{text}\nEND\n")
    place.chmod(0o755)
    return str(place)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ('[[3, 10], "1.3.0"]', "is Python 3.10; 3.11 or later is needed"),
        ("[[3, 12], null]", "has no adapters"),
        ('[[3, 12], "1.0.0"]', "has adapters 1.0.0, not 1.3.0, which is asked for"),
        ("hello", "is no Python"),
        ("{}", "is no Python"),
    ],
)
def test_a_wrong_interpreter_is_refused_in_one_sentence(text: str, says: str, tmp_path: Path) -> None:
    with pytest.raises(elsewhere.InterpreterError, match=says):
        elsewhere.refuse_other_release(saying(tmp_path, text), "1.3.0")


def test_what_is_none_and_what_lacks_the_library(tmp_path: Path) -> None:
    with pytest.raises(elsewhere.InterpreterError, match="cannot be run: FileNotFoundError"):
        elsewhere.library_of(str(tmp_path / "missing"))
    venv.create(tmp_path / "bare", with_pip=False)
    with pytest.raises(elsewhere.InterpreterError, match="has no adapters: install"):
        elsewhere.library_of(str(tmp_path / "bare"))


def test_the_command_line_says_so(tmp_path: Path) -> None:
    built = tell(str(STORY), str(tmp_path))
    python = saying(tmp_path, '[[3, 12], "1.0.0"]')
    done = run("check", built.model, built.adapter, "--target", "adapters==1.3.0", "--python", python)
    assert (done.returncode, done.stdout) == (2, "")
    assert "Error: --python: " in done.stderr
    assert "has adapters 1.0.0, not 1.3.0, which is asked for.\n" in done.stderr
    other = run("check", built.model, built.adapter, "--python", python)
    assert (other.returncode, "is for the target adapters" in other.stderr) == (2, True)


def test_a_program_that_only_claims_to_have_it_gives_no_verdict(tmp_path: Path) -> None:
    with pytest.raises(FlowProblem, match="gave no answer that can be read"):
        elsewhere.recorded_there(saying(tmp_path, '[[3, 12], "1.3.0"]'), {}, CLASS, [("eager", True)])


def test_the_process_sees_this_package_and_none_of_its_neighbours() -> None:
    """Its own libraries come first: a folder with this package alone is put in front."""
    config = json.loads((ROOT / "fixtures" / "bases" / "tiny-llama" / "config.json").read_text())
    bare = [sys.executable, "-c", "import adapters"]
    if subprocess.run(bare, capture_output=True, check=False).returncode == 0:
        pytest.skip("the library is installed here")
    found = elsewhere.recorded_there(sys.executable, config, "LlamaModel", [("eager", False)])
    assert "No module named 'adapters'" in str(found["eager", False])


@needs_a_library
@pytest.mark.parametrize("place", MADE, ids=lambda place: str(place.name))
def test_a_forward_recorded_there_is_the_one_that_ships(place: Path) -> None:
    release = elsewhere.library_of(str(place))
    config = json.loads((ROOT / "fixtures" / "bases" / "tiny-llama" / "config.json").read_text())
    asked = [("sdpa", False), ("eager", True)]
    found = elsewhere.recorded_there(str(place), config, "LlamaModel", asked)
    for backend, masked in asked:
        here, there = recorded_graph(config, "LlamaModel", release, backend, masked), found[backend, masked]
        assert isinstance(here, FlowGraph)
        assert isinstance(there, FlowGraph), there
        assert operations(here) == operations(there)


def operations(graph: FlowGraph) -> list[tuple[str, str]]:
    """Every layer of the library and every call of attention in order, with its module."""
    nodes = [
        (node.op, run) for run in graph.runs for _ in range(run.times) for node in graph.templates[run.template].nodes
    ]
    return [(op, run.prefix) for op, run in nodes if op.startswith("hub.") or "attention" in op]


@needs_a_library
def test_a_class_that_does_not_ship_gets_a_verdict(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ADAPTLINT_CACHE", str(tmp_path / "cache"))
    built = tell(str(STORY), str(tmp_path))
    asked = {"model_class": CLASS, "compose": "a", "attn": "eager", "mask": "none"}
    release = elsewhere.library_of(str(MADE[-1]))
    target = [f"adapters=={release}"]
    (blind,) = adaptlint.check(built.model, built.adapters, targets=target, **asked).verdicts
    (seen,) = adaptlint.check(built.model, built.adapters, targets=target, python=str(MADE[-1]), **asked).verdicts
    (again,) = adaptlint.check(built.model, built.adapters, targets=target, **asked).verdicts
    assert blind.outcome == "unknown"
    assert seen.outcome == again.outcome != "unknown"
    assert os.listdir(tmp_path / "cache" / "flows")
