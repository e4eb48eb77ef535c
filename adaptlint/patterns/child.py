"""`re` in a process of its own, with limits on time and memory: the last resort for a stranger's pattern."""

from __future__ import annotations

from collections.abc import Sequence

from adaptlint.patterns.bounds import CHILD_BYTES, CHILD_SECONDS, UnboundedPattern

SCRIPT = """
import json, re, sys
source, how, names, memory, seconds = json.load(sys.stdin)
try:
    import resource
    resource.setrlimit(resource.RLIMIT_AS, (memory, memory))
    resource.setrlimit(resource.RLIMIT_CPU, (seconds, seconds))
except (ImportError, ValueError, OSError):
    pass
ask = getattr(re.compile(source), how)
json.dump([ask(name) is not None for name in names], sys.stdout)
"""


def ask(source: str, how: str, names: Sequence[str]) -> list[bool]:
    """Whether `re.<how>(source, name)` matches, for every name; UnboundedPattern when that takes too long."""
    import json
    import subprocess
    import sys

    question = json.dumps([source, how, list(names), CHILD_BYTES, int(CHILD_SECONDS) + 1])
    try:
        done = subprocess.run(
            [sys.executable, "-I", "-S", "-c", SCRIPT],
            input=question.encode("utf-8", "surrogatepass"),
            capture_output=True,
            timeout=CHILD_SECONDS,
            check=False,
        )
        answers = json.loads(done.stdout)
    except subprocess.TimeoutExpired as problem:
        raise UnboundedPattern(f"Python's re does not finish within {CHILD_SECONDS} s") from problem
    except (OSError, ValueError) as problem:
        raise UnboundedPattern("Python's re could not run it in a process of its own") from problem
    return [bool(answer) for answer in answers]
