"""`re` in a process of its own, with limits on time and memory: the last resort for a stranger's patterns."""

from __future__ import annotations

from collections.abc import Sequence

from adaptlint.patterns.bounds import CHILD_BYTES, CHILD_SECONDS, UnboundedPattern

TOO_SLOW = f"Python's re does not finish within {CHILD_SECONDS} s"
SCRIPT = """
import json, re, sys
questions, how, memory, seconds = json.load(sys.stdin)
try:
    import resource
    resource.setrlimit(resource.RLIMIT_AS, (memory, memory))
    resource.setrlimit(resource.RLIMIT_CPU, (seconds, seconds))
except (ImportError, ValueError, OSError):
    pass
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
    import subprocess
    import sys

    question = json.dumps([list(questions), how, CHILD_BYTES, int(CHILD_SECONDS) + 1])
    try:
        done = subprocess.run(
            [sys.executable, "-I", "-S", "-c", SCRIPT],
            input=question.encode("utf-8", "surrogatepass"),
            capture_output=True,
            timeout=CHILD_SECONDS,
            check=False,
        )
        told = done.stdout
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
