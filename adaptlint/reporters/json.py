"""The report as the contract's JSON object; `report.schema.json` beside this file describes it."""

from __future__ import annotations

import json
import os
from math import isfinite

from adaptlint.findings import Report
from adaptlint.reporters import Style

_DIGITS_BITS = 10_000  # Python refuses to spell integers of more than 4300 digits


def render(report: Report, style: Style) -> str:
    """One object, keys in the contract's order, ASCII only so that no terminal or locale can break it."""
    document = report.to_dict()
    for finding in document["findings"]:  # type: ignore[attr-defined]
        finding["facts"] = {name: _spellable(value) for name, value in finding["facts"].items()}
    return json.dumps(document, indent=2, allow_nan=False) + "\n"


def schema_path() -> str:
    """Where the JSON schema of the report lies."""
    return os.path.join(os.path.dirname(__file__), "report.schema.json")


def _spellable(value: object) -> object:
    """A fact as valid JSON: a config may hold NaN, Infinity and absurd integers, which become strings."""
    if isinstance(value, float) and not isfinite(value):
        return str(value)
    if isinstance(value, int) and value.bit_length() > _DIGITS_BITS:
        return hex(value)
    if isinstance(value, (list, tuple)):
        return [_spellable(item) for item in value]
    return value
