"""The report as the contract's JSON object; `report.schema.json` beside this file describes it."""

from __future__ import annotations

import json
import os
from math import isfinite

from adaptlint.findings import Report
from adaptlint.reporters import Background, Style
from adaptlint.reporters.showing import shown

_DIGITS_BITS = 10_000  # Python refuses to spell integers of more than 4300 digits


def render(report: Report, style: Style, background: Background) -> str:
    """One object, keys in the contract's order, ASCII only so that no terminal or locale can break it."""
    document = report.to_dict()
    for finding in document["findings"]:  # type: ignore[attr-defined]
        finding["facts"] = spellable(finding["facts"])
    return json.dumps(document, indent=2, allow_nan=False) + "\n"


def schema_path() -> str:
    """Where the JSON schema of the report lies."""
    return os.path.join(os.path.dirname(__file__), "report.schema.json")


def spellable(value: object) -> object:
    """A value from a file as valid JSON: NaN, Infinity and absurd integers, which a config may hold, become strings."""
    if isinstance(value, float) and not isfinite(value):
        return str(value)
    if isinstance(value, int) and value.bit_length() > _DIGITS_BITS:
        return hex(value)
    if isinstance(value, (list, tuple)):
        return [spellable(item) for item in value]
    if isinstance(value, dict):
        return {key: spellable(item) for key, item in value.items()}
    return value


def harmless(value: object) -> object:
    """The same for readers that may stumble over half a surrogate pair: every string is made fit to be seen."""
    if isinstance(value, str):
        return shown(value)
    if isinstance(value, (list, tuple)):
        return [harmless(item) for item in value]
    if isinstance(value, dict):
        return {shown(str(key)): harmless(item) for key, item in value.items()}
    return spellable(value)
