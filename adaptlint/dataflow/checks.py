"""Checks in a model's own code: `if sizes differ: raise ...`, found in its source while a forward is recorded."""

from __future__ import annotations

import ast
from functools import lru_cache

MAX_TEXT = 120


@lru_cache(maxsize=256)
def checks_in(file: str) -> dict[int, str]:
    """Line of a test -> what is raised where it holds, as "ValueError: its text up to the first value".

    Only tests of comparisons, alone or joined by `or`: of those each one suffices.
    """
    try:
        with open(file, encoding="utf-8") as stream:
            tree = ast.parse(stream.read())
    except (OSError, SyntaxError, ValueError):
        return {}
    found: dict[int, str] = {}
    for node in ast.walk(tree):
        if isinstance(node, ast.If) and isinstance(node.body[0], ast.Raise) and _suffices(node.test):
            told = _told(node.body[0])
            if told:
                last = node.test.end_lineno or node.test.lineno
                found.update(dict.fromkeys(range(node.test.lineno, last + 1), told))
    return found


def _suffices(test: ast.expr) -> bool:
    if isinstance(test, ast.BoolOp):
        return isinstance(test.op, ast.Or) and all(map(_suffices, test.values))
    return isinstance(test, ast.Compare)


def _told(statement: ast.Raise) -> str:
    call = statement.exc
    if not isinstance(call, ast.Call) or not isinstance(call.func, ast.Name):
        return ""
    text = _start(call.args[0]) if call.args else ""
    return f"{call.func.id}: {text[:MAX_TEXT]}" if text else ""


def _start(value: ast.expr) -> str:
    """The text before the first value that is put into it."""
    if isinstance(value, ast.Constant):
        return str(value.value)
    parts = value.values if isinstance(value, ast.JoinedStr) else []
    return str(parts[0].value) if parts and isinstance(parts[0], ast.Constant) else ""
