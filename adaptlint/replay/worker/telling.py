"""The worker's voice: one JSON object a line, on what was stdout, so that what was seen survives what comes next."""

from __future__ import annotations

import json
import math
import os
import sys
import time
from typing import Any

Record = dict[str, Any]
LONGEST = 4000  # characters of one message
MOST = 4000  # names in one list
NO_MEMORY = ("out of memory", "can't allocate memory", "Cannot allocate memory")
CHAINED = 3  # exceptions before the last that are told


class OutOfMemory(Exception):
    """Memory ran out meanwhile: nothing that a library did, and no observation about an adapter."""


def out_of_memory(problem: BaseException) -> bool:
    """Whether the exception says that a memory limit was met."""
    said = any(word in str(problem) for word in NO_MEMORY)
    return said or isinstance(problem, (MemoryError, OutOfMemory))


def unless_out_of_memory(problem: BaseException) -> None:
    """Raise OutOfMemory for an exception that says so, whoever raised it; torch has no class of its own on a CPU."""
    if out_of_memory(problem):
        raise OutOfMemory(str(problem)) from problem


class Channel:
    """The pipe to the parent; what libraries print goes to stderr from now on."""

    def __init__(self, hidden: Record) -> None:
        """`hidden` maps paths of this machine to the words that stand for them."""
        self._pipe, self._started = os.dup(1), time.monotonic()
        os.dup2(2, 1)
        sys.stdout = sys.stderr
        self._hidden = sorted(hidden.items(), key=lambda pair: -len(pair[0]))

    def say(self, event: str, **facts: Any) -> None:
        """Send one observation and when it was made; where nobody listens any more the worker ends."""
        at = round(time.monotonic() - self._started, 3)
        line = json.dumps({"event": event, **self._clean(facts), "at": at}, allow_nan=False) + "\n"
        left = line.encode("ascii")
        try:
            while left:
                left = left[os.write(self._pipe, left) :]
        except OSError:
            os._exit(1)

    def error(self, problem: BaseException) -> Record:
        """An exception as a record: its class's own name, its message without this machine's paths.

        `before` has those that were being handled when it was raised, the latest first: transformers 4.57 runs a
        forward again that raised TypeError (utils/generic.py, `check_model_inputs`), and it may then raise another.
        Raises OutOfMemory for one that is none of a library's doing.
        """
        unless_out_of_memory(problem)
        return self.told(problem)

    def told(self, problem: BaseException) -> Record:
        """The same of any exception."""
        told = {"type": type(problem).__name__, "message": self._text(str(problem))}
        before: list[Record] = []
        earlier = problem.__context__
        while earlier is not None and len(before) < CHAINED:
            before.append({"type": type(earlier).__name__, "message": self._text(str(earlier))})
            earlier = earlier.__context__
        return {**told, "before": before} if before else told

    def _text(self, text: str) -> str:
        for path, word in self._hidden:
            text = text.replace(path, word)
        return text if len(text) <= LONGEST else text[:LONGEST] + "..."

    def _clean(self, value: Any) -> Any:
        if isinstance(value, str):
            return self._text(value)
        if isinstance(value, float) and not math.isfinite(value):
            return str(value)
        if isinstance(value, dict):
            return {key: self._clean(each) for key, each in value.items()}
        if isinstance(value, (list, tuple, set)):
            return cut([self._clean(each) for each in (sorted(value) if isinstance(value, set) else value)])
        return value


def cut(names: list[Any]) -> list[Any]:
    """A list that a record can hold; what is left out is counted in its last element."""
    return names if len(names) <= MOST else [*names[:MOST], f"and {len(names) - MOST} more"]
