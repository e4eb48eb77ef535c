"""`re` in a process of its own, with limits on time and memory: the last resort for a stranger's patterns."""

from __future__ import annotations

from collections.abc import Sequence

from adaptlint.patterns.bounds import CHILD_BYTES, CHILD_SECONDS, UnboundedPattern

PATIENCE = 6  # times as long by the clock: the child counts its own time, and a busy machine gives it less
TOO_SLOW = f"Python's re does not finish within {CHILD_SECONDS} s"
SCRIPT = """
import json, re, signal, sys
questions, how, memory, seconds = json.load(sys.stdin)
try:
    import resource
    resource.setrlimit(resource.RLIMIT_AS, (memory, memory))
except (ImportError, ValueError, OSError):
    pass
if hasattr(signal, "setitimer"):
    signal.setitimer(signal.ITIMER_PROF, seconds)
for source, names in questions:
    ask = getattr(re.compile(source), how)
    print(json.dumps([ask(name) is not None for name in names]), flush=True)
"""


def ask(questions: Sequence[tuple[str, Sequence[str]]], how: str) -> list[list[bool]]:
    """Whether `re.<how>(source, name)` matches, for every name of each (source, names).

    The list is shorter than the questions if the time ran out: the next one was being worked on. UnboundedPattern if
    there is no answer at all.
    """
    import json
    import signal
    import subprocess
    import sys

    question = json.dumps([list(questions), how, CHILD_BYTES, CHILD_SECONDS])
    try:
        done = subprocess.run(
            [sys.executable, "-I", "-S", "-c", SCRIPT],
            input=question.encode("utf-8", "surrogatepass"),
            capture_output=True,
            timeout=CHILD_SECONDS * (PATIENCE if hasattr(signal, "setitimer") else 1),
            check=False,
        )
        told = done.stdout
        if not told and done.returncode == -getattr(signal, "SIGPROF", 0):
            raise UnboundedPattern(TOO_SLOW)
    except subprocess.TimeoutExpired as problem:
        told = problem.stdout or b""
        if not told:
            raise UnboundedPattern(TOO_SLOW) from problem
    except (OSError, ValueError) as problem:
        raise UnboundedPattern("Python's re could not run it in a process of its own") from problem
    answers = [json.loads(line) for line in told.splitlines() if line.endswith(b"]")]
    if not answers:
        raise UnboundedPattern("Python's re could not run it in a process of its own")
    return answers
