"""Forwards recorded by another interpreter, which has AdapterHub's library (`--python`): in a process of its own.

That process gets this package alone beside its own libraries, no network, and limits on time, memory and output; the
model is built on the meta device from the base's config.json, and no adapter is opened.
"""

from __future__ import annotations

import json
import os
import subprocess
import tempfile
from collections.abc import Iterable, Mapping
from functools import lru_cache

from adaptlint.dataflow.flow_graph import FlowGraph, read_graph
from adaptlint.dataflow.flow_problem import FlowProblem
from adaptlint.hints import Any

LIBRARY = "adapters"
OLDEST = (3, 11)  # of Python, for this package
SECONDS = 300  # for all forwards of a base
BYTES = 8 << 30
PROBE_SECONDS = 60
LONGEST = 64 << 20  # bytes of an answer
PROBE = """
import json, sys
try:
    from importlib.metadata import version
    found = version("adapters")
except Exception:
    found = None
print(json.dumps([list(sys.version_info[:2]), found]))
"""
PACKAGE = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))


class InterpreterError(ValueError):
    """`--python` names no interpreter that has the library; the text is one sentence that says why."""


@lru_cache(maxsize=8)
def library_of(python: str) -> str:
    """The release of `adapters` that an interpreter has, or the one of an environment's folder. InterpreterError."""
    program = program_of(python)
    try:
        done = subprocess.run(
            [program, "-I", "-c", PROBE],
            capture_output=True,
            timeout=PROBE_SECONDS,
            check=False,
            stdin=subprocess.DEVNULL,
        )
        version, found = json.loads(done.stdout)
        running = (int(version[0]), int(version[1]))
    except (OSError, subprocess.SubprocessError) as problem:
        raise InterpreterError(f"{python} cannot be run: {type(problem).__name__}") from problem
    except (ValueError, TypeError, LookupError) as problem:
        raise InterpreterError(f"{python} is no Python: it does not say its version") from problem
    if running < OLDEST:
        least = ".".join(map(str, OLDEST))
        raise InterpreterError(f"{python} is Python {running[0]}.{running[1]}; {least} or later is needed")
    if not isinstance(found, str):
        raise InterpreterError(f"{python} has no {LIBRARY}: install AdapterHub's library there")
    return found


def refuse_other_release(python: str, asked: str) -> None:
    """Raise InterpreterError unless the interpreter has the release that is asked for, if one is."""
    found = library_of(python)
    if asked and found != asked:
        raise InterpreterError(f"{python} has {LIBRARY} {found}, not {asked}, which is asked for")


def recorded_there(
    python: str, config: Mapping[str, Any], model_class: str | None, forwards: Iterable[tuple[str, bool]]
) -> dict[tuple[str, bool], FlowGraph | str]:
    """By backend and whether a mask is given: the forward, or in one sentence why there is none. Raises FlowProblem."""
    question = {
        "config": dict(config),
        "class": model_class,
        "forwards": list(forwards),
        "seconds": SECONDS,
        "bytes": BYTES,
    }
    answers = _asked(program_of(python), json.dumps(question).encode("utf-8", "surrogatepass"))
    found: dict[tuple[str, bool], FlowGraph | str] = {}
    try:
        for line in answers.splitlines():
            told = json.loads(line)
            graph = read_graph(told["graph"]) if "graph" in told else str(told["problem"])
            if graph is not None:
                found[str(told["backend"]), bool(told["masked"])] = graph
    except (ValueError, TypeError, LookupError) as problem:
        raise FlowProblem(f"{python} gave no answer that can be read.") from problem
    return found


def _asked(program: str, question: bytes) -> bytes:
    """The answers of the process, one line each."""
    with tempfile.TemporaryDirectory(prefix="adaptlint-") as folder:
        os.symlink(PACKAGE, os.path.join(folder, "adaptlint"))  # its neighbours here would hide the libraries there
        kept = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}
        surroundings = {
            "PYTHONPATH": folder,
            "PYTHONDONTWRITEBYTECODE": "1",
            "PYTORCH_JIT": "0",
            "HF_HUB_OFFLINE": "1",
            "TRANSFORMERS_OFFLINE": "1",
        }
        command = [program, "-P", "-s", "-W", "ignore", "-m", "adaptlint.dataflow.record_elsewhere"]
        try:
            done = subprocess.run(
                command,
                input=question,
                capture_output=True,
                timeout=SECONDS,
                check=False,
                cwd=folder,
                env={**kept, **surroundings},
            )
        except (OSError, subprocess.SubprocessError) as problem:
            raise FlowProblem(f"{program} did not record the forward: {type(problem).__name__}.") from problem
    if done.returncode or len(done.stdout) > LONGEST:
        last = (done.stderr.decode("utf-8", "replace").strip().splitlines() or [f"status {done.returncode}"])[-1]
        raise FlowProblem(f"{program} did not record the forward: {last[:300]}")
    return done.stdout


def program_of(python: str) -> str:
    """The interpreter; a folder is an environment."""
    if os.path.isdir(python):
        python = os.path.join(python, *(("Scripts", "python.exe") if os.name == "nt" else ("bin", "python")))
    return os.path.abspath(python) if os.sep in python else python
