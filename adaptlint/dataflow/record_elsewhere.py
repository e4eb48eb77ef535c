"""`python -m adaptlint.dataflow.record_elsewhere`: forwards of a wrapped model, by the `adapters` of this interpreter.

A question comes as JSON on stdin (see runtimes/adapters/elsewhere.py), a line of JSON for each forward goes to stdout.
What the libraries print goes to stderr.
"""

from __future__ import annotations

import json
import os
import sys
from contextlib import suppress

from adaptlint.dataflow.load import FlowProblem
from adaptlint.hints import Any


def main() -> None:
    """Every forward that is asked about, under limits on time and memory."""
    question: dict[str, Any] = json.load(sys.stdin)
    _limit(question["seconds"], question["bytes"])
    with os.fdopen(os.dup(1), "w", encoding="utf-8") as answers:
        os.dup2(2, 1)
        for backend, masked in question["forwards"]:
            answers.write(json.dumps(_told(question, backend, masked), default=str) + "\n")
            answers.flush()


def _told(question: dict[str, Any], backend: str, masked: bool) -> dict[str, Any]:
    """One forward, or why there is none."""
    from adaptlint.dataflow.record_wrapped import record_wrapped

    about = {"backend": backend, "masked": masked}
    try:
        graph = record_wrapped(question["config"], question["class"], backend, masked=masked)
    except FlowProblem as problem:
        return {**about, "problem": str(problem)}
    return {**about, "graph": graph.to_json()}


def _limit(seconds: int, size: int) -> None:
    """Processor time and writable memory, where the system has such limits."""
    with suppress(ImportError, ValueError, OSError):
        import resource

        resource.setrlimit(resource.RLIMIT_CPU, (seconds, seconds + 1))
        resource.setrlimit(resource.RLIMIT_DATA, (size, size))


if __name__ == "__main__":
    main()
