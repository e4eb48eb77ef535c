"""Join what breaking.py wrote with bases and graphs: `python -m tests.hub.pack FOUND BASES GRAPHS OUT [EVERY]`.

Of the graphs only the library's own layers are kept; of long lists of names none, so that a record stays small.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

Record = dict[str, Any]
LONG = 8  # names that a list of a sample may have


def thin(graph: Record) -> Record:
    """The graph with nothing but the library's own layers; their arguments are left out."""
    templates = []
    for nodes, _, _ in graph["templates"]:
        kept = [[op, module, "", [], kwargs, *rest] for op, module, _, _, kwargs, *rest in nodes if op in KEPT]
        templates.append([kept, [], []])
    bare = {"inputs": {}, "bounds": {}, "outputs": {}, "assumed": [], "constants": []}
    runs = [[*run[:5], [], []] for run in graph["runs"]]
    return {**graph, **bare, "templates": templates, "runs": runs}


KEPT = ("hub.lora", "hub.merged_lora", "hub.bottleneck", "hub.prefix", "hub.reft", "hub.prompt", "hub.invertible")


def packed(found: Record, bases: Path, graphs: Path | None = None, every: int = 1) -> Record:
    """One record for agreement.py; with `every`, that share of the broken cases and all healthy ones.

    Without `graphs` the verdicts are those from the shipped ones.
    """
    known = {key.partition("|")[0] for key, *_ in found["cases"]}
    names = sorted(name for name in known if graphs is None or _graph(graphs, name) is not None)
    chosen = [
        case
        for number, case in enumerate(found["cases"])
        if case[0].partition("|")[0] in names and (case[1] == [] or number % every == 0)
    ]
    for _, _, record in chosen:
        for name in [name for name, value in record.items() if isinstance(value, list) and len(value) > LONG]:
            if every > 1:
                del record[name]
        if "error" in record and every > 1:
            record["error"]["message"] = record["error"]["message"][:400]
    told = {}
    for name in names:
        config = json.loads((bases / name / "config.json").read_text())
        declared = json.loads((bases / name / "case_base.json").read_text())["declared"]
        told[name] = {"config": config, "class": declared}
        if graphs is not None:
            told[name]["graph"] = thin(_graph(graphs, name) or {})
    used = {key for key, *_ in chosen}
    adapters = {key: each for key, each in found["adapters"].items() if key in used}
    return {"version": found["version"], "bases": told, "adapters": adapters, "cases": chosen}


def _graph(graphs: Path, key: str) -> Record | None:
    place = graphs / f"{key.partition('|')[0]}.eager.none.json"
    return dict(json.loads(place.read_text())) if place.exists() else None


def main(found: str, bases: str, graphs: str, out: str, every: str = "1") -> None:
    """Write the record."""
    record = packed(json.loads(Path(found).read_text()), Path(bases), Path(graphs), int(every))
    Path(out).write_text(json.dumps(record, separators=(",", ":")) + "\n")


if __name__ == "__main__":
    main(*sys.argv[1:])
