"""docs/api.md: what can be imported, from the docstrings."""

from __future__ import annotations

import inspect
from typing import Any

import adaptlint
from adaptlint.findings import (
    AdapterSubject,
    LedgerLine,
    Mismatch,
    RaisedError,
    StepResult,
    Subject,
    Suppression,
    Verdict,
)
from adaptlint.pytest_plugin import AdaptlintCheck

FUNCTIONS = (adaptlint.check, adaptlint.check_live, adaptlint.flow)
CLASSES = (
    adaptlint.Report,
    adaptlint.Finding,
    Verdict,
    RaisedError,
    StepResult,
    Mismatch,
    Suppression,
    LedgerLine,
    Subject,
    AdapterSubject,
    adaptlint.Flow,
    AdaptlintCheck,
)
HEAD = """# API

Made from the docstrings (`make pages`). `import adaptlint` imports nothing else; each name is imported when it is first
used. Field meanings are those of the JSON report, [contract.md](contract.md).
"""


def api_page() -> str:
    """Functions with their signatures, then classes with their fields and public methods."""
    parts = [HEAD]
    for function in FUNCTIONS:
        parts.append(
            f"## adaptlint.{function.__name__}\n\n{_called(function.__name__, function)}\n\n{_said(function)}\n"
        )
    for kind in CLASSES:
        parts.append(f"## {kind.__name__}\n\n{_said(kind)}\n")
        fields = getattr(kind, "_fields", ())
        if fields:
            hints = kind.__annotations__
            parts.append("\n".join(f"- `{field}`: `{_typed(hints[field])}`" for field in fields) + "\n")
        parts += [_method(name, member) for name, member in vars(kind).items() if _is_told(name, member)]
    return "\n".join(parts)


def _is_told(name: str, member: Any) -> bool:
    told = isinstance(member, property) or inspect.isfunction(member)
    return told and (name == "__call__" or name[:1] != "_") and bool(inspect.getdoc(member))


def _method(name: str, member: Any) -> str:
    if isinstance(member, property):
        return f"**{name}**: {_said(member)}\n"
    return f"{_called(name, member)}\n\n{_said(member)}\n"


def _called(name: str, function: Any) -> str:
    signature = inspect.signature(function)
    listed = [_parameter(p) for p in signature.parameters.values() if p.name != "self"]
    kinds = [p.kind for p in signature.parameters.values() if p.name != "self"]
    if inspect.Parameter.KEYWORD_ONLY in kinds:
        listed.insert(kinds.index(inspect.Parameter.KEYWORD_ONLY), "*")
    body = "".join(f"    {parameter},\n" for parameter in listed)
    arguments = f"(\n{body})" if len(listed) > 2 else f"({', '.join(listed)})"
    return f"```python\n{name}{arguments} -> {signature.return_annotation}\n```"


def _parameter(parameter: inspect.Parameter) -> str:
    stars = {inspect.Parameter.VAR_POSITIONAL: "*", inspect.Parameter.VAR_KEYWORD: "**"}.get(parameter.kind, "")
    default = "" if parameter.default is parameter.empty else f" = {parameter.default!r}"
    return f"{stars}{parameter.name}: {parameter.annotation}{default}"


def _typed(hint: Any) -> str:
    return str(getattr(hint, "__forward_arg__", hint))


def _said(thing: Any) -> str:
    return inspect.getdoc(thing) or ""
