"""Write config_classes.json anew: the config that each name stands for, as the installed releases say it.

PYTHON tests/hub/config_classes.py            in the environment of a release: prints its names as JSON
PYTHON tests/hub/config_classes.py A B ...    joins the outputs of releases, oldest first; a name whose config is
                                              that of the release before is left out
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

RECORD = Path(__file__).parent / "config_classes.json"


def names_of_release() -> dict[str, Any]:
    """The installed library's names and their configs."""
    import adapters
    from adapters.configuration.adapter_config import ADAPTER_CONFIG_MAP

    return {"version": adapters.__version__, "names": {n: c.to_dict() for n, c in ADAPTER_CONFIG_MAP.items()}}


def join(files: list[str]) -> dict[str, dict[str, Any]]:
    """Release -> name -> config, without repetitions."""
    joined: dict[str, dict[str, Any]] = {}
    before: dict[str, Any] = {}
    for file in files:
        told = json.loads(Path(file).read_text(encoding="utf-8"))
        joined[told["version"]] = {n: c for n, c in told["names"].items() if before.get(n) != c}
        before = told["names"]
    return joined


if __name__ == "__main__":
    if len(sys.argv) > 1:
        RECORD.write_text(json.dumps(join(sys.argv[1:]), separators=(",", ":")) + "\n", encoding="utf-8")
    else:
        print(json.dumps(names_of_release()))
