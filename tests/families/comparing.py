"""Where a shipped record is not the live one."""

from __future__ import annotations

import json
from typing import Any


def difference(table: dict[str, Any], ours: dict[str, Any], live: dict[str, Any]) -> str:
    """Where a shipped record is not the live one, "" if it is; keys of the config that the table leaves out apart."""
    left_out = {*table["untold"]} | ({"rope_parameters"} if "told" not in table.get("rope", {"told": 1}) else set())
    for field, value in live.items():
        if field == "config":
            for key in value.keys() | ours["config"].keys():
                if key not in left_out and json.dumps(value.get(key, "-"), sort_keys=True) != json.dumps(
                    ours["config"].get(key, "-"), sort_keys=True
                ):
                    return f"config.{key}: {ours['config'].get(key, '-')!r} is {value.get(key, '-')!r}"[:200]
        elif json.dumps(value) != json.dumps(ours[field]):
            return f"{field}: {_first_difference(ours[field], value)}"[:300]
    return ""


def _first_difference(ours: Any, live: Any, path: str = "") -> str:
    if type(ours) is type(live) is dict:
        for key in [*ours, *live]:
            if json.dumps(ours.get(key, "-")) != json.dumps(live.get(key, "-")):
                return _first_difference(ours.get(key, "-"), live.get(key, "-"), f"{path}.{key}")
    return f"{path}: {json.dumps(ours)[:90]} is {json.dumps(live)[:90]}"
